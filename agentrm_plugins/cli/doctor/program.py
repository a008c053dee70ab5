"""Which models of a program are managed and which slip past, and what is known of their limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from agentrm_plugins.cli.doctor.configured import fleet, store
from agentrm_plugins.cli.doctor.finding import NOTE, OK, PROBLEM, Finding
from agentrm_plugins.cli.doctor.models import WRAP, told
from agentrm_plugins.cli.doctor.source import Source
from agentrm_plugins.kernel.endpoints import fitting
from agentrm_plugins.manager import AgentRM
from agentrm_plugins.settings import Settings
from agentrm_plugins.telemetry.timeline.fleet import fleet_line

__all__ = ["program"]

_TOP = (
    "nothing, if it runs so; a program for doctor keeps its core and what it manages at the top "
    'level, and calls under `if __name__ == "__main__":`'
)


def program(
    module: ModuleType, target: Any, path: str, settings: Settings | None
) -> Iterator[Finding]:
    """All that can be said of an object, and of the cores and clients beside it."""
    if isinstance(target, AgentRM):
        yield from _core(target, settings)
        return
    if find_spec("langchain_core") is None:
        yield from _without_langchain(target, path)
        return
    from agentrm_langchain.survey import surveyed

    survey = surveyed(target, path)
    if not isinstance(target, ModuleType):
        seen = {one.path for one in survey.found}
        beside = surveyed(module, module.__name__)
        clients = [one for one in beside.found if one.kind == "client" and one.path not in seen]
        survey.found += clients if not any(one.kind == "client" for one in survey.found) else []
    if not survey.found:
        text = f"nothing in {path} asks a model, as far as can be seen: {type(target).__name__}"
        way = "name a graph, a chain, a model, a client, a list of them, or the module"
        yield Finding("model", NOTE, text, way)
    yield from told(survey.found, Source(module))
    cores = {id(one.rm): one.rm for one in survey.found if one.rm is not None}
    cores |= {id(rm): rm for rm in vars(module).values() if isinstance(rm, AgentRM)}
    yield from _limits(survey.found, list(cores.values()), settings)
    for rm in cores.values():
        yield from _core(rm, settings)
    for context in {id(context): context for context in survey.contexts}.values():
        yield store(context)


def _limits(found: list[Any], cores: list[Any], settings: Settings | None) -> Iterator[Finding]:
    configs = [rm.config for rm in cores] or ([settings.config] if settings is not None else [])
    for endpoint in dict.fromkeys(one.endpoint for one in found if one.endpoint):
        told = [config for config in configs if fitting(config.endpoints, endpoint) is not None]
        rates = [
            f"{resource} {rate.allowed_per_min:.4g} a minute ({rate.source})"
            for rm in cores
            for name, seen in rm.statistics(agents=False).endpoints.items()
            if name == endpoint
            for resource, rate in seen.rates.items()
            if rate.allowed_per_min is not None
        ]
        shown = endpoint.partition("#")[0]
        if rates:
            yield Finding("limits", OK, f"{shown}: {', '.join(rates)}")
        elif told:
            yield Finding("limits", OK, f"{shown}: its limits are told in the configuration")
        else:
            text = f"{shown}: its limits are not known yet; they are found out from its answers"
            way = f'to begin without a refusal: endpoints={{"{shown}": EndpointConfig(rpm=...)}}'
            yield Finding("limits", NOTE, text, way)


def _core(rm: Any, settings: Settings | None = None) -> Iterator[Finding]:
    if rm.closed:
        text = f"{rm!r}: the program closed it while it was imported, as a `with` block does"
        yield Finding("core", NOTE, text, _TOP)
        return
    yield Finding("core", OK, repr(rm))
    found = rm.statistics(agents=False).fleet
    if found is not None:
        line, joined = fleet_line(asdict(found)), found.state == "joined"
        text = f"{rm!r} is {found.state}; {'' if line is None else line.text}"
        way = "" if joined else "see whether the fleet's server can be reached"
        yield Finding("coordination", OK if joined else PROBLEM, text, way)
        if joined and (settings is None or settings.coordination != rm._fleet.coordination):  # noqa: SLF001 - of one house
            yield from fleet(rm._fleet.coordination)  # noqa: SLF001


def _without_langchain(target: Any, path: str) -> Iterator[Finding]:
    """A client alone, where LangChain is not installed."""
    kinds = {kind.__name__ for kind in type(target).__mro__}
    if not kinds & {"OpenAI", "AsyncOpenAI"}:
        text = f"{path} cannot be looked into without LangChain: {type(target).__name__}"
        yield Finding("model", NOTE, text, "pip install 'agentrm-plugins[langchain]'")
    elif hasattr(type(target), "_is_managed"):
        yield Finding("client", OK, f"{type(target).__name__} at {path} is managed")
    else:
        text = f"{type(target).__name__} at {path} slips past management"
        yield Finding("client", PROBLEM, text, WRAP["client"])

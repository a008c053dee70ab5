"""What the monitor's socket answers to each request. Whatever is wrong with one is raised."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from agentrm_plugins.errors import ConfigError
from agentrm_plugins.telemetry.changing import arguments
from agentrm_plugins.telemetry.lines import plain_event
from agentrm_plugins.types.agent_key import agent_key
from agentrm_plugins.types.calls import parse_priority
from agentrm_plugins.types.checks import check_name, check_whole

__all__ = ["SCHEMA", "VERSION", "answer", "hello", "plain_config"]

SCHEMA = "agentrm.monitor"
VERSION = 1
_AGENTS = 100


def hello(rm: Any, number: int) -> dict[str, Any]:
    """What a client hears first."""
    config, seen = rm.config, rm._look(agents=False, brief=True)  # noqa: SLF001 - of one house
    return {
        "kind": "hello",
        "schema": SCHEMA,
        "version": VERSION,
        "pid": os.getpid(),
        "core": number,
        "name": Path(sys.argv[0] or "python").name if sys.argv else "python",
        "lanes": config.lanes,
        "groups": {group.name: group.capacity for group in config.groups},
        "order": str(config.scheduler.order),
        "levels": config.scheduler.num_queues,
        "at_s": seen.at_s,
        "wall_s": seen.at_s + rm._host.streams.wall_offset_s(),  # noqa: SLF001 - of one house
    }


def answer(rm: Any, request: dict[str, Any]) -> Any:
    """The result of a request.

    Raises:
        ConfigError: There is no such request, or it is not as it should be.
        AgentRMError: What the core says to it.
    """
    do = request.get("do")
    act = _ACTS.get(str(do))
    if act is None:
        way = f"use one of {', '.join([*_ACTS, 'events', 'quiet'])}"
        raise ConfigError("do", do, way)
    return act(rm, request)


def _statistics(rm: Any, request: dict[str, Any]) -> Any:
    agents = check_whole("agents", request.get("agents", _AGENTS), 0)
    if not _flag(request, "brief", default=False):
        return rm.statistics(agents=agents).to_dict()
    seen = rm._look(agents=False, brief=True)  # noqa: SLF001 - of one house
    shown = {name: asdict(endpoint) for name, endpoint in seen.endpoints.items()}
    return {"at_s": seen.at_s, "endpoints": shown}


def _flag(request: dict[str, Any], name: str, *, default: bool) -> bool:
    value = request.get(name, default)
    if not isinstance(value, bool):
        raise ConfigError(name, value, "give true or false")
    return value


def _fleet(rm: Any, _: dict[str, Any]) -> Any:
    found = rm._look(agents=False, brief=True).fleet  # noqa: SLF001 - of one house
    return {} if found is None else asdict(found)


def _story(rm: Any, request: dict[str, Any]) -> Any:
    ticket = check_whole("ticket", request.get("ticket"), 0)
    return [plain_event(event) for event in rm.story(ticket)]


def _config(rm: Any, _: dict[str, Any]) -> Any:
    return plain_config(rm.config)


def _who(request: dict[str, Any]) -> tuple[str, str]:
    agent, tenant = request.get("agent"), request.get("tenant", "default")
    check_name("agent", agent)
    check_name("tenant", tenant)
    return str(agent), str(tenant)


def _end(rm: Any, request: dict[str, Any]) -> Any:
    agent, tenant = _who(request)
    rm.end_agent(agent, tenant=tenant)
    return {}


def _drain(rm: Any, request: dict[str, Any]) -> Any:
    agent, tenant = _who(request)
    rm.drain(agent, tenant=tenant, drain=_flag(request, "drain", default=True))
    return {}


def _prioritise(rm: Any, request: dict[str, Any]) -> Any:
    agent, tenant = _who(request)
    priority = parse_priority(request.get("priority"))
    if priority is None:
        raise ConfigError("priority", None, "give interactive, batch or background")
    rm.update(priorities={agent_key(tenant, agent): priority})
    return {}


def _fields(request: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in request.items() if name not in {"id", "do"}}


def _update(rm: Any, request: dict[str, Any]) -> Any:
    rm.update(**arguments(_fields(request)))
    return {}


def _change(rm: Any, request: dict[str, Any]) -> Any:
    with rm._updating:  # noqa: SLF001 - nobody changes what this is laid over
        made = rm.update(**arguments(_fields(request), rm.config))
    return {"lanes": made.lanes}


_ACTS: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "statistics": _statistics,
    "fleet": _fleet,
    "story": _story,
    "config": _config,
    "end": _end,
    "drain": _drain,
    "prioritise": _prioritise,
    "update": _update,
    "change": _change,
}


def plain_config(value: Any) -> Any:
    """A configuration as plain data for JSON."""
    if is_dataclass(value) and not isinstance(value, type):
        return {name: plain_config(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict) or hasattr(value, "items"):
        return {str(key): plain_config(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain_config(one) for one in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)

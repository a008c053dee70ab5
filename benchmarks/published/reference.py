"""The generated pages of docs/reference: `python -m benchmarks.published.reference`.

Configuration, errors, events, metrics and the command line come from the code. A test compares.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from enum import Enum
from pathlib import Path
from types import MappingProxyType

from agentrm_plugins import config as settings
from agentrm_plugins import errors
from agentrm_plugins import events as told
from agentrm_plugins.cli.registry import summaries
from agentrm_plugins.telemetry.metrics.catalogue import CATALOGUE
from agentrm_plugins.telemetry.otel.genai import DURATION, TOKENS

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
CLASSES = [
    *("Config", "LaneGroup", "SchedulerConfig", "LeaseConfig", "TenantConfig", "EndpointConfig"),
    *("BreakerConfig", "BudgetConfig", "ShareConfig", "Price", "ContextConfig"),
    *("RetryConfig", "Coordination"),
]
UNITS = (
    (r"_tokens$|^budget_tokens$", "tokens"),
    (r"_per_1m$", "currency per million tokens"),
    (r"(^|_)rpm$", "requests a minute"),
    (r"tpm$", "tokens a minute"),
    (r"_s$|quanta_s$", "seconds"),
    (r"(^|_)(share|mark|goal|soft)$|_weights?$|^weight$", "share or weight"),
    (r"^(lanes|capacity|guaranteed|most_per_\w+|max_per_\w+)$", "lanes"),
    (r"^(concurrency|least_calls|max_waiting\w*)$", "calls"),
)
SOURCE = re.compile(
    r"[^.]*(?:guess|measured|arxiv|paper|own request timeout|publish|price for|as OpenAI|"
    r"architecture blog|sampling|\bcap\b)[^.]*(?:\.\d[^.]*)*",
    re.IGNORECASE,
)


def described(kind):
    """Each field's description, from the section `Args` of the docstring."""
    text = inspect.cleandoc(kind.__doc__ or "").partition("Args:\n")[2].partition("\n\n")[0]
    found = {}
    for names, body in re.findall(
        r"^ {4}([\w, ]+): (.*?)(?=^ {4}\w|\Z)", text, re.DOTALL | re.MULTILINE
    ):
        for name in names.split(","):
            found[name.strip()] = " ".join(body.split())
    return found


POINT = "\N{MIDDLE DOT}"


def default_of(field):
    if field.default is not dataclasses.MISSING:
        value = field.default
        return f"`{str(value)!r}`" if isinstance(value, Enum) else f"`{value!r}`"
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
        if isinstance(value, MappingProxyType):
            return f"`{ {str(key): entry for key, entry in value.items()} }`"
        if dataclasses.is_dataclass(value):
            return f"`{type(value).__name__}()`"
        return f"`{value!r}`"
    return "*none: give it*"


def unit_of(field):
    for pattern, unit in UNITS:
        if re.search(pattern, field.name):
            return unit
    return ""


def source_of(field, text):
    """Where the default comes from, as the docstring says it."""
    found = SOURCE.search(re.sub(r"(?<=\d)\.(?=\d)", POINT, text))  # no sentence ends in 1.25
    if found:
        return found[0].replace(POINT, ".").strip().rstrip(".")
    if field.default in ((), {}):
        return "empty: nothing is asked for"
    if field.default is None and field.name == "model":
        return "a choice; no figure"  # it bounds nothing when it is set either
    if field.default is None:
        return "not set: nothing is bounded by it"
    if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
        return "yours"
    if field.default_factory is not dataclasses.MISSING or isinstance(field.default, bool | str):
        return "a choice; no figure"
    return "guessed"


def cell(text):
    return text.replace("|", "\\|")


def configuration():
    head = (
        "# Configuration\n\nGenerated from the code by `python -m benchmarks.published.reference`. "
        "All objects are frozen, and checked when they are made.\n"
        "Give them to `AgentRM(Config(...))`, or fields of `Config` to `AgentRM(...)` itself.\n"
        "A file or the environment says them by the same names: see "
        "[configuring](../configuring.md).\n"
    )
    parts = [head]
    for name in CLASSES:
        kind = getattr(settings, name)
        texts = described(kind)
        rows = [
            f"| `{field.name}` | {cell(default_of(field))} | {unit_of(field)} | "
            f"{cell(texts[field.name])} | {cell(source_of(field, texts[field.name]))} |"
            for field in dataclasses.fields(kind)
            if not field.name.startswith("_")
        ]
        head = inspect.cleandoc(kind.__doc__).partition("\n")[0]
        parts.append(
            f"## {name}\n\n{head}\n\n"
            "| field | default | unit | what it is | source of the default |\n"
            "|---|---|---|---|---|\n" + "\n".join(rows) + "\n"
        )
    return "\n".join(parts)


def error_page():
    tree = errors.__doc__.partition("::\n\n")[2].partition("\n\n`CallRefused`")[0]
    head = (
        "# Errors\n\nGenerated from the code. Every error is one tree, split by whose fault it is."
    )
    parts = [f"{head}\n\n```text\n{inspect.cleandoc(tree)}\n```\n"]
    for name in errors.__all__:
        head = inspect.cleandoc(getattr(errors, name).__doc__).partition("\n\n")[0]
        parts.append(f"## {name}\n\n{' '.join(head.split())}\n")
    return "\n".join(parts)


def event_page():
    head = "# Events\n\nGenerated from the code. `rm.events()` is a stream of these records."
    parts = [f"{head} Each has the time, the call's number, its agent and a cause.\n"]
    for name in sorted(told.__all__):
        kind = getattr(told, name)
        if not hasattr(kind, "_fields"):
            continue
        text = inspect.cleandoc(kind.__doc__)
        parts.append(f"## {name}\n\n{text}\n\nFields: `{'`, `'.join(kind._fields)}`.\n")
    return "\n".join(parts)


def metric_page():
    head = "# Metrics\n\nGenerated from the code. The [guide](../metrics.md) says how to get them."
    parts = [
        f"{head} Labels have the prefix `agentrm.` in OpenTelemetry.\n",
        "| for Prometheus | for OpenTelemetry | kind | unit | labels | it says |",
        "|---|---|---|---|---|---|",
    ]
    for metric in CATALOGUE:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        parts.append(
            f"| `{metric.prometheus}` | `{metric.name}` | {metric.kind} | {metric.unit} "
            f"| {labels} | {cell(metric.help)} |"
        )
    client = ", ".join(f"`{metric.name}` ({metric.unit})" for metric in (DURATION, TOKENS))
    parts.append(f"\nOpenTelemetry alone has two histograms of the GenAI conventions: {client}.\n")
    return "\n".join(parts)


def command_page():
    from typer.main import get_command

    from agentrm_plugins.cli.app import app

    head = "# Command line\n\nGenerated from the code. `agentrm --help` and `agentrm --version`"
    parts = [f"{head} need no extra.\n"]
    group = get_command(app)
    for name in summaries():
        parts += _command(f"agentrm {name}", group.commands[name])
    return "\n".join(parts)


def _command(title, command):
    parts = [f"## {title}\n\n{inspect.cleandoc(command.help or '')}\n"]
    rows = []
    for option in command.params:
        names = ", ".join(f"`{n}`" for n in [*option.opts, *option.secondary_opts])
        default = (
            "" if option.default is None or callable(option.default) else f"`{option.default}`"
        )
        rows.append(f"| {names} | {default} | {cell(getattr(option, 'help', None) or '')} |")
    if rows:
        parts.append("| option | default | what it is |\n|---|---|---|\n" + "\n".join(rows) + "\n")
    for name, one in getattr(command, "commands", {}).items():
        parts += _command(f"{title} {name}", one)
    return parts


PAGES = {
    "configuration.md": configuration,
    "errors.md": error_page,
    "events.md": event_page,
    "cli.md": command_page,
    "metrics.md": metric_page,
}


if __name__ == "__main__":
    for page, make in PAGES.items():
        (FOLDER / page).write_text(make(), encoding="utf-8")

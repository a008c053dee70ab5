"""An event as a line of JSON, and back.

Law: one object a line, ``{"kind": ..., "at_s": ..., "wall_s": ..., ...}`` with the fields of the
event's class. A field that has its default value is left out. JSON has no infinity: a number that
is not finite is ``null``, and reads as infinity where the field is not optional.

What people called things (agents, tenants, labels) is written with whatever looks like a secret
hidden, and cut to 200 characters. No event holds a prompt, an answer, a key or a header.

The three kinds that every call makes are written by hand: that is a third of the general way's
price, and the recorder shares the interpreter with the core.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable
from math import inf
from typing import Any, Union, get_args, get_origin, get_type_hints

from agentrm_plugins.redaction import masked
from agentrm_plugins.types.calls import Outcome, Usage
from agentrm_plugins.types.effects import Beaten, Effect, Granted, Settled, Submitted
from agentrm_plugins.types.kinds import KINDS, kind_of

__all__ = ["SCHEMA", "VERSION", "Encoder", "event_of", "plain_event"]

SCHEMA = "agentrm.events"
VERSION = 1
_LONGEST = 200
_CACHED = 20_000
_OUTCOMES = {outcome: str(outcome.value) for outcome in Outcome}  # an enum is slow to write
_USAGE = ("input_tokens", "output_tokens", "cached_input_tokens", "cache_write_tokens")


def _quoted(text: str) -> str:
    shown = masked(text[: 2 * _LONGEST])
    return json.dumps(shown if len(shown) <= _LONGEST else shown[: _LONGEST - 3] + "...")


class Encoder:
    """Makes lines; remembers how names are written. For one thread."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._places: dict[tuple[Any, ...], str] = {}
        self._when, self._moment = (0.0, 0.0), '"at_s":0.0,"wall_s":0.000000'
        self._quick: dict[type, Callable[[Any, float], str]] = {
            Submitted: self._submitted,
            Granted: self._granted,
            Beaten: self._beaten,
            Settled: self._settled,
        }

    def line(self, event: Effect, wall_offset_s: float) -> str:
        """The event as one line, without its end.

        Args:
            event: What happened.
            wall_offset_s: Seconds from the core's clock to Unix time.
        """
        quick = self._quick.get(event.__class__)
        if quick is not None:
            return quick(event, wall_offset_s)
        told = event._replace(wall_s=event.at_s + wall_offset_s)
        return json.dumps(plain_event(told), separators=(",", ":"))

    def _text(self, text: str) -> str:
        found = self._names.get(text)
        if found is None:
            if len(self._names) > _CACHED:
                self._names.clear()
            found = self._names[text] = _quoted(text)
        return found

    def _place(self, event: Any) -> str:
        """Whose call it is and where it runs: the same for most events of an agent."""
        key = event.agent, event.tenant, event.group, event.endpoint
        found = self._places.get(key)
        if found is None:
            if len(self._places) > _CACHED:
                self._places.clear()
            agent, tenant, group, endpoint = key
            found = f'"agent":{self._text(agent)},"group":{self._text(group)}'
            if tenant != "default":
                found += f',"tenant":{self._text(tenant)}'
            if endpoint is not None:
                found += f',"endpoint":{self._text(endpoint)}'
            self._places[key] = found
        return found

    def _head(self, kind: str, event: Any, offset_s: float) -> str:
        at_s, cause = event.at_s, event.cause
        when = at_s, offset_s
        if when != self._when:  # a call that goes at once is submitted and granted in one moment
            self._when = when
            self._moment = f'"at_s":{at_s!r},"wall_s":{at_s + offset_s:.6f}'
        return (
            f'{{"kind":"{kind}",{self._moment},"ticket":{event.ticket},'
            f'"cause":{self._names.get(cause) or self._text(cause)},{self._place(event)}'
        )

    def _submitted(self, event: Submitted, offset_s: float) -> str:
        more = ""
        if event.priority:
            more += f',"priority":"{event.priority}"'
        if event.estimate_tokens:
            more += f',"estimate_tokens":{event.estimate_tokens}'
        if event.parent is not None:
            more += f',"parent":{event.parent}'
        if event.hedge_of is not None:
            more += f',"hedge_of":{event.hedge_of}'
        if event.parent_agent is not None:
            more += f',"parent_agent":{self._text(event.parent_agent)}'
        return f"{self._head('submitted', event, offset_s)}{more}}}"

    def _granted(self, event: Granted, offset_s: float) -> str:
        return f'{self._head("granted", event, offset_s)},"waited_s":{event.waited_s!r}}}'

    def _beaten(self, event: Beaten, offset_s: float) -> str:
        return f'{self._head("beaten", event, offset_s)},"tokens":{event.tokens}}}'

    def _settled(self, event: Settled, offset_s: float) -> str:
        usage, more = event.usage, ""
        if usage is not None:
            more = f',"usage":{_usage_text(usage)}'
        if event.cost:
            more += f',"cost":{event.cost!r}'
        if event.status is not None:
            more += f',"status":{event.status}'
        return (
            f'{self._head("settled", event, offset_s)},"outcome":"{_OUTCOMES[event.outcome]}",'
            f'"held_s":{event.held_s!r}{more}}}'
        )


def _usage_text(usage: Usage) -> str:
    """As `_usage`, by hand: every call has one."""
    told = f'"input_tokens":{usage.input_tokens}' if usage.input_tokens else ""
    if usage.output_tokens:
        told += f',"output_tokens":{usage.output_tokens}'
    if usage.cached_input_tokens:
        told += f',"cached_input_tokens":{usage.cached_input_tokens}'
    if usage.cache_write_tokens:
        told += f',"cache_write_tokens":{usage.cache_write_tokens}'
    return f"{{{told.removeprefix(',')}}}"


def _usage(usage: Usage) -> dict[str, int]:
    return {name: count for name in _USAGE if (count := getattr(usage, name))}


def plain_event(event: Effect) -> dict[str, Any]:
    """The event as plain data for JSON; fields that have their default are left out."""
    defaults = event._field_defaults
    plain: dict[str, Any] = {"kind": kind_of(event)}
    for name, value in zip(event._fields, event, strict=True):
        if name in defaults and value == defaults[name]:
            continue
        if isinstance(value, Usage):
            plain[name] = _usage(value)
        elif isinstance(value, float):
            plain[name] = value if -inf < value < inf else None
        else:
            plain[name] = json.loads(_quoted(value)) if isinstance(value, str) else value
    return plain


def event_of(plain: dict[str, Any]) -> Effect | None:
    """The event that such an object tells of; None if this version does not know its kind.

    What it does not know of a kind it does know is left aside.

    Raises:
        ValueError: A field is missing, or is not what it should be. The text says which.
    """
    kind = KINDS.get(str(plain.get("kind")))
    if kind is None:
        return None
    values: dict[str, Any] = {}
    for name, (accepted, optional) in _fields(kind).items():
        if name not in plain:
            if name in kind._field_defaults:  # type: ignore[attr-defined]
                continue
            if not optional:
                raise ValueError(f"{plain['kind']} without {name}")
        values[name] = _value(plain.get(name), name, accepted, optional=optional)
    made: Effect = kind(**values)
    return made


_FIELDS: dict[type, dict[str, tuple[type, bool]]] = {}


def _fields(kind: type) -> dict[str, tuple[type, bool]]:
    """Each field's type, and whether it may be None."""
    found = _FIELDS.get(kind)
    if found is None:
        found = _FIELDS[kind] = {}
        for name, hint in get_type_hints(kind).items():
            parts = get_args(hint) if get_origin(hint) in {Union, types.UnionType} else (hint,)
            own = [part for part in parts if part is not types.NoneType]
            found[name] = own[0], len(own) < len(parts)
    return found


def _value(value: Any, name: str, accepted: type, *, optional: bool) -> Any:
    if value is None:
        if optional:
            return None
        if accepted is float:
            return inf
    elif accepted is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    elif accepted is Usage and isinstance(value, dict):
        return Usage(**{key: count for key, count in value.items() if key in _USAGE})
    elif accepted is Outcome and isinstance(value, str):
        return Outcome(value)
    elif isinstance(value, accepted) and not isinstance(value, bool):
        return value
    raise ValueError(f"{name}={str(value)[:40]!r}: not a value of type {accepted.__name__}")

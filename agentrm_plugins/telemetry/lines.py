"""An event as a line of JSON, and back.

Law: one object a line, ``{"kind": ..., "at_s": ..., "wall_s": ..., ...}`` with the fields of the
event's class. A field that has its default value is left out. JSON has no infinity: a number that
is not finite is ``null``, and reads as infinity where the field is not optional.

What people called things (agents, tenants, labels) is written with whatever looks like a secret
hidden, and cut to 200 characters. No event holds a prompt, an answer, a key or a header.

The kinds that every call makes are written by hand: that is a fifth of the general way's price, and
the recorder shares the interpreter with the core.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Iterable
from math import inf, nan
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
_ROUNDING_S = 1e-11  # what is left over where two such times are subtracted
_USAGE = ("input_tokens", "output_tokens", "cached_input_tokens", "cache_write_tokens")


def _quoted(text: str) -> str:
    shown = masked(text[: 2 * _LONGEST])
    return json.dumps(shown if len(shown) <= _LONGEST else shown[: _LONGEST - 3] + "...")


def _moment(at_s: float, offset_s: float) -> str:
    """The fields `at_s` and `wall_s`. Nine digits take half the time of Python's own way.

    They are the very same number where the clock counts nanoseconds; else they are not used.
    """
    text = f"{at_s:.9f}"
    if float(text) != at_s:
        text = repr(at_s)
    return f'"at_s":{text},"wall_s":{at_s + offset_s:.6f},"ticket":'


def _span(seconds: float) -> str:
    """A time that has passed: to the nanosecond, if it is that but for rounding, else all of it."""
    if not seconds:
        return "0.0"
    text = f"{seconds:.9f}"
    return text if -_ROUNDING_S < float(text) - seconds < _ROUNDING_S else repr(seconds)


class Encoder:
    """Makes lines; remembers how names are written. For one thread."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._places: dict[tuple[str, str, str, str | None], str] = {}
        self._quick: dict[type, tuple[str, Callable[[Any], str]]] = {
            Submitted: ("submitted", self._submitted),
            Granted: ("granted", self._granted),
            Beaten: ("beaten", self._beaten),
            Settled: ("settled", self._settled),
        }

    def lines(self, events: Iterable[Any], wall_offset_s: float) -> list[str]:
        """Each event as one line, without its end.

        Args:
            events: What happened, the oldest first.
            wall_offset_s: Seconds from the core's clock to Unix time.
        """
        made: list[str] = []
        add, names, places = made.append, self._names, self._places
        quick = self._quick.get
        last_s, last_place, moment, place = nan, None, "", ""
        for event in events:
            how = quick(event.__class__)
            if how is None:
                add(_general(event, wall_offset_s))
                continue
            at_s, cause = event.at_s, event.cause
            if at_s != last_s:  # a call that goes at once is submitted and granted in one moment
                last_s, moment = at_s, _moment(at_s, wall_offset_s)
            whose = event.agent, event.tenant, event.group, event.endpoint
            if whose != last_place:
                last_place, place = whose, places.get(whose) or self._place(whose)
            shown = names.get(cause) or self._text(cause)
            add(
                f'{{"kind":"{how[0]}",{moment}{event.ticket},'
                f'"cause":{shown},{place}{how[1](event)}}}'
            )
        return made

    def _text(self, text: str) -> str:
        found = self._names.get(text)
        if found is None:
            if len(self._names) > _CACHED:
                self._names.clear()
            found = self._names[text] = _quoted(text)
        return found

    def _place(self, whose: tuple[str, str, str, str | None]) -> str:
        """Whose call it is and where it runs: the same for most events of an agent."""
        if len(self._places) > _CACHED:
            self._places.clear()
        agent, tenant, group, endpoint = whose
        made = f'"agent":{self._text(agent)},"group":{self._text(group)}'
        if tenant != "default":
            made += f',"tenant":{self._text(tenant)}'
        if endpoint is not None:
            made += f',"endpoint":{self._text(endpoint)}'
        self._places[whose] = made
        return made

    def _submitted(self, event: Submitted) -> str:
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
        return more

    @staticmethod
    def _granted(event: Granted) -> str:
        return f',"waited_s":{_span(event.waited_s)}'

    @staticmethod
    def _beaten(event: Beaten) -> str:
        return f',"tokens":{event.tokens}'

    @staticmethod
    def _settled(event: Settled) -> str:
        usage = event.usage
        more = "" if usage is None else f',"usage":{_usage_text(usage)}'
        if event.cost:
            more += f',"cost":{event.cost!r}'
        if event.status is not None:
            more += f',"status":{event.status}'
        # Added, not formatted: that asks the enum for its words, which is slow.
        return ',"outcome":"' + event.outcome + f'","held_s":{_span(event.held_s)}{more}'


def _general(event: Effect, wall_offset_s: float) -> str:
    """The line of a kind that is not made for every call."""
    told = event._replace(wall_s=event.at_s + wall_offset_s)
    return json.dumps(plain_event(told), separators=(",", ":"))


def _usage_text(usage: Usage) -> str:
    """As `_usage`, by hand: every call has one."""
    plain = usage.input_tokens and usage.output_tokens
    if plain and not (usage.cached_input_tokens or usage.cache_write_tokens):
        return f'{{"input_tokens":{usage.input_tokens},"output_tokens":{usage.output_tokens}}}'
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

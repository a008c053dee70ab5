"""An event as a line of JSON, and back.

Law: one object a line, ``{"kind": ..., "at_s": ..., "wall_s": ..., ...}`` with the fields of the
event's class. A field that has its default value is left out. JSON has no infinity: a number that
is not finite is ``null``, and reads as infinity where the field is not optional.

In a recording the kinds that every call makes are shorter. Their moment is one whole number,
``"unix_ns"``: the core's clock and ``"offset_ns"``, which the header tells, and a line of the kind
"clock" where it changes. Spans are ``"held_ns"`` and ``"waited_ns"``. A call that had its lane at
once is one line: a ``submitted`` with the rule of its grant as ``"granted"``. What is no whole
number of nanoseconds stands there in seconds. `events_of` reads all of it, and version 1 as well.

What people called things (agents, tenants, labels; groups and endpoints in samples too) is written
with whatever looks like a secret hidden, and cut to 200 characters. No event holds a prompt, an
answer, a key or a header.

The kinds that every call makes are written by hand: that is a tenth of the general way's price, and
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
from agentrm_plugins.types.effects import Beaten, Effect, Granted, Queued, Settled, Submitted
from agentrm_plugins.types.kinds import KINDS, kind_of

__all__ = [
    "SCHEMA",
    "VERSION",
    "Encoder",
    "event_of",
    "events_of",
    "nanos_of",
    "plain_event",
    "shown_data",
]

SCHEMA = "agentrm.events"
VERSION = 2
_LONGEST = 200
_CACHED = 20_000
_NANOS = 1_000_000_000
_LONG_S = 4_000_000.0  # beyond it a float does not tell nanoseconds apart
_ROUNDING_S = 1e-11  # what is left over where two such times are subtracted
_IN_NANOS = ("unix_ns", "held_ns", "waited_ns")
_USAGE = ("input_tokens", "output_tokens", "cached_input_tokens", "cache_write_tokens")


def _quoted(text: str) -> str:
    return json.dumps(_shown(text))


def _shown(text: str) -> str:
    shown = masked(text[: 2 * _LONGEST])
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 3] + "..."


def shown_data(value: Any) -> Any:
    """Plain data with its texts and names as events show them: no secret, and none long."""
    if isinstance(value, str):
        return _shown(value)
    if isinstance(value, dict):
        return {_shown(str(name)): shown_data(one) for name, one in value.items()}
    return [shown_data(one) for one in value] if isinstance(value, list | tuple) else value


def _number(value: float) -> str:
    """Any number, or null for one that JSON does not have."""
    return repr(value) if -inf < value < inf else "null"


_Told = tuple[str, str, str, str, str | None]


class Encoder:
    """Makes lines; remembers how names are written. For one thread.

    Args:
        recorded: Whether lines are the short ones of a recording.
    """

    def __init__(self, *, recorded: bool = False) -> None:
        self._recorded = recorded
        self._names: dict[str, str] = {}
        self._told: dict[_Told, str] = {}
        self._at_s, self._offset_s, self._offset_ns, self._moment = nan, nan, 0, ""
        self._quick: dict[type, Callable[[Any], str]] = {
            Submitted: self._submitted,
            Queued: self._queued,
            Granted: self._granted,
            Beaten: self._beaten,
            Settled: self._settled,
        }

    def lines(self, events: Iterable[Any], wall_offset_s: float) -> list[str]:
        """Each event as one line, without its end; of two that are together, one line.

        Args:
            events: What happened, the oldest first.
            wall_offset_s: Seconds from the core's clock to Unix time.
        """
        made: list[str] = []
        add, quick, together = made.append, self._quick, self._recorded
        self._at_s, self._offset_s, self._offset_ns = nan, wall_offset_s, nanos_of(wall_offset_s)
        asked: Submitted | None = None
        for event in events:
            kind = event.__class__
            if asked is not None:
                if kind is Granted and (both := self._went(asked, event)):
                    add(both)
                    asked = None
                    continue
                add(self._submitted(asked))
                asked = None
            if kind is Submitted and together:
                asked = event
            elif kind in quick:
                add(quick[kind](event))
            else:
                add(_general(event, wall_offset_s))
        if asked is not None:
            add(self._submitted(asked))
        return made

    def _text(self, text: str) -> str:
        found = self._names.get(text)
        if found is None:
            if len(self._names) > _CACHED:
                self._names.clear()
            found = self._names[text] = _quoted(text)
        return found

    def _when(self, at_s: float) -> str:
        """When it was, up to the number of its ticket. Much happens in one moment."""
        self._at_s = at_s
        if self._recorded:
            nanos = int(at_s * 1e9 + 0.5)
            if nanos / _NANOS == at_s:
                self._moment = f'"unix_ns":{nanos + self._offset_ns},"ticket":'
                return self._moment
        wall_s = at_s + self._offset_s
        self._moment = f'"at_s":{_number(at_s)},"wall_s":{wall_s:.6f},"ticket":'
        return self._moment

    def _span(self, name: str, seconds: float) -> str:
        if self._recorded and 0.0 <= seconds < _LONG_S:
            nanos = int(seconds * 1e9 + 0.5)
            if -_ROUNDING_S < nanos / _NANOS - seconds < _ROUNDING_S:
                return f',"{name}_ns":{nanos}'
        return f',"{name}_s":{_number(seconds)}'

    def _tell(self, told: _Told) -> str:
        """Why, whose call it is and where it runs: the same for most events of an agent."""
        if len(self._told) > _CACHED:
            self._told.clear()
        cause, agent, tenant, group, endpoint = told
        made = f'"cause":{self._text(cause)},"agent":{self._text(agent)}'
        made += f',"group":{self._text(group)}'
        if tenant != "default":
            made += f',"tenant":{self._text(tenant)}'
        if endpoint is not None:
            made += f',"endpoint":{self._text(endpoint)}'
        self._told[told] = made
        return made

    def _went(self, asked: Submitted, granted: Granted) -> str:
        """The line of both; none if more is new in the grant than its rule."""
        (at_s, ticket, agent, cause, priority, estimate_tokens, parent, hedge_of, parent_agent,
         tenant, group, endpoint, _) = asked  # fmt: skip
        g_at_s, g_ticket, g_agent, rule, g_group, waited_s, g_tenant, g_endpoint, _ = granted
        if (g_ticket != ticket or waited_s or g_at_s != at_s or g_agent != agent
                or g_tenant != tenant or g_group != group or g_endpoint != endpoint):  # fmt: skip
            return ""
        if parent is not None or hedge_of is not None or parent_agent is not None or priority:
            return f'{self._submitted(asked)[:-1]},"granted":{self._text(rule)}}}'
        told = cause, agent, tenant, group, endpoint
        try:
            shown = self._told[told]
        except KeyError:
            shown = self._tell(told)
        when = self._moment if at_s == self._at_s else self._when(at_s)
        by = self._text(rule)
        if estimate_tokens:
            by += f',"estimate_tokens":{estimate_tokens}'
        return f'{{"kind":"submitted",{when}{ticket},{shown},"granted":{by}}}'

    def _submitted(self, event: Submitted) -> str:
        (at_s, ticket, agent, cause, priority, estimate_tokens, parent, hedge_of, parent_agent,
         tenant, group, endpoint, _) = event  # fmt: skip
        told = cause, agent, tenant, group, endpoint
        try:
            shown = self._told[told]
        except KeyError:
            shown = self._tell(told)
        when = self._moment if at_s == self._at_s else self._when(at_s)
        if parent is None and hedge_of is None and parent_agent is None and not priority:
            if estimate_tokens:
                more = f',"estimate_tokens":{estimate_tokens}}}'
                return f'{{"kind":"submitted",{when}{ticket},{shown}{more}'
            return f'{{"kind":"submitted",{when}{ticket},{shown}}}'
        more = f',"priority":{self._text(priority)}' if priority else ""
        if estimate_tokens:
            more += f',"estimate_tokens":{estimate_tokens}'
        if parent is not None:
            more += f',"parent":{parent}'
        if hedge_of is not None:
            more += f',"hedge_of":{hedge_of}'
        if parent_agent is not None:
            more += f',"parent_agent":{self._text(parent_agent)}'
        return f'{{"kind":"submitted",{when}{ticket},{shown}{more}}}'

    def _queued(self, event: Queued) -> str:
        at_s, ticket, agent, cause, level, waiting, tenant, group, endpoint, _ = event
        told = cause, agent, tenant, group, endpoint
        shown = self._told.get(told) or self._tell(told)
        when = self._moment if at_s == self._at_s else self._when(at_s)
        return f'{{"kind":"queued",{when}{ticket},{shown},"level":{level},"waiting":{waiting}}}'

    def _granted(self, event: Granted) -> str:
        at_s, ticket, agent, cause, group, waited_s, tenant, endpoint, _ = event
        told = cause, agent, tenant, group, endpoint
        shown = self._told.get(told) or self._tell(told)
        when = self._moment if at_s == self._at_s else self._when(at_s)
        return f'{{"kind":"granted",{when}{ticket},{shown}{self._span("waited", waited_s)}}}'

    def _beaten(self, event: Beaten) -> str:
        told = event.cause, event.agent, event.tenant, event.group, event.endpoint
        shown = self._told.get(told) or self._tell(told)
        at_s = event.at_s
        when = self._moment if at_s == self._at_s else self._when(at_s)
        return f'{{"kind":"beaten",{when}{event.ticket},{shown},"tokens":{event.tokens}}}'

    def _settled(self, event: Settled) -> str:
        (at_s, ticket, agent, cause, outcome, held_s, usage, cost, status,
         tenant, group, endpoint, _) = event  # fmt: skip
        told = cause, agent, tenant, group, endpoint
        try:
            shown = self._told[told]
        except KeyError:
            shown = self._tell(told)
        when = self._moment if at_s == self._at_s else self._when(at_s)
        more = "" if usage is None else _usage_text(usage)
        if cost:
            more += f',"cost":{_number(cost)}'
        if status is not None:
            more += f',"status":{status}'
        nanos = int(held_s * 1e9 + 0.5) if self._recorded and 0.0 <= held_s < _LONG_S else -1
        if nanos >= 0 and -_ROUNDING_S < nanos / _NANOS - held_s < _ROUNDING_S:
            more = f',"held_ns":{nanos}{more}'
        else:
            more = f',"held_s":{_number(held_s)}{more}'
        # The outcome is added, not formatted: that asks the enum for its words, which is slow.
        return f'{{"kind":"settled",{when}{ticket},{shown}{more},"outcome":"' + outcome + '"}'


def _general(event: Effect, wall_offset_s: float) -> str:
    """The line of a kind that is not made for every call."""
    told = event._replace(wall_s=event.at_s + wall_offset_s)
    return json.dumps(plain_event(told), separators=(",", ":"))


def _usage_text(usage: Usage) -> str:
    """As `_usage`, by hand: every call has one."""
    inputs, outputs = usage.input_tokens, usage.output_tokens
    if inputs and outputs and not (usage.cached_input_tokens or usage.cache_write_tokens):
        return f',"usage":{{"input_tokens":{inputs},"output_tokens":{outputs}}}'
    told = f'"input_tokens":{inputs}' if inputs else ""
    if outputs:
        told += f',"output_tokens":{outputs}'
    if usage.cached_input_tokens:
        told += f',"cached_input_tokens":{usage.cached_input_tokens}'
    if usage.cache_write_tokens:
        told += f',"cache_write_tokens":{usage.cache_write_tokens}'
    return f',"usage":{{{told.removeprefix(",")}}}'


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
            plain[name] = _shown(value) if isinstance(value, str) else value
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


def nanos_of(seconds: float) -> int:
    """Whole nanoseconds."""
    return round(seconds * _NANOS)


def events_of(plain: dict[str, Any], offset_ns: int = 0) -> tuple[Effect, ...]:
    """The events that a line of a recording tells of: one, two together, or none that is known.

    Args:
        plain: The line.
        offset_ns: From the core's clock to Unix time, as the header or a "clock" said last.

    Raises:
        ValueError: As `event_of` does.
    """
    for name, count in [(name, plain[name]) for name in _IN_NANOS if name in plain]:
        if type(count) is not int:
            raise ValueError(f"{name}={str(count)[:40]!r}: not a whole number")
        plain[name.removesuffix("_ns") + "_s"] = count / _NANOS
        if name == "unix_ns":
            plain |= {"at_s": (count - offset_ns) / _NANOS, "wall_s": count / _NANOS}
    event = event_of(plain)
    if event is None:
        return ()
    if event.__class__ is not Submitted or "granted" not in plain:
        return (event,)
    rule = _value(plain["granted"], "granted", str, optional=False)
    granted = Granted(
        *(event.at_s, event.ticket, event.agent, rule, event.group, 0.0),
        tenant=event.tenant,
        endpoint=event.endpoint,
        wall_s=event.wall_s,
    )
    return event, granted


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

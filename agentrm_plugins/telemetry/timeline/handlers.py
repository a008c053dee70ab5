"""What each kind of event does to the books of a timeline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

from agentrm_plugins.telemetry.timeline.calls import OpenCall, Told
from agentrm_plugins.telemetry.timeline.state import State
from agentrm_plugins.telemetry.timeline.tallies import SessionRow, Waits
from agentrm_plugins.telemetry.timeline.words import tokens_of
from agentrm_plugins.types.agent_key import agent_key

__all__ = ["HANDLERS"]

_START = {"interactive": 0, "batch": 1, "background": 2}  # where each class of agents begins
_TOO_MANY_REQUESTS = 429
Fields = Mapping[str, Any]


def _number(event: Fields, name: str) -> float:
    """A figure; what is left out, unlimited or no number is 0."""
    value = event.get(name)
    return float(value) if value is not None and isfinite(value) else 0.0


def _text(event: Fields, name: str) -> str:
    return str(event.get(name) or "")


def _submitted(state: State, event: Fields) -> None:
    call = state.call(event)
    call.kind, call.label = _text(event, "priority"), _text(event, "cause")
    call.group = _text(event, "group") or "model"
    row = state.agents.of(call.key)
    if not row.asked:
        row.level = _START.get(call.kind, 0)
    row.asked += 1
    row.priority, row.last_s = call.kind or row.priority, state.now_s
    state.wait(call, waits=True)


def _queued(state: State, event: Fields) -> None:
    call = state.call(event)
    level = int(_number(event, "level"))
    state.agents.of(call.key).level = level
    if not call.waits:
        state.wait(call, waits=True)
    elif call.level != level:
        state.relevel(call, level)
    state.hold_back(call, "")


def _throttled(state: State, event: Fields) -> None:
    call = state.call(event)
    if call.waits:
        state.hold_back(call, _text(event, "cause") or "rate")


def _granted(state: State, event: Fields) -> None:
    call = state.call(event)
    state.wait(call, waits=False)
    waited_s = _number(event, "waited_s")
    call.waited_s += waited_s
    state.enter(call, _text(event, "group"), nested=event.get("cause") == "nested")
    state.agents.of(call.key).waited_s += waited_s
    state.waits.setdefault(call.kind or "no class", Waits()).add(waited_s)
    endpoint = state.endpoint(call.endpoint)
    if endpoint is not None:
        endpoint.sent += 1
        state.rate(call.endpoint, "requests", "used", 1.0)


def _settled(state: State, event: Fields) -> None:
    call = state.call(event)
    read, wrote = tokens_of(event.get("usage"))
    call.tokens += read + wrote
    cost = _number(event, "cost")
    row, endpoint = state.agents.of(call.key), state.endpoint(call.endpoint)
    row.calls, row.cost = row.calls + 1, row.cost + cost
    row.use(read + wrote, state.now_s)
    row.last_s = state.now_s
    if endpoint is not None:
        endpoint.cost += cost
    used = {"tokens": read + wrote, "input_tokens": read, "output_tokens": wrote}
    for resource, tokens in used.items():
        if tokens and f"{call.endpoint}|{resource}" in state.rates.found:
            state.rate(call.endpoint, resource, "used", tokens)
    if event.get("status") == _TOO_MANY_REQUESTS:
        state.hit(call.endpoint)
        row.limit_hits += 1
    cause = _text(event, "cause") or "ok"
    state.end_attempt(call, "hang" if cause == "late" else cause, cause)
    _end(state, call, "hang" if call.reaped else cause, Told(state.now_s, "Settled", event))


def _end(state: State, call: OpenCall, kind: str, last: Told) -> None:
    call.tell(last)
    state.forget(call)
    state.slowest.add(call, state.now_s, kind)


def _refused(state: State, event: Fields) -> None:
    call = state.call(event)
    call.waited_s += _number(event, "waited_s")
    state.agents.of(call.key).refused += 1
    _end(state, call, "refused", Told(state.now_s, "Refused", event))


def _reaped(state: State, event: Fields) -> None:
    call = state.call(event)
    state.end_attempt(call, "hang", _text(event, "cause"))
    state.leave(call)
    call.reaped = True
    state.agents.of(call.key).zombies += 1


def _suspected(state: State, event: Fields) -> None:
    call = state.call(event)
    call.late_s = state.now_s
    state.lend(call)


def _requeued(state: State, event: Fields) -> None:
    call, cause = state.call(event), _text(event, "cause")
    state.end_attempt(call, "retry", cause)
    state.leave(call)
    if cause != "unsent":  # that was no attempt
        call.attempt += 1
        state.agents.of(call.key).retries += 1
    if cause == "limit" or event.get("status") == _TOO_MANY_REQUESTS:
        state.hit(call.endpoint)
        state.agents.of(call.key).limit_hits += 1
    state.wait(call, waits=True)


def _beaten(state: State, event: Fields) -> None:
    state.call(event).beats += 1


def _demoted(state: State, event: Fields) -> None:
    row = state.agent(_text(event, "agent"), _text(event, "tenant") or "default")
    level = int(_number(event, "level"))
    if row.level == level:
        return
    row.level = level
    if row.waiting:
        for call in state.open.values():
            if call.waits and call.key == row.name:
                state.relevel(call, level)


def _boosted(state: State, event: Fields) -> None:
    del event
    for row in state.agents:
        row.level = 0
    for call in state.open.values():
        if call.waits and call.level:
            state.relevel(call, 0)
    for level, number in state.strangers.items():
        state.deepen(level, -number)
        state.deepen(0, number)
    state.strangers = Counter({0: state.strangers.total()} if state.strangers else {})


def _limit_changed(state: State, event: Fields) -> None:
    name, resource = _text(event, "endpoint"), _text(event, "resource")
    row, per_s, limit_per_s = (
        state.endpoint(name),
        _number(event, "per_s"),
        event.get("limit_per_s"),
    )
    if row is None or not per_s:  # unlimited is drawn as nothing
        return
    row.limits[resource] = per_s, limit_per_s, _text(event, "source")
    state.rate(name, resource, "allowed", per_s)
    if limit_per_s is not None and isfinite(limit_per_s):
        state.rate(name, resource, "limit", limit_per_s)


def _endpoint_closed(state: State, event: Fields) -> None:
    row = state.endpoint(_text(event, "endpoint"))
    if row is not None:
        row.closed_until_s = _number(event, "until_s") - (state.begun_s or 0.0)


def _breaker_changed(state: State, event: Fields) -> None:
    row = state.endpoint(_text(event, "endpoint"))
    if row is not None:
        row.breaker = _text(event, "cause")


def _session(state: State, event: Fields) -> SessionRow:
    name = _text(event, "session") or _text(event, "agent")
    return state.sessions.of(agent_key(_text(event, "tenant") or "default", name))


def _compacted(state: State, event: Fields) -> None:
    row = _session(state, event)
    before, after = int(_number(event, "before_tokens")), int(_number(event, "after_tokens"))
    if not row.exact:
        row.warm = int(_number(event, "warm_tokens"))
        row.hot, row.cold = max(0, after - row.warm), row.cold + max(0, before - after)
    row.window = event.get("budget_tokens") or row.window
    row.compactions, row.asleep = row.compactions + 1, False


def _prepared(state: State, event: Fields) -> None:
    row = _session(state, event)
    row.hot, row.warm = int(_number(event, "hot_tokens")), int(_number(event, "warm_tokens"))
    row.cold, row.exact = int(_number(event, "cold_tokens")), True
    row.window = event.get("budget_tokens") or row.window
    row.compactions = max(row.compactions, int(_number(event, "compactions")))
    row.asleep = False
    state.waited_for_context(_number(event, "took_s"))


def _drained(state: State, event: Fields) -> None:
    row = state.agent(_text(event, "agent"), _text(event, "tenant") or "default")
    row.drained = event.get("cause") == "drained"


def _recalled(state: State, event: Fields) -> None:
    row = _session(state, event)
    row.recalls, row.asleep = row.recalls + 1, False


def _hibernated(state: State, event: Fields) -> None:
    _session(state, event).asleep = True


HANDLERS: dict[str, Callable[[State, Fields], None]] = {
    "Beaten": _beaten,
    "Boosted": _boosted,
    "BreakerChanged": _breaker_changed,
    "Compacted": _compacted,
    "Demoted": _demoted,
    "Drained": _drained,
    "EndpointClosed": _endpoint_closed,
    "Granted": _granted,
    "Hibernated": _hibernated,
    "LimitChanged": _limit_changed,
    "Prepared": _prepared,
    "Queued": _queued,
    "Reaped": _reaped,
    "Recalled": _recalled,
    "Refused": _refused,
    "Requeued": _requeued,
    "Settled": _settled,
    "Submitted": _submitted,
    "Suspected": _suspected,
    "Throttled": _throttled,
}

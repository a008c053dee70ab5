"""A timeline that begins in the middle: from the statistics of a core to what goes on in it.

Law: after it each waiting call is counted once, at its agent, its endpoint and its level, and its
next event finds it so. Of those that the statistics count and do not list (`strangers`) one becomes
known with the first event that only a call that waited can have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from agentrm_plugins.telemetry.timeline.state import State
from agentrm_plugins.types.call_statistics import FOR_LANES

__all__ = ["WAITED", "adopt", "known"]

WAITED = frozenset({"Queued", "Throttled", "Granted", "Refused"})
Plain = Mapping[str, Any]


def adopt(state: State, seen: Plain) -> None:
    """Take over what `seen` tells; the state has come to its time already, and is empty."""
    for key, agent in (seen.get("agents") or {}).items():
        _agent(state, key, agent)
    for key, session in (seen.get("sessions") or {}).items():
        _session(state, key, session)
    for name, endpoint in (seen.get("endpoints") or {}).items():
        _endpoint(state, name, endpoint)
    for name, group in (seen.get("groups") or {}).items():
        state.groups_peak[name] = max(state.groups_peak[name], group["peak"])
    for running in seen.get("calls") or ():
        _running(state, running)
    _waiting(state, seen)
    for name, pressure in state.pressure.items():
        told = (seen.get("pressure") or {}).get(name)
        if told is not None:
            pressure.shares = [told["last_10_s"], told["last_60_s"], told["last_300_s"]]
            pressure.total_s = told["total_s"]
    state.press()


def known(state: State, event: Plain) -> None:
    """A call that may have been a stranger tells of itself: it waited at its agent's level."""
    if int(event.get("ticket") or 0) in state.open:
        return
    call = state.call(event)
    row, endpoint = state.agents.of(call.key), state.endpoint(call.endpoint)
    level = row.level if state.strangers[row.level] else max(state.strangers)
    state.strangers[level] -= 1
    state.strangers += Counter()  # only levels with somebody in them are kept
    call.waits, call.level = True, level
    call.begun_s = call.wait_s = state.now_s - float(event.get("waited_s") or 0.0)
    row.waiting = max(1, row.waiting)
    if endpoint is not None:
        endpoint.waiting = max(1, endpoint.waiting)


def _agent(state: State, key: str, agent: Plain) -> None:
    row = state.agents.of(key)
    row.agent, row.tenant = key.partition("/")[2] or key, agent["tenant"]
    row.level, row.calls, row.asked = agent["level"], agent["calls"], agent["calls"] + 1
    row.served_s, row.waited_s = agent["service_s"], agent["waited_s"]
    row.tokens, row.zombies = agent["tokens"], agent["zombies"]
    row.refused, row.drained = agent["refused"], bool(agent.get("drained"))
    row.waiting, row.cost = agent.get("waiting", 0), agent.get("cost", 0.0)
    row.retries, row.limit_hits = agent.get("requeues", 0), agent.get("limit_hits", 0)
    row.adopt_rate(agent.get("tokens_per_s", 0.0), state.now_s)


def _session(state: State, key: str, session: Plain) -> None:
    row = state.sessions.of(key)
    row.hot, row.warm = session["hot_tokens"], session["warm_tokens"]
    row.cold, row.window = session.get("cold_tokens", 0), session["budget_tokens"]
    row.compactions, row.recalls = session["compactions"], session["recalls"]
    row.exact = True


def _endpoint(state: State, name: str, endpoint: Plain) -> None:
    row = state.endpoint(name)
    if row is None:
        return
    row.breaker, row.cost = endpoint["breaker"], endpoint["cost"]
    row.sent, row.limit_hits = endpoint["sent"], endpoint["limit_hits"]
    row.waiting = endpoint.get("waiting", 0)
    row.closed_until_s = state.now_s + endpoint.get("closed_for_s", 0.0)
    for resource, rate in endpoint["rates"].items():
        if rate["allowed_per_min"] is not None:
            per_s, limit = rate["allowed_per_min"] / 60.0, rate["limit_per_min"]
            row.limits[resource] = per_s, limit and limit / 60.0, rate["source"]
            state.rate(name, resource, "allowed", per_s)
            if limit is not None:
                state.rate(name, resource, "limit", limit / 60.0)


def _running(state: State, told: Plain) -> None:
    call = state.call(told)
    call.begun_s = state.now_s - told["age_s"] - told["waited_s"]
    state.enter(call, told["group"], nested=bool(told.get("nested")))
    call.granted_s, call.waited_s = state.now_s - told["age_s"], told["waited_s"]
    _said(state, told)
    if told.get("late"):
        call.late_s = state.now_s
        state.lend(call)


def _said(state: State, told: Plain) -> None:
    """What is said of a call whether it runs or waits."""
    call = state.call(told)
    call.attempt, call.label = told["attempt"], told["label"]
    call.kind = told.get("priority") or ""
    row = state.agents.of(call.key)
    row.priority, row.last_s = call.kind or row.priority, state.now_s


def _waiting(state: State, seen: Plain) -> None:
    """Those that wait: listed ones with all that is known, the rest by their number."""
    levels: Counter[int] = Counter()
    for told in seen.get("waiters") or ():
        call = state.call(told)
        call.begun_s, call.wait_s = state.now_s - told["age_s"], state.now_s - told["waiting_s"]
        call.group, call.level, call.waited_s = told["group"], told["level"], told["waited_s"]
        call.waits = True
        call.why = "" if told["held_by"] in FOR_LANES else told["held_by"]
        state.held_back += bool(call.why)
        _said(state, told)
        levels[call.level] += 1
        row = state.agents.of(call.key)
        if call.key not in seen["agents"]:
            row.level, row.waiting = call.level, row.waiting + 1
    state.strangers = _strangers(seen, levels)
    for level, number in (levels + state.strangers).items():
        state.deepen(level, number)


def _strangers(seen: Plain, listed: Counter[int]) -> Counter[int]:
    """How many wait in each level and are not listed; as many in all as are missing."""
    depth = Counter(dict(enumerate(seen.get("queue_depth") or ())))
    missing = max(0, (seen.get("waiting") or 0) - listed.total())
    found: Counter[int] = Counter()
    for level, number in (depth - listed).items():
        found[level] = min(number, missing)
        missing -= found[level]
    if missing:
        found[max(depth, key=lambda level: depth[level], default=0)] += missing
    return +found

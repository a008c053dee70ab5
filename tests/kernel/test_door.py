"""A kernel that cannot be half done: bad values stop at the door, a bug costs one call at most."""

from __future__ import annotations

import math
from math import inf, nan

import pytest

from agentrm_plugins.config import LaneGroup
from agentrm_plugins.config.endpoints import BudgetConfig, EndpointConfig, ShareConfig
from agentrm_plugins.errors import ConfigError, KernelBug
from agentrm_plugins.kernel import Kernel
from agentrm_plugins.types import effects as fx
from agentrm_plugins.types import events as ev
from agentrm_plugins.types.calls import Call, Outcome, Usage
from agentrm_plugins.types.verdicts import Kind, LimitReport, ServerLimit, Verdict
from tests.kernel.world import config

HUGE = 10**400
CALL = Call("a")
BAD_CALLS = [
    *({"endpoint": value} for value in (5, "", [], b"x")),
    *({"group": value} for value in (None, 3, ["model"])),
    *({"parent_agent": value} for value in (7, ["b"], b"b")),
    *({"streaming": value} for value in (1, None, "yes")),
    *({"hedge": value} for value in (0, None)),
    *({"adaptive": value} for value in (1, "no")),
    *({"label": value} for value in (None, 5)),
    *({"max_output_tokens": value} for value in (HUGE, 0, -1, 1.5, True)),
    *({"wait_timeout_s": value} for value in (HUGE, nan, inf, -1)),
    *({"total_timeout_s": value} for value in (HUGE, "600")),
]
BAD_EVENTS = [
    ev.Submit("1", CALL),
    ev.Submit(1.0, CALL),
    ev.Submit(HUGE, "call"),
    ev.Submit(1, {"agent": "a"}),
    ev.Submit(1, None),
    ev.Submit(1, CALL, [2]),
    ev.Submit(1, CALL, parent=True),
    ev.Submit(1, CALL, place_of="3"),
    ev.Submit(1, CALL, hedge_of=2.5),
    ev.Withdraw([], "x"),
    ev.Withdraw(1, None),
    ev.Beat(1, -1),
    ev.Beat(1, HUGE),
    ev.Beat(1, 1.5),
    ev.Beat(1, None),
    ev.Beat(1, True),
    ev.Idle(1, None),
    ev.Idle(1, True, nan),
    ev.Idle(1, True, "now"),
    ev.Settle(1, 5),
    ev.Settle(1, {"input_tokens": 1}),
    ev.Settle(1, None, "ok"),
    ev.Settle(1, None, Outcome.ERROR, "limit"),
    ev.Settle(1, None, Outcome.ERROR, None, {}),
    ev.Settle(None),
    ev.Requeue(1, None),
    ev.Requeue(1, Verdict(Kind.LIMIT), nan),
    ev.Requeue(1, Verdict(Kind.LIMIT), inf),
    ev.Requeue(1, Verdict(Kind.LIMIT), HUGE),
    ev.Requeue(1, Verdict(Kind.LIMIT), 0.0, LimitReport(retry_after_s=nan)),
    ev.Observe(5, LimitReport()),
    ev.Observe("", LimitReport()),
    ev.Observe("x/m", None),
    ev.Observe("x/m", LimitReport(tokens=ServerLimit(inf, 1.0))),
    ev.Observe("x/m", LimitReport(tokens=ServerLimit(10.0, -1.0))),
    ev.Observe("x/m", LimitReport(retry_after_s=-5.0)),
    ev.Observe("x/m", LimitReport(), None, nan),
    ev.EndAgent(None),
    ev.EndAgent("a", ["t"]),
    ev.Close(3),
    "tick",
    None,
]


@pytest.mark.parametrize("fields", BAD_CALLS, ids=range(len(BAD_CALLS)))
def test_a_bad_call_is_named_where_it_is_made(fields):
    """The error names the field and the way out, however large the value is."""
    with pytest.raises(ConfigError) as error:
        Call("a", **fields)
    assert error.value.field in fields
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize("name", ["input_tokens", "output_tokens", "cached_input_tokens"])
@pytest.mark.parametrize("value", [HUGE, 10**5000, -HUGE, 10**12 + 1], ids=range(4))
def test_no_provider_counts_that_many_tokens(name, value):
    """A count that would overflow a float is refused where it is made."""
    with pytest.raises(ConfigError) as error:
        Usage(**{name: value})
    assert error.value.field == name


@pytest.mark.parametrize("event", BAD_EVENTS, ids=range(len(BAD_EVENTS)))
def test_a_bad_event_changes_nothing(event):
    """Two calls run, one waits: after the refusal they do so still, and the books agree."""
    kernel = Kernel(config(2, endpoints={"x/*": EndpointConfig(tpm=6000.0)}))
    for number in (11, 12, 13):
        kernel.handle(0.0, ev.Submit(number, Call("b", endpoint="x/m")))
    before = kernel.statistics()
    with pytest.raises(ConfigError) as error:
        kernel.handle(0.0, event)
    assert len(str(error.value)) < 1000
    kernel.validate()
    assert kernel.statistics() == before


def test_what_else_happened_is_told_with_the_error():
    """Of three events the second is bad: the others happen, and their effects are not lost."""
    kernel = Kernel(config(1))
    with pytest.raises(ConfigError) as error:
        kernel.handle(0.0, ev.Submit(1, CALL), ev.Beat(1, -5), ev.Submit(2, CALL))
    kinds = [type(effect).__name__ for effect in error.value.effects]
    assert kinds == ["Submitted", "Granted", "Submitted", "Queued"]
    kernel.validate()


# -- a bug of ours --------------------------------------------------------------------------------

FULL = {
    "endpoints": {"x/*": EndpointConfig(tpm=60_000.0, rpm=600.0)},
    "budgets": (BudgetConfig(1e6, agent="*"),),
    "shares": (ShareConfig(0.9, agent="*"),),
}


def busy():
    """Two calls run, one of them nested, three wait, one sleeps, one is a zombie."""
    groups = LaneGroup("model", 2, per_agent=2, per_tenant=2), LaneGroup("node", 2)
    kernel = Kernel(config(3, "mlfq", *groups, response_timeout_s=50.0, **FULL))
    feed(kernel, 0.0, ev.Submit(1, Call("node", group="node", total_timeout_s=5.0)))
    feed(kernel, 1.0, ev.Submit(2, model("a")), ev.Submit(3, model("b")))
    feed(kernel, 1.0, ev.Submit(4, model("c"), 1), ev.Submit(5, model("a")))
    feed(kernel, 1.0, ev.Submit(6, model("d")), ev.Submit(7, model("b")))
    feed(kernel, 1.5, ev.Requeue(3, Verdict(Kind.TRANSIENT), 30.0))
    feed(kernel, 8.0, ev.Tick())
    return kernel


def model(agent):
    return Call(agent, endpoint="x/m", estimate=Usage(10, 10), parent_agent=None)


def feed(kernel, now_s, *events):
    effects = kernel.handle(now_s, *events)
    kernel.validate()
    return effects


STEPS = [
    ("endpoint", "sent"), ("endpoint", "ended"), ("endpoint", "need"), ("endpoint", "wait"),
    ("endpoint", "failed"), ("times", "add"), ("hedging", "billed"), ("queue", "put"),
    ("queue", "put_at_place"), ("queue", "take"), ("queue", "remove"), ("queue", "choose"),
    ("ledgers", "enter"), ("ledgers", "settle"), ("steps", "charge"), ("steps", "vacate"),
    ("steps", "grant"), ("clocks", "begin"), ("clocks", "rearm"),
    ("scheduler", "dispatched"), ("shares", "charge"), ("nested", "detach"), ("agents", "leave"),
    ("pool", "take"), ("pool", "leave"),
]  # fmt: skip
EVENTS = [
    ev.Submit(20, model("a")),
    ev.Submit(21, model("z"), 1),
    ev.Settle(2, Usage(10, 5)),
    ev.Settle(4, None, Outcome.ERROR, Verdict(Kind.TRANSIENT, 500)),
    ev.Requeue(2, Verdict(Kind.LIMIT, 429), 1.0, LimitReport(retry_after_s=2.0)),
    ev.Withdraw(6),
    ev.Withdraw(2),
    ev.Beat(2, 3),
    ev.EndAgent("a"),
    ev.Tick(),
]


def owner(kernel, name):
    """The object of the kernel of that name, whose method is to fail."""
    endpoint = kernel.books.endpoints["x/m"]
    parts = {"endpoint": endpoint, "times": endpoint.times, "hedging": endpoint.hedging}
    return parts.get(name) or getattr(kernel, name, None) or getattr(kernel.books, name)


class Planted(Exception):
    """A bug."""


@pytest.mark.parametrize("event", EVENTS, ids=[type(event).__name__ for event in EVENTS])
@pytest.mark.parametrize(("part", "method"), STEPS, ids=[".".join(step) for step in STEPS])
def test_a_bug_costs_one_call_at_most(part, method, event, monkeypatch):
    """Whatever fails, once, in whatever event: no lane is lost and everybody else comes home."""
    kernel = busy()
    kind, calls = type(owner(kernel, part)), []
    whole = getattr(kind, method)

    def broken(self, *args, **kwargs):
        calls.append(method)
        if len(calls) == 1:
            raise Planted(method)
        return whole(self, *args, **kwargs)

    monkeypatch.setattr(kind, method, broken)
    effects = []
    try:
        effects += kernel.handle(9.0, event)
    except Planted as error:
        effects += error.effects
        notes = error.__notes__
    else:
        notes = None
    monkeypatch.undo()
    assert kernel.books.counters.failed == (notes is not None)
    assert notes is None or repr(event)[:20] in notes[0]
    lost = {one.ticket for one in effects if isinstance(one, fx.Refused) and one.cause == "failed"}
    assert len(lost) <= 1
    come_home(kernel)


def come_home(kernel):
    """All that is left ends, and nothing is left over."""
    now_s = 9.0
    for _ in range(200):
        kernel.validate()
        tickets = kernel.books.tickets
        running = [n for n, one in tickets.items() if one.state.value in {"running", "zombie"}]
        if not tickets:
            break
        for number in running:
            kernel.handle(now_s, ev.Settle(number, Usage(1, 1)))
        now_s = min(now_s + 5.0, max(now_s, kernel.next_deadline()))
        kernel.handle(now_s, ev.Tick())
    statistics = kernel.statistics()
    assert (statistics.lanes_in_use, statistics.waiting, statistics.running) == (0, 0, 0)
    assert math.isinf(kernel.next_deadline()) or not kernel.books.tickets


def test_a_bug_is_told_apart_from_what_a_host_did_wrong():
    """A host's fault is a KernelBug with the call's story; it costs no call."""
    kernel = Kernel(config(1))
    kernel.handle(0.0, ev.Submit(1, CALL), ev.Submit(2, CALL))
    with pytest.raises(KernelBug, match=r"waits and was settled.*Submitted"):
        kernel.handle(0.0, ev.Settle(2))
    with pytest.raises(KernelBug, match="submitted twice"):
        kernel.handle(0.0, ev.Submit(1, CALL))
    kernel.validate()
    assert len(kernel.books.tickets) == 2

"""The feedback queue that forgets: levels, weights, claims and what they are learnt from."""

from __future__ import annotations

from math import exp, log
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrm_plugins.config import SchedulerConfig
from agentrm_plugins.errors import ConfigError
from agentrm_plugins.policy.order.agent_queue import AgentQueue
from agentrm_plugins.policy.order.expected_service import ExpectedService
from agentrm_plugins.policy.order.mlfq import Mlfq
from agentrm_plugins.policy.order.tenant_shares import DominantShares
from agentrm_plugins.types.accounts import Account, Tenant
from agentrm_plugins.types.calls import Priority
from tests.effort import effort

pytestmark = pytest.mark.lowest
TENANT = Tenant("t")


def mlfq(**fields: Any) -> Mlfq:
    return Mlfq(SchedulerConfig(**fields), DominantShares(4, 60.0))


def agent(scheduler: Mlfq, name: str, hint: Priority | None = None) -> Account:
    account = Account(name, TENANT, hint, 0.0)
    scheduler.enter(account)
    return account


def serve(scheduler: Mlfq, account: Account, *calls_s: float, now_s: float = 0.0) -> None:
    """Let calls of the agent end."""
    for call_s in calls_s:
        account.attained_s += call_s
        account.calls += 1
        scheduler.settle(account, now_s)
        scheduler.look(account, now_s)


def waiting(account: Account, submitted_s: float, seq: int) -> AgentQueue:
    offer = AgentQueue(account, None, seq)
    offer.append(SimpleNamespace(before=None, after=None, submitted_s=submitted_s, seq=seq))
    return offer


@pytest.mark.parametrize(
    ("hint", "service_s", "level"),
    [
        (Priority.BACKGROUND, 1.0, 0),
        (Priority.BACKGROUND, 1.001, 1),
        (Priority.BACKGROUND, 3.001, 2),
        (Priority.BACKGROUND, 7.001, 3),
        (Priority.BACKGROUND, 1e9, 3),
        (None, 2.0, 0),
        (None, 2.001, 1),
        (Priority.BATCH, 14.001, 3),
        (Priority.INTERACTIVE, 8.0, 0),
        (Priority.INTERACTIVE, 8.001, 1),
    ],
)
def test_agent_goes_down_by_its_quanta(hint: Priority, service_s: float, level: int) -> None:
    """Service, divided by the hint's weight, beyond the quanta's sum sends an agent down."""
    scheduler = mlfq()
    account = agent(scheduler, "a", hint)
    account.attained_s = service_s
    assert scheduler.look(account, 0.0) == (level != 0)
    assert scheduler.level(account, 0.0) == level
    assert not scheduler.look(account, 0.0)
    assert scheduler.demoted == ([(account, level)] if level else [])


def test_service_is_forgotten_without_being_visited() -> None:
    """Who waits long enough comes up, level by level, at the time that its service says."""
    scheduler = mlfq(service_half_life_s=10.0)
    queue = scheduler.queue()
    heavy, light = agent(scheduler, "heavy"), agent(scheduler, "light")
    heavy.attained_s = 16.0
    queue.add(waiting(heavy, 0.0, 1), 0.0)
    assert heavy.level == 3
    light.attained_s = 2.001
    queue.add(waiting(light, 0.0, 2), 0.0)
    assert queue.best(0.0).account is light
    assert (heavy.level, light.level) == (3, 1)
    assert queue.best(15.0).account is light, "16 s are 5.7 s now: below 6, so level 1 at most"
    assert heavy.level == 1
    assert queue.best(31.0).account is heavy, "both are at the top again, and one came earlier"


def test_service_in_flight_counts_and_silence_is_given_back() -> None:
    """Nobody has to visit a running agent; what a hung call did not give is taken back."""
    scheduler = mlfq()
    account = agent(scheduler, "a")
    account.running, account.since_sum_s = 2, 10.0 + 11.0
    assert not scheduler.look(account, 11.0)
    assert scheduler.look(account, 12.0)
    assert account.level == 1
    account.running, account.since_sum_s = 0, 0.0
    assert scheduler.look(account, 12.0)
    assert account.level == 0


def test_idle_service_is_forgotten_from_when_it_ended() -> None:
    """An agent that did not wait when its call ended has rested since then, not since its look."""
    scheduler = mlfq(service_half_life_s=10.0)
    account = agent(scheduler, "a")
    account.attained_s, account.calls = 16.0, 1
    assert not scheduler.charged(account, 20.0), "nobody has to know yet"
    assert scheduler.level(account, 20.0) == 3
    assert scheduler.level(account, 50.0) == 0, "16 s are 2 s by now"
    scheduler.settle(account, 50.0)
    assert account.recent_s == 2.0


def test_service_that_ends_while_its_agent_waits_counts_in_full() -> None:
    """What has just ended is not forgotten as though it had ended when the agent was last seen."""
    scheduler = mlfq(service_half_life_s=10.0)
    account = agent(scheduler, "a")
    account.bids["model"] = waiting(account, 0.0, 1)
    account.attained_s, account.calls = 16.0, 1
    assert scheduler.charged(account, 20.0)
    assert account.recent_s == 16.0
    assert account.level == 3


def test_hint_is_believed_while_the_calls_agree_with_it() -> None:
    """Whoever says "interactive" and makes long calls is soon treated as though it had not."""
    scheduler = mlfq()
    honest = [agent(scheduler, f"h{n}", Priority.INTERACTIVE) for n in range(4)]
    batch, silent = agent(scheduler, "b", Priority.BATCH), agent(scheduler, "s")
    liar = agent(scheduler, "l", Priority.INTERACTIVE)
    for _ in range(4):
        for account in honest:
            serve(scheduler, account, 1.0)
        for account in (batch, silent, liar):
            serve(scheduler, account, 8.0)
    assert [scheduler.weight(account) for account in honest] == [8.0] * 4
    assert scheduler.weight(liar) == scheduler.weight(silent) < scheduler.weight(batch) == 2.0
    assert liar.slope == silent.slope
    assert [account.level for account in honest] == [0] * 4
    assert liar.level == silent.level == batch.level == 3


@pytest.mark.parametrize(
    ("hint", "enough"),
    [(Priority.BATCH, 16.0), (None, 64.0)],
    ids=["of one weight", "weighed by their calls"],
)
def test_claim_is_for_short_calls_and_grows_with_the_wait(
    hint: Priority | None, enough: float
) -> None:
    """Within a level the short calls go first, and a long one goes once it has waited enough.

    Calls of four times the length count by the square of that, and weigh a quarter where no hint
    says what they weigh.
    """
    scheduler = mlfq(time_quanta_s=(1e9,), num_queues=1)
    queue = scheduler.queue()
    short, long = agent(scheduler, "short", hint), agent(scheduler, "long", hint)
    for _ in range(20):
        serve(scheduler, short, 1.0, 1.2)
        serve(scheduler, long, 4.0, 4.8)
    queue.add(old := waiting(long, 0.0, 1), 0.0)
    queue.add(new := waiting(short, 100.0, 2), 100.0)
    assert queue.best(100.0 + 100.0 / (1.3 * enough)) is old
    assert queue.best(100.0 + 100.0 / (0.7 * enough)) is new


def test_agents_that_are_alike_go_in_the_order_of_arrival() -> None:
    """A few long calls of one among many that are alike say nothing of it."""
    scheduler = mlfq(time_quanta_s=(1e9,), num_queues=1)
    accounts = [agent(scheduler, f"a{n}") for n in range(20)]
    lengths = [0.2, 0.2, 1.0, 0.2, 0.2]
    for turn in range(10):
        for number, account in enumerate(accounts):
            serve(scheduler, account, lengths[(turn + 2 * number) % 5])
    assert len({account.slope for account in accounts}) == 1


def test_who_gives_no_hint_is_weighed_by_its_calls() -> None:
    """From the second call on: a half of the length, twice the weight; never beyond a hint's."""
    scheduler = mlfq()
    lengths = {"tiny": 0.01, "half": 0.5, "usual": 1.0, "double": 2.0, "huge": 100.0}
    accounts = {name: agent(scheduler, name) for name in lengths}
    for name, account in accounts.items():
        serve(scheduler, account, lengths[name])
    assert {scheduler.weight(account) for account in accounts.values()} == {2.0}
    for _ in range(30):
        for name, account in accounts.items():
            serve(scheduler, account, lengths[name])
    weights = {name: scheduler.weight(account) for name, account in accounts.items()}
    assert weights["tiny"] == 8.0
    assert weights["half"] == pytest.approx(4.0, rel=0.05)
    assert weights["usual"] == pytest.approx(2.0, rel=0.05)
    assert weights["double"] == pytest.approx(1.0, rel=0.05)
    assert weights["huge"] == 1.0
    for account in accounts.values():
        scheduler.leave(account)
    assert (account.weighed_s, account.weighed_log) == (0.0, 0.0)
    assert {scheduler.weight(account) for account in accounts.values()} == {2.0}


@pytest.mark.parametrize("hint", [None, Priority.INTERACTIVE])
@pytest.mark.parametrize("shorts", [8, 40])
def test_crowd_of_short_calls_hides_no_long_ones(hint: Priority | None, shorts: int) -> None:
    """Of an agent's seconds nearly all go to long calls: so it is one of long calls."""
    scheduler = mlfq()
    honest = [agent(scheduler, f"h{n}") for n in range(6)]
    crowd = agent(scheduler, "crowd", hint)
    for turn in range(40):
        for number, account in enumerate(honest):
            serve(scheduler, account, 2.0 * (1.2 if (turn + number) % 2 else 0.8))
    for _ in range(4):
        serve(scheduler, crowd, *[20.0] * 3, *[0.2] * shorts)
    assert crowd.log_sum < crowd.samples * scheduler.expected.mean, "most of its calls are short"
    assert max(scheduler.weight(account) for account in honest) > scheduler.weight(crowd)
    assert min(account.slope for account in honest) > crowd.slope
    for _ in range(1500):
        serve(scheduler, crowd, 0.2)
    assert max(account.slope for account in honest) < crowd.slope, "it has served its time"


@effort(100)
@given(
    calls=st.lists(
        st.tuples(st.integers(0, 4), st.floats(1e-4, 1e4), st.integers(1, 5)), max_size=60
    ),
    weights=st.lists(st.floats(0.01, 100.0), min_size=3, max_size=3),
)
def test_weight_stays_within_those_that_a_hint_can_give(calls, weights) -> None:
    """Whatever calls end, however many at once, in any order; and nobody's length is forgotten."""
    scheduler = mlfq(hint_weights=dict(zip(Priority, weights, strict=True)))
    accounts = [agent(scheduler, f"a{n}", hint) for n, hint in enumerate([None, None, *Priority])]
    for number, call_s, ended in calls:
        account = accounts[number]
        account.attained_s += call_s * ended
        account.calls += ended
        scheduler.settle(account, 0.0)
        scheduler.look(account, 0.0)
        for each in accounts:
            assert min(weights) <= scheduler.weight(each) <= max(weights) * (1 + 1e-9)
            assert each.weighed_s >= 0.0
    for account in accounts:
        scheduler.leave(account)
        assert scheduler.expected.log_ratio(account) == 0.0


def test_expected_service_is_between_its_own_and_the_others() -> None:
    """What is expected lies between the agent's mean and all agents', nearer to its own by time."""
    expected = ExpectedService()
    accounts = [Account(f"a{n}", TENANT, None, 0.0) for n in range(10)]
    before = 0.0
    for turn in range(1, 30):
        for number, account in enumerate(accounts):
            account.attained_s += (10.0 if number == 0 else 1.0) * (1.2 if turn % 2 else 0.8)
            account.calls += 1
            assert expected.learn(account)
        own = log(10.0)
        now = expected.mean + expected.log_ratio(accounts[0])
        assert expected.mean <= now <= own + 0.3
        before = max(before, now)
    assert exp(before) > 8.0
    for account in accounts:
        expected.forget(account)
    assert expected.mean == 0.0
    assert expected.log_ratio(accounts[0]) == 0.0


def test_call_that_gave_no_service_tells_nothing() -> None:
    """A call that hung, or was refused, is no short one."""
    expected = ExpectedService()
    account = Account("a", TENANT, None, 0.0)
    account.calls = 1
    assert not expected.learn(account)
    assert account.samples == 0


@effort(100)
@given(
    agents=st.lists(
        st.tuples(
            st.sampled_from([None, *Priority]),
            st.lists(st.floats(0.01, 100.0), max_size=5),
            st.floats(0.0, 50.0),
        ),
        min_size=1,
        max_size=12,
    ),
    waits=st.lists(st.floats(0.0, 200.0), min_size=1, max_size=4),
)
def test_best_is_of_the_top_level_and_has_the_largest_claim(agents, waits) -> None:
    """Whatever was served and however long all have waited: level first, then the claim."""
    scheduler = mlfq()
    queue, offers = scheduler.queue(), []
    accounts = []
    for number, (hint, calls_s, _) in enumerate(agents):
        accounts.append(agent(scheduler, f"a{number}", hint))
        serve(scheduler, accounts[-1], *calls_s)
    for number, (_, _, submitted_s) in enumerate(sorted(agents, key=lambda entry: entry[2])):
        offers.append(waiting(accounts[number], submitted_s, number))
        queue.add(offers[-1], submitted_s)
    now_s = 50.0
    for wait_s in waits:
        now_s += wait_s
        best = queue.best(now_s)
        for offer in offers:
            assert queue.rank(best, now_s) <= queue.rank(offer, now_s)
            recent_s = offer.account.recent_s * 0.5 ** ((now_s - offer.account.recent_at_s) / 60.0)
            level = sum(
                recent_s / scheduler.weight(offer.account) > bound * (1 + 1e-6)
                for bound in (1.0, 3.0, 7.0)
            )
            assert best.level <= level, "nobody is left behind whose service is forgotten"


@pytest.mark.parametrize(
    ("weights", "text"),
    [({"interactive": 0.0}, r"hint_weights\[interactive\]"), ({"huge": 1.0}, "hint_weights")],
)
def test_bad_weights_are_refused(weights: dict[str, float], text: str) -> None:
    """A weight is a positive number for one of the three hints."""
    with pytest.raises(ConfigError, match=text):
        SchedulerConfig(hint_weights=weights)

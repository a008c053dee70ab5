"""The multi-level feedback queue over agents that forgets: the default order.

Law: an agent goes down from level i when its service, divided by its weight, is more than the sum
of the quanta down to there (`Q_i -> Q_{i+1} when t_exec > T_i`). The top level goes first; in it
the tenant with the smallest dominant share; of that the agent with the largest claim.

1. *Service is forgotten.* Each second of it counts half after `service_half_life_s`: who thinks,
   or waits for a person or for its tools, comes back up (as Solaris TS raises who wakes).
2. *A hint is a weight.* Service counts by ``1 / weight``, the claim by ``weight``. A weight above
   that of a call without hint is believed as long as the agent's calls are no longer than the
   typical one, and not at all once they take half as long again: batch work that says
   "interactive" gains nothing for long. *Who gives no hint is weighed by its calls*, from the
   second on: the weight of a call without hint, over the expected ratio of the agent's calls to the
   typical one, and never beyond the weights that a hint could give. A hint that is not believed
   counts as none.
3. *Within a level, the claim* is ``weight * waited / expected^2``. Dividing by the expected service
   once gives the response ratio (HRRN, Brinch Hansen 1971), by which all are slowed down alike; to
   keep the *mean* slowdown small each call counts by ``1 / expected`` as well (Smith's rule, 1956).
   The claim grows with the wait, so who waits goes at last. `ExpectedService` learns what to
   expect.

Service in flight counts as well: it is looked at when the agent is about to be chosen, so nobody
has to be visited while he runs. Nor while he waits: when he will have come up a level is known when
he is queued. Claims are compared by buckets: agents whose weight and expected service give one
slope, but for a factor of 1.4, stand together, and there the longest wait is the largest claim. So
a choice costs a look at each slope in use, of which a second to an hour needs about fifty.

Starvation bound: of every `boost_interval` dispatches that a group of lanes could have had, one
goes to the agent there whose turn has waited longest, whatever its level and tenant. So where r
agents stand before an agent by turn, its first waiting call is granted after at most ``(r + 1) *
boost_interval`` dispatches for which it was eligible: its group had a lane free and was not behind
another's guarantee, and its agent was not at a ceiling. With g groups that compete, relief comes
to each after at most ``max(boost_interval, g) + g`` of them. The claim alone bounds the wait in
seconds, not in dispatches: a thousand short calls may come in one second. Ceilings per tenant
weaken this: a relief may come just while its tenant is at its ceiling.
"""

from __future__ import annotations

from bisect import bisect_left
from heapq import heapify, heappop, heappush
from itertools import accumulate
from math import exp, inf, log, log2
from typing import TYPE_CHECKING

from agentrm_plugins.policy.order.expected_service import NO_LONGER, ExpectedService
from agentrm_plugins.policy.order.heap import LazyHeap
from agentrm_plugins.policy.order.level import Level
from agentrm_plugins.types.calls import Priority

if TYPE_CHECKING:
    from agentrm_plugins.config import SchedulerConfig
    from agentrm_plugins.policy.order.agent_queue import AgentQueue
    from agentrm_plugins.policy.order.level import Shares
    from agentrm_plugins.types.accounts import Account, Tenant

__all__ = ["Mlfq", "claimed_since_s"]

_LOG_2 = log(2.0)
_PER_OCTAVE = 2.0  # slopes told apart within a factor of two
_TELLING = 2.0  # calls of an agent from which on they weigh it: one alone says too little
_SOONEST_S = 1e-3  # a rise is not looked for more often


class Mlfq:
    """Levels, quanta, weights.

    Args:
        config: Levels, quanta, weights and half-life.
        shares: The tenants' dominant shares.
    """

    ages = True
    prevents_starvation = True
    next_boost_s = inf

    def __init__(self, config: SchedulerConfig, shares: Shares) -> None:
        self._half_life_s = config.service_half_life_s
        self._bounds_s = tuple(accumulate(config.time_quanta_s[:-1]))
        weights = config.hint_weights
        self._weights: dict[Priority | None, float] = {hint: weights[hint] for hint in Priority}
        self._plain = self._weights[None] = weights[Priority.BATCH]
        self._least, self._most = min(weights.values()), max(weights.values())
        self._shares = shares
        self.expected = ExpectedService()
        self.demoted: list[tuple[Account, int]] = []

    def queue(self) -> _MlfqQueue:
        """A new, empty run queue."""
        return _MlfqQueue(self, self._shares, len(self._bounds_s) + 1)

    def enter(self, account: Account) -> None:
        """An agent starts at the top, whatever its hint."""
        account.level = 0
        if account.asks:
            self.expected.meet(account)
        ratio = account.prior  # as `log_ratio` says of who has made no call yet
        account.slope = self._slope(ratio, self._weight(account, ratio))

    def leave(self, account: Account) -> None:
        """Its calls tell no longer how long others take."""
        self.expected.forget(account)

    def level(self, account: Account, now_s: float) -> int:
        """The agent's level by now, 0 at the top."""
        return bisect_left(self._bounds_s, self._recent_s(account, now_s) / self.weight(account))

    def weight(self, account: Account) -> float:
        """What a second of the agent's service is divided by."""
        return self._weight(account, self.expected.log_ratio(account))

    def charged(self, account: Account, now_s: float) -> bool:
        """A call has ended. True if that changed the agent's level or its claim.

        For an agent that does not wait it is enough to know when: the rest is seen to when it does.
        """
        account.ended_s = now_s
        if not account.bids:
            return False
        self.settle(account, now_s)
        return self.look(account, now_s)

    def settle(self, account: Account, now_s: float) -> None:
        """Learn from the agent's calls that have ended, and note the service that counts by now."""
        account.recent_s = self._recent_s(account, now_s)
        account.recent_at_s = now_s
        account.counted_s = account.attained_s + account.running * now_s - account.since_sum_s
        if account.calls != account.learnt_calls:
            self.expected.learn(account)

    def look(self, account: Account, now_s: float) -> bool:
        """Where the agent belongs by now. True if that is a new level or claim.

        And when it comes up from there, if it receives nothing more (`rise_s`).
        """
        ratio = self.expected.log_ratio(account)
        weight = self._weight(account, ratio)
        service_s = self._recent_s(account, now_s) / weight
        level = bisect_left(self._bounds_s, service_s)
        slope = self._slope(ratio, weight)
        if level:
            above = service_s / self._bounds_s[level - 1]
            wait_s = self._half_life_s * log2(above) if above > 1.0 else 0.0
            account.rise_s = now_s + (max(_SOONEST_S, wait_s))
        if level == account.level and slope == account.slope:
            return False
        if level > account.level:
            self.demoted.append((account, level))
        account.level, account.slope = level, slope
        return True

    def boost(self, now_s: float) -> None:
        """There is none: forgetting lifts each agent when its own time has come."""

    def start_clock(self, now_s: float) -> None:
        """Nothing is due by time alone."""

    def dispatched(self, now_s: float) -> None:
        """Nothing is boosted."""

    def _recent_s(self, account: Account, now_s: float) -> float:
        """The service that still counts; what is in flight, or ends now, counts in full."""
        half_life_s, noted_s = self._half_life_s, account.recent_at_s
        service_s = account.attained_s + account.running * now_s - account.since_sum_s
        new_s = service_s - account.counted_s
        recent_s = account.recent_s
        if new_s and not account.running:
            ended_s = account.ended_s
            ended_s = max(ended_s, noted_s)
            if ended_s != now_s:
                new_s *= 2.0 ** ((ended_s - now_s) / half_life_s)
        if recent_s:
            if noted_s != now_s:
                recent_s *= 2.0 ** ((noted_s - now_s) / half_life_s)
            new_s += recent_s
        return max(0.0, new_s)

    def _slope(self, ratio: float, weight: float) -> int:
        """How fast a claim grows, by the logarithm; so is the expected call's `ratio`."""
        return round(_PER_OCTAVE * (log2(weight) - 2.0 * (ratio / _LOG_2)))

    def _weight(self, account: Account, ratio: float) -> float:
        """The hint's weight, as far as the calls agree with it; without a hint, by the calls."""
        weight, plain = self._weights[account.hint], self._plain
        if account.hint is None:
            return plain if account.samples < _TELLING else self._by_calls(account, ratio)
        if weight <= plain:
            return weight
        excess = self.expected.excess(account)
        if excess <= 1.0:
            return weight
        belief = max(0.0, (NO_LONGER - excess) / (NO_LONGER - 1.0))
        doubted = min(plain, self._by_calls(account, ratio))
        return float(doubted * (weight / doubted) ** belief)

    def _by_calls(self, account: Account, ratio: float) -> float:
        """The weight that an agent has by how long its calls are."""
        if account.samples < _TELLING:
            return self._plain
        return min(self._most, max(self._least, self._plain * exp(-ratio)))


def claimed_since_s(account: Account, since_s: float, now_s: float) -> float:
    """Since when a call of plain weight and expectation would wait that has the same claim by now.

    For whoever compares calls of several cores, and knows times only.
    """
    growth: float = 2.0 ** (account.slope / _PER_OCTAVE)
    return now_s - (now_s - since_s) * growth


def _claim(agent: AgentQueue, now_s: float) -> tuple[float, float, int]:
    """The smallest goes first; of two that came this instant, who is expected to be done sooner."""
    slope = 2.0 ** (agent.slot / _PER_OCTAVE)
    return (agent.head.submitted_s - now_s) * slope, -slope, agent.head.seq


class _ByClaim:
    """The agents of one tenant on one level, by slope; in each the longest wait first."""

    __slots__ = ("_growth", "_slopes")

    def __init__(self) -> None:
        self._slopes: dict[int, LazyHeap] = {}
        self._growth: dict[int, float] = {}  # of a claim, by slope

    def add(self, agent: AgentQueue) -> None:
        heap = self._slopes.get(agent.slot)
        if heap is None:
            heap = self._slopes[agent.slot] = LazyHeap()
            self._growth[agent.slot] = 2.0 ** (agent.slot / _PER_OCTAVE)
        heap.push(agent.head.seq, agent)

    def discard(self, agent: AgentQueue) -> bool:
        slopes = self._slopes
        if slopes[agent.slot].discard(agent):
            del slopes[agent.slot]
            return not slopes
        return False

    def best(self, now_s: float) -> AgentQueue | None:
        best, most, chosen, growth = 0.0, -1, None, self._growth
        for slope, heap in self._slopes.items():
            agent = heap.entries[0][2]  # no heap is empty
            claim = (now_s - agent.head.submitted_s) * growth[slope]
            if chosen is None or claim > best or (claim == best and slope > most):
                best, most, chosen = claim, slope, agent
        return chosen


class _MlfqQueue:
    def __init__(self, mlfq: Mlfq, shares: Shares, levels: int) -> None:
        self._mlfq = mlfq
        self._shares = shares
        # Made when an agent comes to them: most queues live as long as one call waits.
        self._levels: list[Level[_ByClaim] | None] = [None] * levels
        self._rises: list[tuple[float, int, AgentQueue]] = []
        self._live = 0

    def __len__(self) -> int:
        return self._live

    def add(self, agent: AgentQueue, now_s: float) -> None:
        account, mlfq = agent.account, self._mlfq
        if account.calls != account.learnt_calls:
            mlfq.settle(account, now_s)
        mlfq.look(account, now_s)
        agent.level, agent.slot = account.level, account.slope
        self.restore(agent)

    def restore(self, agent: AgentQueue) -> None:
        level = self._levels[agent.level]
        if level is None:
            level = self._levels[agent.level] = Level(self._shares, _ByClaim)
        shelf = level.tenants.get(agent.account.tenant)
        if shelf is None:
            level.add(agent)
        else:
            shelf.add(agent)
        self._live += 1
        if agent.level:
            rises = self._rises
            heappush(rises, (agent.account.rise_s, agent.version, agent))
            if len(rises) > 2 * self._live + 32:
                self._rises = [entry for entry in rises if entry[2].version == entry[1]]
                heapify(self._rises)

    def remove(self, agent: AgentQueue) -> None:
        level = self._levels[agent.level]
        assert level is not None  # noqa: S101 - it stands there
        level.remove(agent)
        self._live -= 1

    def best(self, now_s: float) -> AgentQueue | None:
        if self._rises and self._rises[0][0] <= now_s:
            self._rise(now_s)
        number, levels = 0, self._levels
        while number < len(levels):
            level = levels[number]
            agent = None if level is None or not level.tenants else level.best(now_s)
            if agent is None:
                number += 1
                continue
            account = agent.account
            self._mlfq.look(account, now_s)
            if account.level == number and account.slope == agent.slot:
                return agent
            self._move(agent)
            number = min(number, account.level)
        return None

    def rank(self, agent: AgentQueue, now_s: float) -> tuple[float, ...]:
        share = self._shares.share(agent.account.tenant)
        return (agent.level, share, *_claim(agent, now_s))

    def reprice(self, tenant: Tenant) -> None:
        for level in self._levels:
            if level is not None and len(level.tenants) > 1:  # One alone has no price.
                level.reprice(tenant)

    def _rise(self, now_s: float) -> None:
        """Whose service has been forgotten by now comes up."""
        rises = self._rises
        while rises and rises[0][0] <= now_s:
            _, version, agent = heappop(rises)
            if agent.version == version:
                self._mlfq.look(agent.account, now_s)
                self._move(agent)
                rises = self._rises

    def _move(self, agent: AgentQueue) -> None:
        """Its account has been looked at and belongs elsewhere by now, or is to rise later."""
        self.remove(agent)
        agent.level, agent.slot = agent.account.level, agent.account.slope
        self.restore(agent)

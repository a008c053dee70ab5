"""The multi-level feedback queue of the textbook, over agents: a baseline.

Law (`Q_i -> Q_{i+1} when t_exec > T_i`): an agent that received more than the quantum of its level
since it came there goes down one level; what exceeds the quantum counts in the next, as though the
agent had been preempted at the border. Service that is taken back (the silence of a call that hung)
takes it up again. The top level goes first; within a level the tenant with the smallest dominant
share, within a tenant the agents in turn. Every `boost_interval` dispatches (and every
`boost_every_s`) all agents go up again (OSTEP, chapter 8, rule 5): to the top, and those with a
hint to where the hint had them start, else each boost would put batch work beside a person's.

Service in flight counts as well: it is looked at when the agent is about to be chosen, so nobody
needs to be visited while he runs. A boost merges the levels' heaps, the smaller into the larger, so
its cost is amortised over the calls that were queued since the last; it visits no agent.

Starvation bound: of every `boost_interval` dispatches that a group of lanes could have had, one
goes to the agent there whose turn has waited longest, whatever its level and tenant. So where r
agents stand before an agent by turn, its first waiting call is granted after at most ``(r + 1) *
boost_interval`` dispatches for which it was eligible: its group had a lane free and was not behind
another's guarantee, and its agent was not at a ceiling. With g groups that compete, relief comes
to each after at most ``max(boost_interval, g) + g`` of them. Ceilings per tenant weaken this: a
relief may come just while its tenant is at its ceiling.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.policy.order.heap import LazyHeap
from agentrm_plugins.policy.order.level import Level

if TYPE_CHECKING:
    from agentrm_plugins.config import SchedulerConfig
    from agentrm_plugins.policy.order.agent_queue import AgentQueue
    from agentrm_plugins.policy.order.level import Shares
    from agentrm_plugins.types.accounts import Account, Tenant

__all__ = ["MlfqTextbook"]

_ROUNDING_S = 1e-6


class MlfqTextbook:
    """Levels, quanta and boosts.

    Args:
        config: Levels, quanta, boost interval.
        shares: The tenants' dominant shares.
    """

    ages = False
    prevents_starvation = True

    def __init__(self, config: SchedulerConfig, shares: Shares) -> None:
        self._config = config
        self._quanta_s = config.time_quanta_s
        self._last = config.num_queues - 1
        self._shares = shares
        self.dispatches = 0
        self.epoch = 0
        self.demoted: list[tuple[Account, int]] = []
        self.next_boost_s = float("inf")

    def queue(self) -> _TextbookQueue:
        """A new, empty run queue."""
        return _TextbookQueue(self, self._shares, self._last + 1)

    def enter(self, account: Account) -> None:
        """An agent starts where its hint says."""
        account.epoch = self.epoch
        account.level = self.start(account)
        account.level_base_s = 0.0

    def start(self, account: Account) -> int:
        """The level in which the agent starts, and to which each boost takes it back."""
        return self._config.start_levels.get(account.hint, 0) if account.hint else 0

    def level(self, account: Account, now_s: float) -> int:  # noqa: ARG002
        """The agent's level, 0 at the top."""
        if account.epoch != self.epoch:
            return self.start(account)
        return account.level

    def charged(self, account: Account, now_s: float) -> bool:
        """Let the agent's service count. True if that sent it down, or up.

        A boost is noticed here: the service that a new round starts from is the one at the first
        look after the boost, which favours the agent by at most one call.
        """
        service_s = account.service_s(now_s)
        if account.epoch != self.epoch:
            account.epoch = self.epoch
            account.level = self.start(account)
            account.level_base_s = service_s
        level = account.level
        base_s = account.level_base_s
        while level < self._last and service_s - base_s > self._quanta_s[level]:
            base_s += self._quanta_s[level]
            level += 1
        while level > self.start(account) and service_s < base_s - _ROUNDING_S:
            level -= 1
            base_s -= self._quanta_s[level]
        if level == account.level:
            return False
        if level > account.level:
            self.demoted.append((account, level))
        account.level = level
        account.level_base_s = base_s
        return True

    def dispatched(self, now_s: float) -> str | None:
        """Count a dispatch; boost when it is time. The cause of the boost, or None."""
        self.dispatches += 1
        if self.dispatches < self._config.boost_interval:
            return None
        self.boost(now_s)
        return "dispatches"

    def leave(self, account: Account) -> None:
        """What it received is forgotten with it."""

    def start_clock(self, now_s: float) -> None:
        """A call begins to wait: `boost_every_s` counts from here, unless it does already."""
        if self._config.boost_every_s is not None and not now_s < self.next_boost_s < float("inf"):
            self.next_boost_s = now_s + self._config.boost_every_s

    def boost(self, now_s: float) -> None:
        """All agents go up to where they started; each run queue notices when it is next used."""
        self.dispatches = 0
        self.epoch += 1
        if self._config.boost_every_s is not None:
            self.next_boost_s = now_s + self._config.boost_every_s


class _ByTurn(LazyHeap):
    """The agents of one tenant on one level, by turn."""

    __slots__ = ()

    def add(self, agent: AgentQueue) -> None:
        self.push(agent.turn, agent)

    def best(self, now_s: float) -> AgentQueue | None:  # noqa: ARG002
        return self.peek()


def _absorb(level: Level[_ByTurn], other: Level[_ByTurn]) -> None:
    """Move all of `other` in here, the smaller heap into the larger."""
    for tenant, heap in other.tenants.items():
        mine = level.tenants.get(tenant)
        if mine is None:
            level.tenants[tenant] = heap
        elif len(mine) < len(heap):
            heap.absorb(mine)
            level.tenants[tenant] = heap
        else:
            mine.absorb(heap)
    level.forget_prices()


class _TextbookQueue:
    def __init__(self, mlfq: MlfqTextbook, shares: Shares, levels: int) -> None:
        self._mlfq = mlfq
        self._shares = shares
        self._depth = levels
        # By the level in which their agents start: a boost merges what starts alike.
        self._stacks: dict[int, list[Level[_ByTurn]]] = {}
        self._merged = mlfq.epoch
        self._live = 0

    def __len__(self) -> int:
        return self._live

    def _level_of(self, agent: AgentQueue) -> int:
        # Who was queued before the last boost lies where the agent starts by now.
        if agent.slot == self._mlfq.epoch:
            return agent.level
        return self._mlfq.start(agent.account)

    def _home(self, agent: AgentQueue) -> Level[_ByTurn]:
        start = self._mlfq.start(agent.account)
        stack = self._stacks.get(start)
        if stack is None:
            stack = self._stacks[start] = [Level(self._shares, _ByTurn) for _ in range(self._depth)]
        return stack[self._level_of(agent)]

    def add(self, agent: AgentQueue, now_s: float) -> None:
        self._notice_boost()
        self._mlfq.charged(agent.account, now_s)
        agent.level = agent.account.level
        agent.slot = self._mlfq.epoch
        self._home(agent).add(agent)
        self._live += 1

    def restore(self, agent: AgentQueue) -> None:
        self._home(agent).add(agent)
        self._live += 1

    def remove(self, agent: AgentQueue) -> None:
        self._notice_boost()
        self._home(agent).remove(agent)
        self._live -= 1

    def best(self, now_s: float) -> AgentQueue | None:
        self._notice_boost()
        found = self._best(now_s)
        if found is None and self._live:
            # Service was taken back, so somebody came up to a level that had been looked at.
            found = self._best(now_s)
        return found

    def _best(self, now_s: float) -> AgentQueue | None:
        stacks = list(self._stacks.values())
        for number in range(self._depth):
            heads = [head for stack in stacks if (head := self._head(stack, number, now_s))]
            if len(heads) == 1:
                return heads[0]
            if heads:
                return min(heads, key=lambda head: self.rank(head, now_s))
        return None

    def _head(self, stack: list[Level[_ByTurn]], number: int, now_s: float) -> AgentQueue | None:
        """Who goes next of one level of one stack, once all that is due there is demoted."""
        while (agent := stack[number].best(now_s)) is not None:
            self._mlfq.charged(agent.account, now_s)
            if agent.account.level == number:
                return agent
            self.remove(agent)
            self.add(agent, now_s)
        return None

    def rank(self, agent: AgentQueue, now_s: float) -> tuple[float, ...]:  # noqa: ARG002
        share = self._shares.share(agent.account.tenant)
        return (self._level_of(agent), share, agent.turn)

    def reprice(self, tenant: Tenant) -> None:
        for stack in self._stacks.values():
            for level in stack:
                level.reprice(tenant)

    def _notice_boost(self) -> None:
        """After a boost what starts alike is one level again; the larger absorbs the smaller."""
        if self._merged == self._mlfq.epoch:
            return
        self._merged = self._mlfq.epoch
        for start, stack in self._stacks.items():
            levels = sorted(stack, key=lambda level: len(level.tenants))
            home = levels.pop()
            for level in levels:
                _absorb(home, level)
            fresh = [Level(self._shares, _ByTurn) for _ in range(self._depth)]
            fresh[start] = home
            self._stacks[start] = fresh

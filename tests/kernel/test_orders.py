"""Each order against a model that is small and obviously right, on random traffic."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrm_plugins.config import LaneGroup, TenantConfig
from agentrm_plugins.types import effects as fx
from tests.effort import effort
from tests.kernel.world import World, config, said

pytestmark = pytest.mark.lowest

QUANTA = (1.0, 2.0, 4.0, 8.0)
START = {None: 0, "interactive": 0, "batch": 1, "background": 2}
WEIGHTS = {"t": 1.0, "u": 2.0, "v": 0.5}
HALF_LIFE_S = 30.0
SERVICE_HALF_LIFE_S = 20.0
HINT_WEIGHTS = {None: 2.0, "interactive": 8.0, "batch": 2.0, "background": 1.0}
DRIFT = 1.1 + 1e-9


class Book:
    """All that the models need, kept the slow way."""

    def __init__(self, world: World, lanes: int) -> None:
        self.world = world
        self.lanes = lanes
        self.submitted_s: dict[int, float] = {}
        self.turns: dict[str, int] = {}
        self.turn = 0
        self.held: list[tuple[int, float, float | None]] = []
        self.tokens: list[tuple[str, float, float]] = []
        self.waiting: dict[int, None] = {}
        self.hints: dict[str, str | None] = {}

    def agent(self, number: int) -> str:
        return self.world.calls[number].agent

    def tenant(self, number: int) -> str:
        return self.world.calls[number].tenant

    def heads(self) -> list[int]:
        """The first waiting call of each agent."""
        first: dict[str, int] = {}
        for number in self.waiting:
            first.setdefault(self.agent(number), number)
        return list(first.values())

    def submit(self, agent: str, tenant: str, priority: str | None) -> None:
        world = self.world
        self.hints.setdefault(agent, priority)
        number = world.submit(agent, tenant=tenant, priority=priority)
        self.submitted_s[number] = world.now_s
        if world.state[number] == "running":
            self.held.append((number, world.now_s, None))
            return
        if all(self.agent(other) != agent for other in self.waiting):
            self.turn += 1
            self.turns[agent] = self.turn
        self.waiting[number] = None

    def settle(self, number: int, tokens: int) -> int | None:
        """The call ends; who was granted in its place."""
        now_s = self.world.now_s
        self.held = [
            (held, start_s, now_s if held == number else end_s)
            for held, start_s, end_s in self.held
        ]
        self.tokens.append((self.tenant(number), tokens, now_s))
        effects = self.world.settle(number, tokens=tokens)
        granted = [effect.ticket for effect in effects if isinstance(effect, fx.Granted)]
        assert len(granted) == min(1, len(self.waiting)), "a lane is idle while calls wait"
        return granted[0] if granted else None

    def took(self, number: int) -> None:
        del self.waiting[number]
        self.turn += 1
        self.turns[self.agent(number)] = self.turn
        self.held.append((number, self.world.now_s, None))

    def service_s(self, agent: str) -> float:
        now_s = self.world.now_s
        return sum(
            (now_s if end_s is None else end_s) - start_s
            for number, start_s, end_s in self.held
            if self.agent(number) == agent
        )

    def level(self, number: int) -> int:
        agent = self.agent(number)
        level, left_s = START[self.hints[agent]], self.service_s(agent)
        while level < 3 and left_s > QUANTA[level]:
            left_s -= QUANTA[level]
            level += 1
        return level

    def recent_s(self, agent: str) -> tuple[float, float]:
        """Service that still counts: each second by its own age, and each call by its end's."""
        now_s, low_s, high_s = self.world.now_s, 0.0, 0.0
        for number, start_s, end_s in self.held:
            if self.agent(number) == agent:
                end_s = now_s if end_s is None else end_s
                faded = 0.5 ** ((now_s - end_s) / SERVICE_HALF_LIFE_S)
                rate = math.log(2) / SERVICE_HALF_LIFE_S
                low_s += faded * (1 - math.exp(-rate * (end_s - start_s))) / rate
                high_s += faded * (end_s - start_s)
        return low_s, high_s

    def forgetful_levels(self, number: int) -> tuple[int, int]:
        """The least and the most that the agent can have gone down.

        A call's service counts when the agent is looked at, so it is forgotten a little late. A
        hint of more than the usual weight may be believed or not.
        """
        agent = self.agent(number)
        low_s, high_s = self.recent_s(agent)
        weight = HINT_WEIGHTS[self.hints[agent]]
        bounds = list(accumulate(QUANTA[:-1]))
        least = sum(low_s / weight * (1 - 1e-9) > bound for bound in bounds)
        most = sum(high_s / min(weight, 2.0) * (1 + 1e-9) > bound for bound in bounds)
        return least, most

    def share(self, tenant: str) -> float:
        now_s = self.world.now_s
        lanes = sum(end is None and self.tenant(n) == tenant for n, _, end in self.held)
        faded = [(who, t * 0.5 ** ((now_s - at_s) / HALF_LIFE_S)) for who, t, at_s in self.tokens]
        total = sum(tokens for _, tokens in faded)
        own = sum(tokens for who, tokens in faded if who == tenant)
        return max(lanes / self.lanes, own / total if total else 0.0) / WEIGHTS[tenant]

    def ratio(self, number: int) -> float:
        agent = self.agent(number)
        ended = [(n, end - start) for n, start, end in self.held if end is not None]
        done = [seconds for n, seconds in ended if self.agent(n) == agent]
        service_s = max(sum(done) / len(done) if done else 1.0, 1e-3)
        return 1 + (self.world.now_s - self.submitted_s[number]) / service_s


def fifo(book: Book) -> Iterable[int]:
    return [min(book.waiting)]


def priority(book: Book) -> Iterable[int]:
    classes = {None: 0, "interactive": 0, "batch": 1, "background": 2}
    heads = book.heads()
    return [min(heads, key=lambda number: (classes[book.world.calls[number].priority], number))]


def round_robin(book: Book) -> Iterable[int]:
    return [min(book.heads(), key=lambda number: book.turns[book.agent(number)])]


def hrrn(book: Book) -> Iterable[int]:
    best = max(map(book.ratio, book.heads()))
    return [number for number in book.heads() if book.ratio(number) * DRIFT >= best]


def mlfq_textbook(book: Book) -> Iterable[int]:
    """The top level; there, a tenant whose share is the smallest but for a tenth; there, turns."""
    top = min(map(book.level, book.heads()))
    heads = [number for number in book.heads() if book.level(number) == top]
    least = min(book.share(book.tenant(number)) for number in heads)
    fair = [number for number in heads if book.share(book.tenant(number)) <= least * DRIFT]
    return [
        min(
            (number for number in fair if book.tenant(number) == tenant),
            key=lambda number: book.turns[book.agent(number)],
        )
        for tenant in {book.tenant(number) for number in fair}
    ]


def mlfq(book: Book) -> Iterable[int]:
    """Nobody who has surely gone down further than another one does."""
    levels = {number: book.forgetful_levels(number) for number in book.heads()}
    top = min(most for _, most in levels.values())
    return [number for number, (least, _) in levels.items() if least <= top]


MODELS: dict[str, Callable[[Book], Iterable[int]]] = {
    "fifo": fifo,
    "priority": priority,
    "round_robin": round_robin,
    "hrrn": hrrn,
    "mlfq_textbook": mlfq_textbook,
    "mlfq": mlfq,
}
AGENTS = {"a": "t", "b": "t", "c": "u", "d": "u", "e": "v", "f": "v"}
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("submit"),
            st.sampled_from(sorted(AGENTS)),
            st.sampled_from([None, "interactive", "batch", "background"]),
        ),
        st.tuples(st.just("wait"), st.sampled_from([0.125, 0.5, 1.0, 3.0, 20.0]), st.none()),
        st.tuples(st.just("settle"), st.integers(0, 10), st.sampled_from([0, 1, 100, 5000])),
    ),
    min_size=20,
    max_size=80,
)


@effort(120)
@given(order=st.sampled_from(sorted(MODELS)), lanes=st.integers(1, 3), steps=STEPS)
def test_order_agrees_with_its_model(order: str, lanes: int, steps: list[tuple]) -> None:
    """Whoever is granted is whom the model would choose, and no lane stays idle."""
    world = World(
        config(
            lanes,
            order,
            time_quanta_s=QUANTA,
            boost_interval=10**6,
            share_half_life_s=HALF_LIFE_S,
            service_half_life_s=SERVICE_HALF_LIFE_S,
            response_timeout_s=1e6,
            total_timeout_s=None,
            tenants={name: TenantConfig(weight) for name, weight in WEIGHTS.items()},
        )
    )
    book = Book(world, lanes)
    for word, first, second in steps:
        if word == "submit":
            book.submit(first, AGENTS[first], second)
        elif word == "wait":
            world.wait(first)
        elif world.running:
            granted = book.settle(world.running[first % len(world.running)], second)
            if granted is not None:
                assert granted in MODELS[order](book)
                book.took(granted)


def test_guarantee_comes_before_the_order() -> None:
    """A group below its guarantee gets the next lane, whoever came first elsewhere."""
    groups = (LaneGroup("model", 3), LaneGroup("node", 3, guaranteed=1))
    world = World(config(2, "fifo", *groups))
    first, _ = world.submit("a"), world.submit("a")
    world.submit("a")
    owed = world.submit("b", group="node")
    assert said(world.settle(first))[1:] == [("Granted", owed, "order")]


def test_idle_guarantee_is_lent_out() -> None:
    """Lanes are work-conserving: what a group does not use, others do."""
    groups = (LaneGroup("model", 2), LaneGroup("node", 2, guaranteed=1))
    world = World(config(2, "mlfq", *groups))
    world.submit("a")
    assert len([world.submit("a"), *world.running]) == 3
    assert world.kernel.statistics().lanes_in_use == 2


@effort(40)
@given(data=st.data(), order=st.sampled_from(sorted(MODELS)))
def test_each_guarantee_is_kept(data, order: str) -> None:
    """While a group is below its guarantee and waits, nobody above its own gets a lane."""
    promised = {"model": 1, "node": 2, "tool": 0}
    groups = [LaneGroup(name, 4, lanes) for name, lanes in promised.items()]
    world = World(config(4, order, *groups, boost_interval=2))
    for _ in range(60):
        in_use = {name: group.in_use for name, group in world.kernel.books.pool.groups.items()}
        queued = {world.calls[number].group for number in world.waiting}
        owed = {name for name in queued if in_use[name] < promised[name]}
        if world.running and data.draw(st.booleans()):
            number = data.draw(st.sampled_from(world.running))
            in_use[world.calls[number].group] -= 1
            owed = {name for name in queued if in_use[name] < promised[name]}
            for effect in world.settle(number):
                if isinstance(effect, fx.Granted):
                    assert effect.group in owed or not owed
        else:
            world.submit(
                data.draw(st.sampled_from("abc")), group=data.draw(st.sampled_from(list(promised)))
            )


def test_ceilings_hold_and_hold_nobody_else_back() -> None:
    """An agent and a tenant at their ceilings wait while others pass."""
    world = World(config(4, "fifo", LaneGroup("model", 4, per_agent=1, per_tenant=2)))
    first = world.submit("a", tenant="t")
    held = world.submit("a", tenant="t")
    world.submit("b", tenant="t")
    ceiling = world.submit("c", tenant="t")
    other = world.submit("d", tenant="u")
    assert world.waiting == [held, ceiling]
    assert other in world.running
    assert said(world.settle(first))[1:] == [("Granted", held, "order")]


def test_agent_at_its_ceiling_may_change_its_mind() -> None:
    """The first of several calls that wait aside may leave; the next one takes its place."""
    world = World(config(2, "mlfq", LaneGroup("model", 2, per_agent=1)))
    running = world.submit("a")
    first, second = world.submit("a"), world.submit("a")
    other = world.submit("b")
    world.withdraw(first)
    assert world.waiting == [second]
    assert world.running == [running, other]
    assert said(world.settle(running))[1:] == [("Granted", second, "order")]


def test_memory_follows_what_waits() -> None:
    """Callers that come and go while a line stands still leave nothing behind."""
    world = World(config(2, "mlfq", tenants={"u": TenantConfig(3.0)}))
    world.submit("x")
    world.submit("x", tenant="u")
    world.submit("y", tenant="u", priority="background")
    world.submit("z", priority="background")
    for _ in range(300):
        kept = world.submit("a")
        world.withdraw(kept)
        world.submit("a", tenant="u")
        world.settle(world.running[-1])
    (line,) = world.kernel.queue.queues.values()
    assert len(line.oldest) < 80
    levels = [level for level in line.ready._levels if level is not None]
    assert levels
    assert all(len(level._prices) < 80 for level in levels)
    assert len(line.ready._rises) < 80


def test_hrrn_serves_a_long_call_among_many_short_ones() -> None:
    """With n others waiting, a long call goes once it has waited n times its own service."""
    world = World(config(1, "hrrn", response_timeout_s=1e6, total_timeout_s=None))
    long_s, short_s, others = 50.0, 1.0, 5
    number = world.submit("long")
    world.wait(long_s)
    for index in range(others):
        world.submit(f"short{index}")
    world.settle(number)
    number = world.submit("long")
    began_s = world.now_s
    while number not in world.running:
        world.wait(short_s)
        ended = world.running[0]
        world.settle(ended)
        world.submit(world.calls[ended].agent)
        assert world.now_s - began_s <= (others + 1) * long_s * 1.1 + others * short_s
    assert world.now_s - began_s > long_s / 2

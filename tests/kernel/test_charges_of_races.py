"""However the attempts of a call end, its answer's input is charged for each that was sent."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from agentrm_plugins.types import effects as fx
from agentrm_plugins.types import events as ev
from agentrm_plugins.types.calls import Outcome, Usage
from agentrm_plugins.types.verdicts import Kind, Verdict
from tests.kernel.world import World, config

AT = "x/m"
GUESSED, READ, MADE = 100, 70, 30
BROKEN = Verdict(Kind.TRANSIENT)


class Call:
    """One call as hosts make it: its attempts, and what each has cost at the server."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.world = World(config(8, first_token_timeout_s=40.0))
        for _ in range(30):
            number = self._ask()
            self.world.wait(0.2)
            self.world.feed(ev.Settle(number, Usage(0, 0)))
        self.before = sent(self.world)
        self.alive: list[int] = []
        self.gone: list[int] = []
        self._seen(self._ask())

    def _ask(self, place_of: int | None = None) -> int:
        return self.world.submit("a", endpoint=AT, estimate=Usage(GUESSED, 50), place_of=place_of)

    def _seen(self, number: int) -> None:
        self.alive.append(number)

    def _state(self, number: int) -> str:
        return self.world.state[number]

    def running(self) -> list[int]:
        return [number for number in self.alive if self._state(number) == "running"]

    def step(self) -> None:
        """One thing happens, and the host does what it must."""
        what = self.rng.choice(("wait", "wait", "wait", "break", "come back"))
        if what == "wait":
            self.world.wait(self.rng.choice((1.0, 3.0, 9.0, 25.0)))
        elif what == "break" and self.running():
            self._break(self.rng.choice(self.running()))
        elif what == "come back" and self.gone:
            self._come_back(self.rng.choice(self.gone))
        self._tidy()

    def _break(self, number: int) -> None:
        """Its connection breaks: alone it goes again, beside another as the race has it."""
        first = self.alive[0] == number
        if len(self.running()) == 1 or not first:
            if len(self.running()) == 1:
                self._withdraw_waiting()
            self.world.requeue(number, Kind.TRANSIENT, 0.5)
        else:
            self.world.feed(ev.Settle(number, None, Outcome.ERROR, BROKEN))
            self.alive.remove(number)

    def _come_back(self, number: int) -> None:
        self.gone.remove(number)
        self.world.feed(ev.Settle(number, Usage(GUESSED), Outcome.ERROR))

    def _withdraw_waiting(self) -> None:
        for number in [one for one in self.alive if self._state(one) == "queued"]:
            self.world.feed(ev.Withdraw(number, "superseded"))
            self.alive.remove(number)

    def _tidy(self) -> None:
        for number in [one for one in self.alive if self._state(one) == "zombie"]:
            self.alive.remove(number)
            self.gone.append(number)
            if self.rng.random() < 0.7:
                self._come_back(number)
            if not self.running():
                self._withdraw_waiting()
                self._seen(self._ask(place_of=number))
        running = self.running()
        late = self.world.kernel.books.tickets[running[0]].late if running else False
        if late and len(self.alive) == 1:
            self._seen(self.world.hedge(running[0]))

    def answer(self) -> None:
        """One attempt is answered; who is not heard of yet comes back before that, or after it."""
        while not self.running():
            self.world.wait(1.0)
        winner = self.rng.choice(self.running())
        for number in list(self.gone):
            if self.rng.random() < 0.5:
                self._come_back(number)
        self._withdraw_waiting()
        for number in self.running():
            if number != winner:
                self.world.feed(ev.Settle(number, Usage(GUESSED), Outcome.SUPERSEDED))
        self.world.feed(ev.Settle(winner, Usage(READ, MADE)))
        for number in list(self.gone):
            self._come_back(number)


def sent(world: World) -> int:
    """How many attempts were sent, of all calls."""
    return Counter(type(one) for one in world.kernel.history())[fx.Granted]


@pytest.mark.parametrize("seed", range(60))
def test_each_attempt_is_charged_what_the_answer_says_it_read(seed):
    """Broken, past a limit, given way, outrun: in any order."""
    call = Call(seed)
    for _ in range(12):
        call.step()
    call.answer()
    seen = call.world.kernel.statistics()
    attempts = sent(call.world) - call.before
    assert (seen.input_tokens, seen.output_tokens) == (attempts * READ, MADE)
    assert not call.world.kernel.books.tickets

"""One call's life in the kernel, its states, and the date at which somebody must look at it.

The states are a table from which the docs' diagram is drawn. `Alarms` moves a date back in constant
time: the heap keeps the earliest date that was ever set and looks again when that comes.
"""

from __future__ import annotations

from enum import Enum
from heapq import heapify, heappop, heappush
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from agentrm_plugins.errors import KernelBug
from agentrm_plugins.kernel.accrual import Accrual
from agentrm_plugins.policy.leases import NEVER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentrm_plugins.policy.endpoint.endpoint import Endpoint
    from agentrm_plugins.policy.lanes import Group, Seat
    from agentrm_plugins.policy.leases import Terms
    from agentrm_plugins.policy.order.agent_queue import AgentQueue
    from agentrm_plugins.policy.spending.spender import Reserved
    from agentrm_plugins.types.accounts import Account
    from agentrm_plugins.types.calls import Call

__all__ = ["TRANSITIONS", "Alarmed", "Alarms", "State", "Ticket", "diagram", "move"]

_TOLERATED = 64  # dead entries, before their share is looked at
_NO_NEED: Mapping[str, float] = MappingProxyType({})


class State(Enum):
    """Where a ticket is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    ZOMBIE = "zombie"
    DONE = "done"
    GONE = "gone"

    __hash__ = object.__hash__  # Enum's own is Python code, and each step looks a state up twice


TRANSITIONS: dict[State, dict[State, str]] = {
    State.QUEUED: {
        State.RUNNING: "granted",
        State.GONE: "refused, withdrawn, or its deadline for waiting passed",
    },
    State.RUNNING: {
        State.DONE: "settled",
        State.ZOMBIE: "its lease expired, the lane is free again",
        State.QUEUED: "it failed and goes again, at its own place and without a lane",
    },
    State.ZOMBIE: {State.DONE: "settled late, tokens are charged, no lane is returned"},
    State.DONE: {},
    State.GONE: {},
}


class Ticket:
    """A call, from its submission to its end.

    `started_s` begins the stretch of service that is being counted, `granted_s` the lease,
    `queued_s` the wait that is over with the next grant, `progress_s` the silence, `heard_s` that
    of its server where a ping came later; `waited_s` are all waits before this one. Before `wake_s`
    a call that sleeps does not go. `deadline_s` is when it has waited for too long, or once it
    runs, when it has run for too long. `overtaken` is the share of its need that others took before
    it, `held_by` why it waits, as people were told. `reserved` is what budgets hold for it,
    `charged` what they were charged when it was reaped, `taken` what it took of shares of a rate;
    while a fleet has not heard of it (`unheard`, its reservation being the `mark`th), it sleeps.
    Of a call with several attempts the `first` knows the one beside it (`hedge`), how many were
    sent (`hedges`), and how many of them gave way to the next and what they cost. One that was sent
    `beside` another may have given way (`yielded`). All attempts of a call share an `accrual`; a
    call that was sent once and answered has none. Where what is learnt counts (`adaptive`) it may
    be `late`; then its lane is `lent`, or its hedge `rides` on it. Since `idle_s` the consumer has
    not asked for more; once something is `visible` to it, no further attempt is made.
    A ticket with nested calls (`nested` > 0) waits for them: its clocks stand still, and its lane
    is lent to one of them, its `rider`. One that `reads` was asked for by the reader of its parent,
    a stream, who may go on with that one before this one is over.
    """

    __slots__ = (
        "account",
        "accrual",
        "adaptive",
        "after",
        "alarm_s",
        "armed_s",
        "attempts",
        "beaten_tokens",
        "beats",
        "before",
        "beside",
        "bid",
        "call",
        "charged",
        "deadline_s",
        "endpoint",
        "first",
        "given_tokens",
        "given_way",
        "granted_s",
        "group",
        "heard_s",
        "hedge",
        "hedges",
        "held_by",
        "hold_s",
        "idle_s",
        "is_hedge",
        "kids",
        "late",
        "lent",
        "mark",
        "need",
        "nested",
        "number",
        "overtaken",
        "parent",
        "paused_s",
        "progress_s",
        "queued_s",
        "reads",
        "reserved",
        "rider",
        "rides",
        "seat",
        "seq",
        "started_s",
        "state",
        "submitted_s",
        "taken",
        "terms",
        "turn",
        "unheard",
        "visible",
        "waited_s",
        "wake_s",
        "yielded",
    )

    def __init__(
        self,
        number: int,
        seq: int,
        call: Call,
        account: Account,
        group: Group,
        now_s: float,
    ) -> None:
        self.number = number
        self.seq = seq
        self.call = call
        self.account = account
        self.group = group
        self.state = State.QUEUED
        self.turn = 0
        self.attempts = 0
        self.overtaken = 0.0
        self.hold_s = 0.0
        self.held_by = ""
        self.waited_s = 0.0
        self.wake_s = NEVER
        self.submitted_s = now_s
        self.queued_s = now_s
        self.progress_s = now_s
        self.heard_s = now_s
        self.granted_s = NEVER
        self.started_s = NEVER
        self.deadline_s = NEVER
        self.alarm_s = NEVER
        self.armed_s = NEVER
        self.paused_s = 0.0
        self.idle_s = NEVER
        self.visible = False
        self.beats = 0
        self.beaten_tokens = 0
        self.nested = 0
        self.terms: Terms | None = None
        self.endpoint: Endpoint | None = None
        self._alone()

    def _alone(self) -> None:
        """There is no other attempt of the call, and nothing is held for it."""
        self.first: Ticket | None = None
        self.hedge: Ticket | None = None
        self.is_hedge = False
        self.hedges = 0
        self.given_way = 0
        self.yielded = False
        self.beside = False
        self.given_tokens = 0.0
        self.accrual: Accrual | None = None
        self.adaptive = False
        self.late = False
        self.lent = False
        self.rides = False
        self.need = _NO_NEED
        self.reserved: list[Reserved] | None = None
        self.charged: list[Reserved] | None = None
        self.taken: list[Reserved] | None = None
        self.mark = 0
        self.unheard: set[tuple[int, str]] | None = None
        self.bid: AgentQueue | None = None
        self.before: Ticket | None = None
        self.after: Ticket | None = None
        self.seat: Seat | None = None
        self.parent: Ticket | None = None
        self.rider: Ticket | None = None
        self.kids: dict[int, Ticket] | None = None
        self.reads = False

    def accrue(self) -> Accrual:
        """What its attempts were charged by estimate."""
        if self.accrual is None:
            self.accrual = Accrual()
        return self.accrual

    @property
    def is_ridden(self) -> bool:
        """Whether its hedge rides on its lane."""
        return self.hedge is not None and self.hedge.rides

    @property
    def expected_tokens(self) -> float:
        """What it will probably cost, input and output."""
        return self.need["tokens"] if self.need else 0.0


def move(ticket: Ticket, state: State) -> None:
    """Move a ticket along the table.

    Raises:
        KernelBug: The table has no such step.
    """
    if state not in TRANSITIONS[ticket.state]:
        message = f"ticket {ticket.number}: {ticket.state.value} -> {state.value} is impossible"
        raise KernelBug(message)
    ticket.state = state


def diagram() -> str:
    """The table as a diagram in mermaid's language, for the docs."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.QUEUED.value}: submitted"]
    for state, steps in TRANSITIONS.items():
        for after, cause in steps.items():
            lines.append(f"    {state.value} --> {after.value}: {cause}")
        if not steps:
            lines.append(f"    {state.value} --> [*]")
    return "\n".join(lines)


class Alarmed(Protocol):
    """Something with a date (`alarm_s`, never: infinite) and the earliest one in the heap.

    `number` differs for each: of two with one date the smaller goes first.
    """

    number: int
    alarm_s: float
    armed_s: float


class Alarms:
    """Dates that move."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Alarmed]] = []
        self._cleared = 0

    def forget(self) -> None:
        """Ring for nobody; their own dates stand until they are set again."""
        self._heap = []
        self._cleared = 0

    def set(self, item: Alarmed, at_s: float) -> None:
        """Ring for `item` at `at_s`, instead of when it was to ring before."""
        item.alarm_s = at_s
        if at_s < item.armed_s:
            item.armed_s = at_s
            heappush(self._heap, (at_s, item.number, item))

    def clear(self, item: Alarmed) -> None:
        """Do not ring for `item`; its entry goes when it surfaces, or when too many are dead."""
        if item.alarm_s == NEVER:
            return
        item.alarm_s = NEVER
        self._cleared += 1
        if self._cleared > _TOLERATED and 2 * self._cleared > len(self._heap):
            self._sweep()

    def _sweep(self) -> None:
        """Drop what is dead."""
        self._cleared = 0
        live = {}
        for _, number, other in self._heap:
            alarm_s = other.armed_s = other.alarm_s
            if alarm_s < NEVER:
                live[number] = (alarm_s, number, other)
        self._heap = list(live.values())
        heapify(self._heap)

    def due(self, now_s: float) -> Alarmed | None:
        """The item with the earliest date of those that have come, its alarm cleared; or None."""
        heap = self._heap
        while heap and heap[0][0] <= now_s:
            at_s, _, item = heappop(heap)
            if at_s == item.armed_s:
                item.armed_s = NEVER
            if item.alarm_s <= at_s:
                item.alarm_s = NEVER
                return item
            if item.alarm_s < NEVER:
                self.set(item, item.alarm_s)
        return None

    def next_s(self) -> float:
        """When to look next: never later than the earliest date, maybe a little before it."""
        heap = self._heap
        while heap and heap[0][2].alarm_s == NEVER:
            at_s, _, item = heappop(heap)
            if at_s == item.armed_s:
                item.armed_s = NEVER
        return heap[0][0] if heap else NEVER

"""One call's life inside the kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.kernel.states import State

if TYPE_CHECKING:
    from agentrm_plugins.accounts import Account, Bid
    from agentrm_plugins.calls import Call
    from agentrm_plugins.policy.lanes import Group, Seat
    from agentrm_plugins.policy.leases import Terms

__all__ = ["Ticket"]

_NEVER = float("inf")


class Ticket:
    """A call, from its submission to its end.

    `started_s` begins the stretch of service that is being counted; `granted_s` the lease.
    A ticket with nested calls (`nested` > 0) waits for them: its clocks stand still, and its lane
    is lent to one of them, its `rider`.
    """

    __slots__ = (
        "account",
        "after",
        "alarm_s",
        "armed_s",
        "beaten_tokens",
        "beats",
        "before",
        "bid",
        "call",
        "deadline_s",
        "granted_s",
        "group",
        "kids",
        "nested",
        "number",
        "parent",
        "paused_s",
        "rider",
        "seat",
        "seq",
        "started_s",
        "state",
        "submitted_s",
        "terms",
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
        self.submitted_s = now_s
        self.granted_s = _NEVER
        self.started_s = _NEVER
        self.deadline_s = _NEVER
        self.alarm_s = _NEVER
        self.armed_s = _NEVER
        self.paused_s = 0.0
        self.beats = 0
        self.beaten_tokens = 0
        self.nested = 0
        self.terms: Terms | None = None
        self.bid: Bid | None = None
        self.before: Ticket | None = None
        self.after: Ticket | None = None
        self.seat: Seat | None = None
        self.parent: Ticket | None = None
        self.rider: Ticket | None = None
        self.kids: dict[int, Ticket] | None = None

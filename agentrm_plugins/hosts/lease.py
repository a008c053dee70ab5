"""A call's lease: its right to a lane, from the wait to the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.hosts.judgement import judge
from agentrm_plugins.hosts.pauses import PAUSE_S, Away
from agentrm_plugins.hosts.refusals import reaped_error, refusal, superseded_error
from agentrm_plugins.types.calls import MOST_TOKENS, Outcome, Usage, check_beat, check_end
from agentrm_plugins.types.checks import check_instance
from agentrm_plugins.types.effects import Granted, Reaped, Refused
from agentrm_plugins.types.events import Beat, Idle, Requeue, Settle, Unsent, Withdraw
from agentrm_plugins.types.verdicts import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentrm_plugins.errors import CallReaped
    from agentrm_plugins.hosts.carrier import Carrier
    from agentrm_plugins.hosts.host import Host
    from agentrm_plugins.hosts.judgement import Judgement
    from agentrm_plugins.hosts.readers import Reader
    from agentrm_plugins.hosts.tracing import Traced
    from agentrm_plugins.policy.endpoint.tables import Tables
    from agentrm_plugins.types.calls import Call

__all__ = ["HostLease", "Lease"]

_NOTHING = Usage()


class Lease:
    """One call's right to a lane. Every method is plain, thread-safe and never blocks.

    Attributes:
        ticket: The call's number in this core.
        call: What was declared of it.
        granted_at_s: When it got its lane, on the core's clock; None while it waits.
        waited_s: Seconds that it waited.
        reaped: Whether the call lost its lane for want of progress.
    """

    __slots__ = (
        *("__weakref__", "_callbacks", "_ended", "_host", "_on_suspect", "_outcome"),
        *("_reaped", "_traced", "call", "granted_at_s", "reaped", "ticket", "waited_s"),
    )

    ticket: int
    call: Call
    granted_at_s: float | None
    waited_s: float
    reaped: bool
    _host: Host
    _outcome: Granted | Refused | Reaped | BaseException | None
    _reaped: Reaped | None
    _callbacks: list[Callable[[CallReaped], None]] | None
    _on_suspect: Callable[[], None] | None
    _ended: bool
    _traced: Traced | None

    def __repr__(self) -> str:
        state = "waiting" if self._outcome is None else "ended" if self._ended else "running"
        return f"<Lease {self.ticket} of {self.call.agent!r}: {state}>"

    def __del__(self) -> None:
        # A caller that vanished (a loop that died, a frame that was dropped) gives its lane back.
        # This may run anywhere, even inside the kernel: `feed` never blocks. A lease that was
        # interrupted before it was whole has never been submitted.
        if not getattr(self, "_ended", True):
            self._ended = True
            self._host.feed(Withdraw(self.ticket, "abandoned"))

    @property
    def reap_cause(self) -> str | None:
        """Why ("first_token", "response", "silence", "total", "gave_way"), if it was reaped."""
        return None if self._reaped is None else self._reaped.cause

    def beat(self, tokens: int = 0, *, visible: bool = False, ping: bool = False) -> None:
        """Report progress: the call is alive, and `tokens` more came out.

        Args:
            tokens: How many; 0 for progress that is none.
            visible: Whether something was said to the consumer: the call is not sent again.
            ping: The server is there, but the answer is no further: a comment, an empty chunk.
        """
        whole = tokens.__class__ is int and 0 <= tokens <= MOST_TOKENS
        if not (whole and visible.__class__ is ping.__class__ is bool):
            tokens = check_beat(tokens, visible=visible, ping=ping)
        if not self._ended:
            self._host.feed(Beat(self.ticket, tokens, visible, ping))

    def idle(self, *, idle: bool) -> None:
        """The consumer does not ask for more (or does again): what it leaves is no silence."""
        if not self._ended:
            check_instance("idle", idle, bool, "give True or False")
            self._host.feed(Idle(self.ticket, idle))

    def fail(
        self, error: BaseException, usage: Usage | None = None, judged: Judgement | None = None
    ) -> None:
        """End the call with an error: its lane is free, and its endpoint learns from it.

        Args:
            error: What the call met.
            usage: What it used all the same, such as the part of a stream that came, if known.
            judged: What `judge` said of the error; None: it is asked here.
        """
        check_instance("error", error, BaseException)
        check_end(usage)
        if not self._ended:
            verdict, report = judged or judge(error, self._host.tables)
            outcome = Outcome.CANCELLED if verdict.kind is Kind.NEUTRAL else Outcome.ERROR
            self._host.feed(Settle(self.ticket, usage, outcome, verdict, report))
            self._ended = True
            self._callbacks = self._on_suspect = None
            if self._traced is not None:
                self._traced.tell()

    def settle(self, usage: Usage | None = None, *, outcome: Outcome | str = Outcome.OK) -> None:
        """End the call: its lane is free and its usage charged. A second time does nothing.

        Args:
            usage: What the provider counted; None: a call that went well is charged as estimated.
            outcome: "ok", "error" or "cancelled".
        """
        right = usage is None or usage.__class__ is Usage
        ended = outcome if right and isinstance(outcome, Outcome) else check_end(usage, outcome)
        if not self._ended:
            self._host.feed(Settle(self.ticket, usage, ended))
            self._ended = True  # after it: a Ctrl-C in between must not lose the lane
            self._callbacks = self._on_suspect = None  # whoever it was holds us: a circle
            if self._traced is not None:
                self._traced.tell()

    def raise_if_reaped(self) -> None:
        """Raise `CallReaped` if the call lost its lane."""
        if self._reaped is not None:
            if self._traced is not None:
                self._traced.tell()
            raise reaped_error(self._reaped, self.call)

    def on_reap(self, callback: Callable[[CallReaped], None]) -> None:
        """Call `callback` once when the call is reaped, from any thread; at once if it was."""
        if self._callbacks is None:
            self._callbacks = []
        self._callbacks.append(callback)
        if self._reaped is not None:
            self._tell(reaped_error(self._reaped, self.call))

    def _tell(self, error: CallReaped) -> None:
        callbacks = self._callbacks
        while callbacks:
            try:
                callback = callbacks.pop()
            except IndexError:  # another thread took the last
                return
            try:
                callback(error)
            except Exception:
                raise
            except BaseException:  # an interrupt: it has not heard
                callbacks.append(callback)
                raise


class HostLease(Lease):
    """A lease as those see it who decide it, wait for it, race it and let it go again.

    Attributes:
        asked: Whether its request was sent to the last byte; None: nobody can tell.
        granted: Whether it has its lane, or had it.
        suspected: Whether the call is late, by what was learnt.
        parent: The ticket of the call inside which it was made, if any.
        heir: The lease of a further attempt that stands for the call in place of this one.
        away_s: Since when the consumer of a stream has a chunk and asks for no other; else None.
        away_told: Whether the core may have heard of that.
        reader: Who reads it, if it is a stream that is read.
        turns: Whether the core hears of each chunk that is asked for: its reader has other calls.
        carrier: Gives our transport's request that the call is waiting for, while there is one.
        loop: The event loop whose task asked for it; None: a thread did.
        wake: For the parkers: what to call once it is decided.
    """

    __slots__ = (
        *("asked", "away_s", "away_told", "carrier", "granted", "heir", "loop", "parent"),
        *("reader", "suspected", "told_s", "turns", "wake"),
    )

    def __init__(self, host: Host, ticket: int, call: Call, parent: int | None = None) -> None:
        self._host = host
        self.ticket = ticket
        self.call = call
        self.parent = parent
        self.granted_at_s = self._outcome = self._reaped = self._traced = None
        self.waited_s = 0.0
        self.granted = self.reaped = self.suspected = self._ended = self.away_told = False
        self.wake: Callable[[], None] | None = None
        self._callbacks = self._on_suspect = None
        self.asked: bool | None = None
        self.told_s: float | None = None  # a wait in its answer's headers: it may be an error
        self.heir: HostLease | None = None
        self.loop: object = None
        self.away_s: float | None = None
        self.reader: Reader | None = None
        self.turns = False
        self.carrier: Callable[[], Carrier | None] | None = None

    def __dir__(self) -> list[str]:
        """What completion offers: what is the user's."""
        return dir(Lease)

    @property
    def traced(self) -> Traced | None:
        """Who tells the user's span of it, while a tracer looks on; else None."""
        return self._traced

    @traced.setter
    def traced(self, traced: Traced | None) -> None:
        self._traced = traced

    @property
    def tables(self) -> Tables:
        """What providers say, built in and configured."""
        return self._host.tables

    @property
    def clock(self) -> Callable[[], float]:
        """Gives the time on the core's clock, seconds."""
        return self._host.clock.now

    @property
    def is_void(self) -> bool:
        """Whether its lane may be another process's by now: nothing may be sent in it then."""
        pool = self._host.kernel.books.pool
        return pool.supplied and (pool.is_over(self._host.clock.now()) or self.reap_cause == "lost")

    def requeue(self, judged: Judgement | None, wait_s: float = 0.0) -> None:
        """Go again after an error: the lane is free, the call waits at its own place.

        Afterwards the lease is undecided: wait for it as in the beginning.

        Args:
            judged: What `judge` said of the attempt's error; None: it was not sent.
            wait_s: Seconds before which it must not go; its endpoint may have it wait for longer.
        """
        if not self._ended:
            self._outcome = self._on_suspect = None
            self.suspected = self.granted = False
            usage = _NOTHING if self.asked is False else None
            self.asked = self.told_s = None
            # Whoever is second, this or `note_reaped`, sees what the first has written.
            if self._reaped is not None:
                self._outcome = self._reaped
            if judged is None:
                self._host.feed(Unsent(self.ticket))
            else:
                self._host.feed(Requeue(self.ticket, judged[0], wait_s, judged[1], usage))

    def on_suspect(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the call is late by what was learnt, from any thread."""
        self._on_suspect = callback
        if self.suspected:
            callback()

    def hedge(self) -> HostLease:
        """Ask for a further attempt of this call, which runs."""
        return self._host.submit(self.call, hedge_of=self.ticket)

    def anew(self) -> HostLease:
        """Ask for the call's old place again, now that this lease is lost."""
        return self._host.submit(self.call, self.parent, place_of=self.ticket)

    def supersede(self, usage: Usage | None) -> None:
        """Another attempt was faster: charge this one, and wake whoever waits in it."""
        if not self._ended:
            waiting = self._callbacks  # `settle` forgets whom to wake
            self.settle(usage, outcome=Outcome.SUPERSEDED)
            self._callbacks = waiting
            if self._reaped is None:
                self._tell(superseded_error(self.ticket, self.call))
            else:  # it was reaped meanwhile, by a thread that finds nobody to wake any more
                self.run_callbacks()
            self._callbacks = None

    @property
    def can_wake(self) -> bool:
        """Whether somebody can wake the thread that makes the call."""
        return bool(self._callbacks)

    @property
    def can_wake_reader(self) -> bool:
        """Whether who reads the answer is woken from that when the lane is lost."""
        carrier = None if self.carrier is None else self.carrier()
        return carrier is not None and carrier.can_wake

    def is_read(self, *, read: bool) -> None:
        """A stream is read from now on, by whoever runs this, or no more."""
        self._host.pauses.note(self, read=read)

    def back(self, now_s: float) -> None:
        """The consumer asks for the next chunk."""
        away_s = self.away_s
        if away_s is not None and now_s - away_s > PAUSE_S and not self._ended:
            self.away_told = True
            self._host.feed(Away(self.ticket, away_s))
        self.away_s = None
        if self.away_told:
            self.away_told = self.turns
            self.idle(idle=False)

    @property
    def ended(self) -> bool:
        """Whether its end was told."""
        return self._ended

    @property
    def decided(self) -> bool:
        """Whether it was granted or refused."""
        return self._outcome is not None

    @property
    def lost(self) -> bool:
        """Whether it was reaped at the very moment at which it was to go again."""
        return self._outcome.__class__ is Reaped

    @property
    def refused_for(self) -> str:
        """Why it was refused, in a word; "" if it was not."""
        if isinstance(self._outcome, Refused):
            return self._outcome.cause
        return type(self._outcome).__name__ if isinstance(self._outcome, BaseException) else ""

    def result(self) -> HostLease:
        """This lease if it was granted.

        Raises:
            CallRefused: It was refused.
            ClosedError: The core was closed.
        """
        outcome = self._outcome
        if outcome.__class__ is Granted:
            return self
        self._ended = True
        if self._traced is not None:
            self._traced.tell()
        if isinstance(outcome, Refused):
            raise refusal(outcome, self.call)
        assert isinstance(outcome, BaseException)  # noqa: S101 - decided, and nothing else is left
        raise outcome

    def check_wait(self) -> None:
        """Refuse to block this thread for what only this thread can give back.

        Raises:
            WouldDeadlock: It is inside the core (a finaliser, a signal's handler), or it runs an
                event loop whose own tasks hold what the call waits for.
        """
        self._host.check_wait(self)

    def withdraw(self, cause: str = "cancelled") -> None:
        """Give up, whatever has become of the call meanwhile."""
        if not self._ended:
            self._host.feed(Withdraw(self.ticket, cause, unsent=True))
            self._ended = True
            if self._traced is not None:
                self._traced.tell()

    def decide(self, outcome: Granted | Refused | BaseException) -> None:
        """The kernel has answered: tell the caller."""
        if outcome.__class__ is Granted:
            self.granted_at_s = outcome.at_s
            self.waited_s = outcome.waited_s
            self.granted = True
        self._outcome = outcome
        wake = self.wake
        if wake is not None:
            wake()

    def note_reaped(self, effect: Reaped) -> bool:
        """The lane is lost. True if somebody wants to be called."""
        self._reaped, self.reaped = effect, True
        if self._outcome is None:  # it was to go again: the kernel will not hear of that
            self._outcome = effect
            wake = self.wake
            if wake is not None:
                wake()
        return self._callbacks is not None

    def note_suspected(self) -> bool:
        """The call is late. True if somebody wants to be called."""
        self.suspected = True
        return self._on_suspect is not None

    def run_callbacks(self) -> None:
        """Call whoever wanted to be called; each once, even if two threads come here at once."""
        if self._reaped is not None:
            self._tell(reaped_error(self._reaped, self.call))
        elif self.suspected and (on_suspect := self._on_suspect) is not None:
            on_suspect()

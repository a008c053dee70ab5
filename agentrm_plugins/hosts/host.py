"""The host: one thread-safe door into one kernel, for threads and any number of event loops.

``feed`` appends an event to the inbox and, if nobody else is inside, empties it. It never blocks:
who finds the kernel taken leaves its event to the one inside, who looks again before leaving. So a
finaliser in the middle of `handle` may feed as well. No code of a user runs inside.
"""

from __future__ import annotations

import gc
import itertools
import logging
import os
import threading
import weakref
from _thread import get_ident
from asyncio import _get_running_loop
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

from agentrm_plugins.config import Config
from agentrm_plugins.errors import ClosedError, KernelBug
from agentrm_plugins.hosts.abandoned import Abandoned
from agentrm_plugins.hosts.asides import NOTABLE, STARVED_S, Asked, News, Read
from agentrm_plugins.hosts.bell import Plan, Pump
from agentrm_plugins.hosts.coordinator import Coordinator, Forked
from agentrm_plugins.hosts.deadlock import check_loop
from agentrm_plugins.hosts.lease import HostLease
from agentrm_plugins.hosts.mending import finish, give_back, is_within
from agentrm_plugins.hosts.misses import Misses
from agentrm_plugins.hosts.pauses import Away, Pauses
from agentrm_plugins.hosts.standstill import STILL_S, Standstills
from agentrm_plugins.hosts.streams import Streams
from agentrm_plugins.kernel import Kernel
from agentrm_plugins.kernel.outside import is_from_outside
from agentrm_plugins.policy.endpoint.providers import PROVIDERS
from agentrm_plugins.policy.endpoint.tables import BUILT_IN, Tables
from agentrm_plugins.types.effects import Granted, Reaped, Refused, Settled, Suspected
from agentrm_plugins.types.events import Close, EndAgent, Submit, Tick, Withdraw

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentrm_plugins.hosts.clock import Clock
    from agentrm_plugins.hosts.tracing import Tracer
    from agentrm_plugins.types.calls import Call
    from agentrm_plugins.types.effects import Effect
    from agentrm_plugins.types.events import Event

    Inbox = Event | Read | News | Away

__all__ = ["Host"]

T = TypeVar("T")
_LOG = logging.getLogger("agentrm")
_ASIDES = frozenset({Asked, Away, News, Read})
_HOSTS: weakref.WeakSet[Host] = weakref.WeakSet()


class Host:
    """One kernel and its callers.

    Args:
        config: The configuration.
        clock: The clock that all of it goes by.
        shared: Whether its limits are shared with other processes, by a `coordinator`.
    """

    def __init__(self, config: Config, clock: Clock, *, shared: bool = False) -> None:
        self.config, self._shared = config, shared
        self.coordinator: Coordinator | None = None
        self.clock, self._now = clock, clock.now
        self.tables = Tables((*PROVIDERS, *config.providers)) if config.providers else BUILT_IN
        self._numbers = itertools.count(1)
        self.closed = False
        self.streams, self.abandoned = Streams(clock), Abandoned()
        self._forked: list[Callable[[], None]] = []
        self.tracer: Tracer | None = None
        self._reset()
        clock.attach(self)
        _HOSTS.add(self)

    def _reset(self) -> None:
        """A fresh kernel: at the beginning, and in the child after a fork."""
        self.kernel = Kernel(self.config, self._now(), shared=self._shared)
        self.deadline_s = float("inf")
        self._inbox: deque[Inbox] = deque()
        self._mutex = threading.RLock()
        self._inside, self._plan = 0, Plan()
        self._stuck: object = None
        self._leases: dict[int, weakref.ref[HostLease]] = {}
        self.pauses, self._late, self.misses = Pauses(), Standstills(), Misses()
        self._callbacks: deque[HostLease] = deque()
        self.abandoned.begin_anew()
        self._pump: Pump | None = None
        self._on_idle: deque[Callable[[], None]] = deque()

    # -- calls ------------------------------------------------------------------------------

    def submit(
        self,
        call: Call,
        parent: int | None = None,
        place_of: int | None = None,
        hedge_of: int | None = None,
    ) -> HostLease:
        """Ask for a lane. The lease may be decided at once, or later.

        `place_of` is the ticket of a reaped call that goes again; `hedge_of` of one that is late.

        Raises:
            ClosedError: The core is closed.
        """
        if self.closed:
            raise ClosedError("this AgentRM is closed; make a new one, or keep it open for longer")
        if self.coordinator is not None:
            self.coordinator.ensure()
        number = next(self._numbers)
        lease = HostLease(self, number, call, parent)
        lease.loop = _get_running_loop()
        self._leases[number] = weakref.ref(lease)
        pauses = self.pauses
        reads = bool(pauses.readers) and hedge_of is None and pauses.nest(lease, self.lease)
        if self.tracer is not None:
            self.tracer.submitted(lease, place_of or hedge_of)
        self.feed(Submit(number, call, lease.parent, place_of, hedge_of, reads))
        return lease

    @property
    def is_used(self) -> bool:
        """Whether any call waits or runs."""
        return bool(self._leases)

    def lease(self, ticket: int) -> HostLease | None:
        """The lease of a call that waits or runs; None if it ended, was reaped or is nobody's."""
        reference = self._leases.get(ticket)
        return None if reference is None else reference()

    def feed(self, event: Inbox) -> None:
        """Let an event happen, here and now or by whoever is inside. Never blocks."""
        inbox, mutex = self._inbox, self._mutex
        try:
            inbox.append(event)
            if self._inside and self._inside == get_ident():
                if not is_within(_FEED, self):
                    self._interrupted()  # once before, and again while that was seen to
                return  # else we are a finaliser or a signal's handler
            while inbox and mutex.acquire(False):
                self._inside = get_ident()
                self._drain(inbox)
                self._inside = 0
                mutex.release()
                if self._callbacks:
                    self._run_callbacks()
                if self.abandoned.left:
                    self.abandoned.tell()
        except BaseException:
            self._interrupted()
            raise

    def _interrupted(self) -> None:
        """An exception hit this thread in `feed`, out of nowhere: nothing is left half done."""
        for _ in range(100):  # the next one may hit it here
            try:
                if self._inside == get_ident():
                    finish(self.kernel, self._inbox, self._leases, self._callbacks)
                    self._inside = 0
                break
            except BaseException:  # noqa: BLE001 - the first one is raised
                _LOG.debug("interrupted again", exc_info=True)
        self._inside = 0 if self._inside == get_ident() else self._inside
        give_back(self._mutex)
        self.feed(Tick())

    def sweep(self) -> None:
        """Give back what cut finalisers hold; and the mutex, if its thread was cut too often."""
        first, self._stuck = self._stuck, self._inbox[0] if self._inbox else None
        if first is not None and first is self._stuck and not is_within(_FEED, self, anywhere=True):
            self._mutex = threading.RLock()
            self._inside = get_ident()
            self._interrupted()
        for number, reference in self._leases.copy().items():  # as in `check_loop`
            lease = reference()
            if lease is None or lease.ended or gc.is_finalized(lease):  # some hook may keep it
                self._leases.pop(number, None)
                self.feed(Withdraw(number, "abandoned"))

    @property
    def is_inside(self) -> bool:
        """Whether this thread is in the kernel: in a finaliser or a signal's handler, that is."""
        return self._inside == get_ident()

    def check_wait(self, lease: HostLease) -> None:
        """Refuse to block this thread until `lease` is decided, if that would be for ever."""
        if (inside := self.is_inside) or lease.loop is not None:
            check_loop(lease, self._leases, self.kernel, inside=inside)

    def tick(self) -> None:
        """A date has come."""
        self.feed(Tick())

    def _drain(self, inbox: deque[Inbox]) -> None:  # noqa: C901 - one piece
        kernel, now, readers = self.kernel, self._now, self.pauses.readers
        while inbox:
            now_s = now()  # one look: a date between two would ring for who is away
            if self.deadline_s < now_s - STILL_S and self.clock.real:
                self._late.leave_out(kernel, self.deadline_s, now_s, self._happened)
                self.deadline_s = now_s
            if readers and kernel.deadline_s <= now_s:
                for since_s, idle in self.pauses.due(self.lease):
                    self._happened(kernel.handle(since_s, idle))
            event: Any = inbox[0]  # it leaves when it is over: an interrupt may cut it
            if event.__class__ in _ASIDES:
                self._aside(event, now_s)
                inbox.popleft()
                continue
            try:
                effects = kernel.handle(now_s, event)
            except Exception as error:  # noqa: BLE001 - a bug of ours, told to whom it concerns
                self._report(event, error)
                effects = getattr(error, "effects", [])  # of all else that happened
            if event.__class__ is EndAgent and event.abandoned:
                self.abandoned.note(event.tenant, event.agent)
            for stream in self.streams.open:  # first: who is woken finds its own grant there
                stream.push(effects)
            self._deliver(effects)
            inbox.popleft()
        while self._on_idle and not kernel.books.counters.running:
            self._on_idle.popleft()()
        if self.coordinator is not None:
            self.coordinator.notice(kernel)
        deadline_s = kernel.deadline_s
        if kernel.queue.count:
            deadline_s = min(deadline_s, self.streams.starving(kernel.books))
        sooner, self.deadline_s = deadline_s < self.deadline_s, deadline_s
        if sooner and not kernel.books.now_s < self._plan.looks_s <= deadline_s:
            self._ring()

    def _deliver(self, effects: list[Effect]) -> None:
        for effect in effects:
            kind = effect.__class__
            if kind is Granted:
                reference = self._leases.get(effect.ticket)
                lease = None if reference is None else reference()
                if lease is not None:
                    lease.decide(effect)  # type: ignore[arg-type] # mypy does not follow `kind`
            elif kind is Refused:
                self._refuse(effect)
            elif kind is Settled:
                self._leases.pop(effect.ticket, None)
            elif kind is Reaped:
                self._reap(effect)
            elif kind is Suspected:
                self._suspect(effect)
            if kind in NOTABLE or (kind is Granted and effect.waited_s > STARVED_S):  # type: ignore[union-attr]
                self.streams.note(effect)

    def _gone(self, ticket: int) -> HostLease | None:
        """The lease of a call that is out of the kernel; None: its caller has vanished."""
        reference = self._leases.pop(ticket, None)
        return reference() if reference is not None else None

    def _refuse(self, effect: Effect) -> None:
        lease = self._gone(effect.ticket)
        if lease is not None:
            lease.decide(effect)  # type: ignore[arg-type]
        if effect.cause == "agent_ended":
            self.abandoned.note("default" if lease is None else lease.call.tenant, effect.agent)

    def _reap(self, effect: Effect) -> None:
        lease = self._gone(effect.ticket)
        if lease is None:  # its caller has vanished, and an interrupt has cut its finaliser
            self._inbox.append(Withdraw(effect.ticket, "abandoned"))
        elif lease.note_reaped(effect):  # type: ignore[arg-type]
            self._callbacks.append(lease)

    def _suspect(self, effect: Effect) -> None:
        if (lease := self.lease(effect.ticket)) is not None and lease.note_suspected():
            self._callbacks.append(lease)

    def _report(self, event: Event | Read, error: Exception) -> None:
        if is_from_outside(error):  # an alarm's, no bug of ours
            raise error
        _LOG.error("the kernel failed on %r: %s", event.__class__.__name__, error, exc_info=error)
        ticket = getattr(event, "ticket", 0)
        if ticket in self.kernel.books.tickets:
            if not isinstance(error, KernelBug):
                return  # It waits or runs still: the failure was none of its own.
            self._inbox.append(Withdraw(ticket, "failed"))  # Its caller is told, and gone then.
        lease = self._gone(ticket)
        if lease is not None and not lease.decided:
            lease.decide(error)

    def _run_callbacks(self) -> None:
        while self._callbacks:
            try:
                lease = self._callbacks.popleft()
            except IndexError:  # another thread took it
                return
            try:
                lease.run_callbacks()
            except Exception:  # noqa: BLE001 - the caller here has nothing to do with it
                _LOG.exception("a callback of reaped call %d failed", lease.ticket)
            except BaseException:
                self._callbacks.append(lease)
                raise

    # -- looks ------------------------------------------------------------------------------

    def read(self, look: Callable[[Kernel], T]) -> T:
        """Look at the kernel while nothing changes. `look` must be quick and must not feed."""
        if self.is_inside:
            return look(self.kernel)  # a finaliser or a logger, inside already
        self.feed(request := Read(look))
        return request.result()  # type: ignore[no-any-return] # it is what `look` gave

    def _aside(self, request: Any, now_s: float) -> None:
        if isinstance(request, News):  # no event of the kernel's own
            self.kernel.remember([request.effect])
            for stream in self.streams.open:
                stream.push([request.effect])
        elif isinstance(request, Away):
            self._happened(self.kernel.handle(request.since_s, request.event))
        else:
            try:
                if isinstance(request, Asked):
                    self._happened(self.kernel.handle(now_s, request.event))
                else:
                    request.value = request.look(self.kernel)
            except Exception as error:  # noqa: BLE001 - raised again where it was asked for
                request.error = error
                self._happened(getattr(error, "effects", []))
            request.done.ring()

    def _happened(self, effects: list[Effect]) -> None:
        for stream in self.streams.open:
            stream.push(effects)
        self._deliver(effects)

    def ask(self, event: Event) -> None:
        """Let an event happen, and wait until it has.

        Raises:
            ConfigError: The kernel would not have it; nothing has changed.
        """
        request = Asked(event)
        self.feed(request)
        request.result()

    def tell(self, effect: Effect) -> None:
        """Something happened beside the kernel: it stands in its history, and in every stream."""
        self.feed(News(effect))

    # -- time and end -----------------------------------------------------------------------

    def _ring(self) -> None:
        if self.clock.real and (self._pump is None or not self._pump.ring()) and not self.closed:
            self._pump = Pump(self)  # it looks at once
            self._plan = self._pump.plan

    def close(self) -> None:
        """Refuse whoever waits and whoever comes; running calls may still settle."""
        self.closed = True
        self.feed(Close())

    def on_idle(self, ring: Callable[[], None]) -> None:
        """Call `ring` (quick, and ours: it runs inside) once, as soon as no call runs."""
        self._on_idle.append(ring)
        self.tick()

    def stop(self) -> None:
        """No date will be kept any more."""
        pump, self._pump = self._pump, None
        if pump is not None:
            pump.stop()

    def on_fork(self, begin: Callable[[], None]) -> None:
        """Call `begin` in each child of a fork, once its copy of this host has begun afresh."""
        self._forked.append(begin)

    def after_fork(self) -> None:
        """In the child: the parent's calls, threads and lanes are not ours. Begin afresh."""
        self._reset()
        self.streams.open = ()
        self.coordinator = self.coordinator or Forked(self)
        self.coordinator.after_fork()
        for begin in self._forked:
            begin()


_FEED = Host.feed.__code__


def _after_fork() -> None:
    for host in list(_HOSTS):
        host.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

"""One attempt of a call in its lane, the same for every adapter and in each of the worlds.

`here` runs the work on the caller's thread, `on_worker` on one that can be left behind (but see
`stays`), `in_task` awaits it, `in_thread` lets a task wait for a worker; `hosts.chunk_stream` has
what the two kinds of stream share. The work runs inside its lease (what it calls is nested), and
this is how it ends:

- well: `settle`, which the adapter gives, charges what the provider counted;
- with an error: the lease is left to the flow, which may let the call go again. What LangGraph
  raises to steer a graph is no failure;
- late: a further attempt is sent beside it (`hosts.race`);
- past a configured limit: the caller gets `CallReaped`, at once where it can be left or cancelled,
  else when the work ends. `CancelledError` is never born inside the work;
- left behind: a worker settles with what it brings.
"""

from __future__ import annotations

import asyncio
import weakref
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from agentrm_plugins.errors import CallReaped
from agentrm_plugins.hosts.bell import Bell
from agentrm_plugins.hosts.outcomes import Told, outcome_of
from agentrm_plugins.hosts.race import Race, Task, WorkerRun
from agentrm_plugins.hosts.race_here import HereRun
from agentrm_plugins.hosts.race_tasks import TaskRun, shut
from agentrm_plugins.hosts.unsent import NotSent, is_unsent
from agentrm_plugins.hosts.workers import Job, hand_off
from agentrm_plugins.types.calls import Outcome, Usage
from agentrm_plugins.types.identity import ACTIVE, Active

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentrm_plugins.hosts.chunk_stream import ChunkStream
    from agentrm_plugins.hosts.lease import HostLease

__all__ = ["Attempt"]

T = TypeVar("T")


class Attempt:
    """One attempt.

    Args:
        core: The number of the core.
        lease: The lane.
        settle: Told the lease and what the work gave: settles with what that used. None: nothing.

    Attributes:
        active: What the code inside the attempt sees of its call.
        apart: Whether it is made in a task of its own: nobody else sees that one's contextvars.
        begun: Whether its work has begun: nothing is sent before.
        tally: What it has cost so far, if somebody counts: asked when it is cut off.
        stream: The stream that it gives, if it gives one and somebody holds it.
    """

    __slots__ = ("_core", "_settle", "active", "apart", "begun", "lease", "stream", "tally")

    def __init__(
        self, core: int, lease: HostLease, settle: Callable[[HostLease, Any], None] | None = None
    ) -> None:
        self.lease = lease
        again = lease.call.endpoint is not None  # else it may have done something already
        self.active = Active(core, lease.ticket, lease.call, weakref.ref(lease) if again else None)
        self.tally: Callable[[], Usage | None] | None = None
        self.stream: Callable[[], ChunkStream | None] = _none
        self._core, self._settle = core, settle
        self.begun = self.apart = False

    @property
    def stays(self) -> bool:
        """Whether sync work belongs on the caller's own thread, though it cannot be left there.

        In a thread that runs an event loop, work of this process (a node, a model without a host)
        does as it would without us: it may look for that loop. What asks a known endpoint goes to
        a worker, for a provider may hang.
        """
        return self.lease.loop is not None and self.lease.call.endpoint is None

    # -- sync -------------------------------------------------------------------------------

    def here(
        self, work: Callable[[], T], fork: Callable[[Attempt], Callable[[], T]] | None = None
    ) -> T:
        """Run `work` on this thread; a further attempt on a worker, if this one can be woken.

        Args:
            work: What to do.
            fork: Gives the work of a further attempt; None: the same.

        Raises:
            CallReaped: A limit was passed meanwhile.
            Exception: What the work raised.
        """
        run = HereRun(self, partial(_same, work) if fork is None else fork)
        try:
            result = self.inside(work)
        except BaseException as error:
            if not run.came(error):
                self.failed(error)
                raise
        else:
            if not run.came(None, result):
                return self.given(result)
            self.shut()
        other: T = self._won(run.other)
        return other

    def on_worker(self, work: Callable[[], T], fork: Callable[[Attempt], Task] | None = None) -> T:
        """Run `work` on a worker thread, and leave it behind if a limit is passed; or it `stays`.

        Args:
            work: What to do.
            fork: Gives what a further attempt does, and this one; None: the same.

        Raises:
            CallReaped: A limit was passed; at that moment.
            Exception: What the work raised.
        """
        if self.lease.loop is not None and self.stays:
            return self.here(work)
        bell, lease = Bell(), self.lease
        task = Task(work) if fork is None else fork(self)
        run = self.worker(task, bell.ring)
        lease.on_suspect(bell.ring)
        race: Race | None = None
        try:
            bell.wait()
            while not run.job.over and race is None:
                if lease.suspected and lease.call.hedge:
                    race = self.race(run, fork or (lambda _: Task(work)), bell.ring)
                else:
                    bell.wait()
            while race is not None and not race.step():
                bell.wait(race.wait_s)
        except BaseException as error:
            _abandon(run, race, error)
            raise
        result: T = self._won(run if race is None else race.winner)
        return result

    # -- async ------------------------------------------------------------------------------

    async def in_task(
        self,
        work: Callable[[], Awaitable[T]],
        fork: Callable[[Attempt], Callable[[], Awaitable[T]]] | None = None,
    ) -> T:
        """Await `work()` in this task.

        Args:
            work: What to do.
            fork: Gives the work of a further attempt; None: the same.

        Raises:
            CallReaped: A limit was passed; the work was cancelled at that moment.
            Exception: What the work raised.
        """
        run = TaskRun(self, partial(_same, work) if fork is None else fork)
        token = ACTIVE.set(self.active)
        other: T
        try:
            self.begin()
            result = await work()
        except BaseException as error:
            if run.race is not None:
                other = await run.others(error)
                return other
            reaped = run.convert(error)
            if reaped is not None:
                self.lease.settle(self.spent(), outcome=Outcome.ERROR)
                raise reaped from error
            self.failed(error)
            raise
        finally:
            ACTIVE.reset(token)
        if run.came(result):
            try:
                return self.ended(result)
            except CallReaped:
                await shut(self)
                raise
        other = await run.others(None)
        return other

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Let a worker run `work`, and this task wait for it: the loop's own executor has few.

        Raises:
            CallReaped: A limit was passed; at that moment.
            Exception: What the work raised.
        """
        loop, event, lease = asyncio.get_running_loop(), asyncio.Event(), self.lease

        def ring() -> None:
            try:
                loop.call_soon_threadsafe(event.set)
            except RuntimeError:  # the loop is closed: nobody waits
                lease.settle(outcome=Outcome.CANCELLED)

        run = self.worker(Task(work), ring)
        lease.on_suspect(ring)
        race: Race | None = None
        try:
            while not run.job.over and race is None:
                await event.wait()
                event.clear()
                if lease.suspected and lease.call.hedge and not run.job.over:
                    race = self.race(run, lambda _: Task(work), ring)
            while race is not None and not race.step():
                if race.wait_s >= 0.0:
                    loop.call_later(race.wait_s, event.set)
                await event.wait()
                event.clear()
        except BaseException as error:
            _abandon(run, race, error)
            raise
        result: T = self._won(run if race is None else race.winner)
        return result

    # -- what they share --------------------------------------------------------------------

    @staticmethod
    def stays_open(lease: HostLease, result: object) -> None:
        """For `settle`: what the work gave is a stream, which settles when it has been read."""

    def shut(self) -> None:
        """It brought a stream, in sync code, for nobody."""
        stream = self.stream()
        if stream is not None:
            with suppress(Exception):  # nobody waits for it
                stream.shut()

    def again(self, lease: HostLease) -> Attempt:
        """A further attempt of the same call."""
        return Attempt(self._core, lease, self._settle)

    def worker(self, task: Task, ring: Callable[[], None]) -> WorkerRun:
        """Have a worker begin with the task."""
        job = Job(task.context or copy_context(), task.work, task.late or self.late, ring)
        job.inside = self.inside
        self.lease.on_reap(job.abandon)
        hand_off(job)
        return WorkerRun(self, job)

    def race(self, first: Any, fork: Callable[[Attempt], Task], ring: Callable[[], None]) -> Race:
        """The race of attempts on workers that this one, which is late, comes to."""

        def start(lease: HostLease) -> WorkerRun:
            attempt = self.again(lease)
            return attempt.worker(fork(attempt), ring)

        race = Race(first, start, ring)
        self.lease.on_suspect(race.suspected)
        return race

    def inside(self, work: Callable[[], T]) -> T:
        """Run `work` inside the lease.

        Raises:
            NotSent: The lane may be another process's by now.
            Exception: What the work raised.
        """
        self.begin()
        token = ACTIVE.set(self.active)
        try:
            return work()
        finally:
            ACTIVE.reset(token)

    def begin(self) -> None:
        """Its work begins now.

        Raises:
            NotSent: The lane may be another process's by now, or nobody wants it any more.
            CallReaped: A limit was passed meanwhile.
        """
        lease, void = self.lease, self.lease.is_void
        if not void:
            lease.raise_if_reaped()
        if void or lease.ended:
            raise NotSent(lease.ticket)
        self.begun = True

    def counted(self) -> Usage | None:
        """What it has cost by what came; None if nothing did, or nobody counts.

        Nothing if it is known that its request has never been sent.
        """
        if not self.begun or self.lease.asked is False:
            return Usage()
        return None if self.tally is None else self.tally()

    def used(self, result: T) -> Usage | None:
        """What an answer that nobody waits for has cost; None if nobody counts."""
        told = Told(self.lease.call)
        self.brought(result, told)
        return told.usage

    def brought(self, result: T, lease: Any) -> None:
        """Charge `lease` for what it brought, unless that is a stream."""
        if self._settle is not None:
            self._settle(lease, result)

    def spent(self) -> Usage:
        """What a call that was cut off has cost at least: its input, and what had come."""
        return self.counted() or Usage(self.lease.call.estimate.input_tokens)

    def ended(self, result: T) -> T:
        """The work went well. If it only had to make room meanwhile, its answer is one.

        Raises:
            CallReaped: A limit was passed meanwhile.
        """
        lease = self.lease
        lease.settle() if self._settle is None else self._settle(lease, result)
        if lease.reaped and not (lease.ended and lease.reap_cause == "gave_way"):
            lease.settle(self.spent(), outcome=Outcome.ERROR)  # a stream that nobody gets
            lease.raise_if_reaped()
        return result

    def given(self, result: T) -> T:
        """`ended` in sync code; a stream that opened too late is shut."""
        try:
            return self.ended(result)
        except CallReaped:
            self.shut()
            raise

    def failed(self, error: BaseException) -> None:
        """The work is back with an error; one that was reaped, perhaps because it was woken.

        Raises:
            CallReaped: A limit was passed, and the error was an ordinary one.
        """
        lease, outcome = self.lease, outcome_of(error.__class__)
        if not lease.reaped:
            if outcome is Outcome.OK:
                lease.settle()
            elif outcome is Outcome.CANCELLED:
                lease.fail(error, self.spent())
            return
        self._too_late(error, outcome)
        if isinstance(error, Exception) and not isinstance(error, CallReaped):
            try:
                lease.raise_if_reaped()
            except CallReaped as reaped:
                raise reaped from error

    def late(self, result: Any, error: BaseException | None) -> None:
        """A worker is back after its caller went: charge what it brings."""
        if error is not None:
            self._too_late(error, outcome_of(error.__class__))
            return
        self.brought(result, self.lease)
        self.lease.settle()

    def _too_late(self, error: BaseException, outcome: Outcome) -> None:
        """The work met an error after its lane was lost: what the server refused costs nothing.

        Its endpoint heard of a failure when the lane was lost, and does not count this one.
        """
        if outcome is Outcome.ERROR and not isinstance(error, CallReaped):
            self.lease.fail(error, Usage() if is_unsent(error, self.lease) else self.counted())
        else:
            self.lease.settle(self.spent(), outcome=outcome)

    def _won(self, run: Any) -> Any:
        """What the attempt gave that decided the call; of several perhaps another one."""
        try:
            result = run.take()
        except BaseException as error:
            if not run.left:
                run.attempt.failed(error)
            raise
        return run.attempt.given(result)


def _same(work: Callable[[], T], _: Attempt) -> Callable[[], T]:
    return work


def _none() -> None:
    return None


def _abandon(run: WorkerRun, race: Race | None, error: BaseException) -> None:
    """The caller was interrupted."""
    if race is None:
        run.leave()
        run.attempt.failed(error)
    else:
        race.abort(error)

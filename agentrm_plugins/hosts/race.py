"""Attempts of one call side by side, once the first is late: who is alive, and who has won.

Law: late is not dead. When the kernel suspects the first attempt, it goes on, and a further one is
asked for; it waits at the call's own place. The first that answers wins. The others are cancelled
and charged. One that fails with what may be cured leaves the call to the other: a further attempt
backs off (0.5 s, doubling to 8 s) and is sent again, the first is over. What cannot be cured ends
the call. A further attempt that gave way is sent again at once; one that passed a configured limit
leaves the call to the other, if that was sent. From then on no further one is sent: a call whose
attempts all hang ends. At most two are alive.

Each is charged once: one that is back what it brought, one that is cut off its input and what came,
one that was never sent nothing.

However a race ends, each attempt that has not come back is left: also one that lost its lane and
decides the call by that. What a left one brings all the same is shut, and its error nobody's.
Before one is left for another, or for the next one, it has its last words (`hosts.partings`): an
answer that comes by then is charged as what it is, and if the race is still on it has won.

`Race.step` sees to all that has happened; it is called by one thread or task at a time, whenever
`ring` was called, by whomever.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from agentrm_plugins.errors import CallReaped, CallRefused, ClosedError
from agentrm_plugins.hosts.judgement import judge
from agentrm_plugins.hosts.partings import Partings
from agentrm_plugins.hosts.unsent import is_unsent
from agentrm_plugins.hosts.workers import NoThread
from agentrm_plugins.types.calls import Outcome, Usage

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    from agentrm_plugins.hosts.attempt import Attempt
    from agentrm_plugins.hosts.lease import HostLease
    from agentrm_plugins.hosts.workers import Job

__all__ = ["Race", "Runner", "Task", "WorkerRun"]

_BACKOFF_S, _BACKOFF_MAX_S = 0.5, 8.0  # the OpenAI SDK's own


class Task(NamedTuple):
    """What one attempt is to do on a worker.

    Args:
        work: The work.
        context: The contextvars that it sees; None: a copy of the caller's.
        late: Told what a worker that was left behind brings; None: it is charged.
    """

    work: Callable[[], Any]
    context: Context | None = None
    late: Callable[[Any, BaseException | None], None] | None = None


class Runner(Protocol):
    """One attempt under way."""

    attempt: Attempt

    @property
    def left(self) -> bool:
        """Whether it runs on alone, and settles when it comes back."""

    @property
    def over(self) -> bool:
        """Whether it has come back, or was left."""

    @property
    def error(self) -> BaseException | None:
        """What it came back with; None: a result."""

    def take(self) -> Any:
        """The result, or the error raised."""

    def leave(self) -> None:
        """Do not wait for it any longer: cancel what can be, shut what it brings or has brought."""


class WorkerRun:
    """An attempt on a worker thread."""

    __slots__ = ("attempt", "job")

    def __init__(self, attempt: Attempt, job: Job) -> None:
        self.attempt = attempt
        self.job = job

    @property
    def left(self) -> bool:
        """Whether the worker goes on alone."""
        return self.job.abandoned

    @property
    def over(self) -> bool:
        """Whether it has come back, or was left."""
        return self.job.over

    @property
    def error(self) -> BaseException | None:
        """What it came back with."""
        return self.job.error

    def take(self) -> Any:
        """The result, or the error raised.

        Raises:
            CallReaped: It was left behind, for the lane was lost.
        """
        if self.job.abandoned:
            self.attempt.lease.raise_if_reaped()
        return self.job.take()

    def leave(self) -> None:
        """The worker goes on alone."""
        self.job.abandon()
        if not self.job.abandoned:
            self.attempt.shut()


class Race:
    """The attempts of one call.

    Args:
        first: The first one, which runs.
        start: Starts a further one in the lane that it got.
        ring: Has `step` called soon; from any thread.

    Attributes:
        winner: Whose result or error is the call's; None while that is not known.
    """

    def __init__(
        self, first: Runner, start: Callable[[HostLease], Runner], ring: Callable[[], None]
    ) -> None:
        self._alive = [first]
        self._start = start
        self._ring = ring
        self._waiting: HostLease | None = None
        self._late = True  # it is made when the first is
        self._backoff_s = _BACKOFF_S
        self._gone: Runner | None = None
        self._limited = False
        self._partings = Partings()
        self._chosen: Runner | None = None
        self.winner: Runner | None = None

    @property
    def wait_s(self) -> float:
        """Seconds after which `step` is to be called though nobody rang; -1: never."""
        return self._partings.wait_s

    def step(self) -> bool:
        """See to what has happened. Whether the race is decided."""
        if self._chosen is None:
            self._look()
        for runner in self._partings.ended():
            if self._chosen is None and _answered(runner) and runner.error is None:
                self._decide(runner)
            else:
                self._leave(runner, hurried=True)
        if self.winner is None and not self._partings.are_waited_for:
            self.winner = self._chosen
        return self.winner is not None

    def _look(self) -> None:
        waiting = self._waiting
        if waiting is not None and waiting.decided and not self._is_over():
            self._decided(waiting)
        for runner in tuple(self._alive):
            if self._chosen is not None:
                return
            if runner.attempt.lease.reaped and not _answered(runner):
                self._lost(runner)
            elif runner.over:
                self._back(runner)
        if self._chosen is None and self._late:
            self._late = False
            self._further()

    def suspected(self) -> None:
        """The attempt that is alive is late; from any thread."""
        self._late = True
        self._ring()

    def abort(self, error: BaseException) -> None:
        """The caller was interrupted by `error`: leave all, and charge what was sent."""
        alive, self._alive = self._alive, []  # nothing is sent again
        waiting, self._waiting = self._waiting, None
        for runner in self._partings.ended(now=True):
            self._leave(runner, hurried=True)
        for runner in alive:
            lease = runner.attempt.lease
            charged = self._charged(runner)
            runner.leave()
            if charged:
                continue
            if not lease.reaped:
                lease.fail(error, runner.attempt.spent())
            elif not runner.left:
                lease.settle(runner.attempt.spent(), outcome=Outcome.ERROR)
        if waiting is not None:
            waiting.withdraw()

    # -- what may happen --------------------------------------------------------------------

    def _back(self, runner: Runner) -> None:
        error = runner.error
        if error is None or len(self._alive) == 1:
            self._decide(runner)
            return
        lease = runner.attempt.lease
        judged = None if is_unsent(error, lease) else judge(error, lease.tables, lease.told_s)
        if judged is not None and not judged[0].retryable:
            self._decide(runner)
            return
        further = runner is not self._alive[0]
        self._alive.remove(runner)
        if further and not lease.reaped:
            self._waiting = lease
            lease.wake = self._ring
            lease.requeue(judged, self._backoff_s)
            if judged is not None:
                self._backoff_s = min(2 * self._backoff_s, _BACKOFF_MAX_S)
            return
        if judged is None:
            lease.settle(Usage(), outcome=Outcome.CANCELLED)
        else:
            lease.fail(error, runner.attempt.counted(), judged)
        if not further:
            lease.heir = self._alive[0].attempt.lease
        elif lease.reap_cause == "gave_way":
            self._further()

    def _is_over(self) -> bool:
        """The only attempt that was sent has lost its lane, and not for the next one."""
        if len(self._alive) != 1:
            return False
        lease = self._alive[0].attempt.lease
        return lease.reaped and lease.reap_cause != "gave_way" and not _answered(self._alive[0])

    def _lost(self, runner: Runner) -> None:
        lease, waiting = runner.attempt.lease, self._waiting
        gave_way = lease.reap_cause == "gave_way"
        self._limited = self._limited or not gave_way
        alone = len(self._alive) == 1 and not (gave_way and waiting is not None)
        parts = gave_way and not alone and self._partings.begin(runner)
        if not parts:
            runner.leave()
        if alone:
            self._decide(runner)
            return
        further = runner is not self._alive[0]
        self._alive.remove(runner)
        if not parts and not runner.left:
            lease.settle(runner.attempt.spent(), outcome=Outcome.ERROR)
        if further:
            if gave_way:
                self._further()
            return
        self._gone = runner
        lease.heir = self._alive[0].attempt.lease if self._alive else waiting

    def _decided(self, lease: HostLease) -> None:
        """The further attempt that waited may go, or not."""
        self._waiting = None
        if lease.lost and self._alive:
            lease.settle(outcome=Outcome.ERROR)
            self._further()
            return
        try:
            lease.result()
        except (CallRefused, ClosedError):
            self._no_further()
            return
        try:
            runner = self._start(lease)
        except NoThread:
            lease.settle(Usage(), outcome=Outcome.CANCELLED)
            self._limited = True
            self._no_further()
            return
        self._alive.append(runner)
        lease.on_suspect(self.suspected)

    def _no_further(self) -> None:
        """No matter if the first goes on; else the flow asks again, and is told why not."""
        if not self._alive and self._gone is not None:
            self._gone.attempt.lease.heir = None
            self._chosen = self._gone

    def _further(self) -> None:
        """The only attempt is late: ask for another one, if that may be."""
        if self._waiting is not None or self._limited or len(self._alive) != 1:
            return
        first = self._alive[0].attempt.lease
        if not first.call.hedge or first.ended or first.reaped:
            return
        with suppress(ClosedError):
            lease = self._waiting = first.hedge()
            lease.wake = self._ring
            if lease.decided:
                self._decided(lease)

    def _decide(self, winner: Runner) -> None:
        self._chosen = winner
        for runner in self._alive:
            if runner is not winner:
                runner.attempt.lease.heir = winner.attempt.lease
                if not self._partings.begin(runner):
                    self._leave(runner)
        if self._waiting is not None:
            self._waiting.withdraw("superseded")
            self._waiting = None

    def _leave(self, runner: Runner, *, hurried: bool = False) -> None:
        """Nobody waits for it any longer: charge it, if what it brought did not."""
        lease, charged = runner.attempt.lease, self._charged(runner, hurried=hurried)
        runner.leave()
        if charged:
            return
        if lease.reaped and hurried:
            lease.settle(runner.attempt.spent(), outcome=Outcome.ERROR)
        else:
            lease.supersede(runner.attempt.spent())

    @staticmethod
    def _charged(runner: Runner, *, hurried: bool = False) -> bool:
        """One that nobody waits for is back already: whether it was charged what it brought.

        An error of one that was `hurried` is ours, unless the server said it.
        """
        if not runner.over or runner.left:
            return False
        attempt, error = runner.attempt, runner.error
        lease = attempt.lease
        if error is None:
            usage = None if attempt.stream() is not None else attempt.used(runner.take())
            if usage is not None:
                lease.supersede(usage)
            return usage is not None
        if not isinstance(error, Exception) or isinstance(error, CallReaped):
            return False
        if hurried and judge(error, lease.tables)[0].status is None:
            return False
        unsent = is_unsent(error, lease)
        lease.fail(error, Usage() if unsent else attempt.counted())
        return True


def _answered(runner: Runner) -> bool:
    """Whether it came back by itself, not for having been given up."""
    return runner.over and not runner.left and not isinstance(runner.error, CallReaped)

"""The race of a call that runs on its caller's own thread.

That thread waits in the provider's socket, so a worker sees to the race: it starts further
attempts, and when one of them wins it has the caller woken from its read. Where nobody can do that
(no transport of ours below), no further attempt is sent: its answer would come too late.
"""

from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from agentrm_plugins.hosts.bell import Bell
from agentrm_plugins.hosts.race import Task
from agentrm_plugins.hosts.workers import Job, NoThread, hand_off

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentrm_plugins.hosts.attempt import Attempt
    from agentrm_plugins.hosts.race import Race

__all__ = ["HereRun"]


class HereRun:
    """The first attempt, on the caller's thread.

    Args:
        attempt: The attempt.
        fork: Gives the work of a further one.
    """

    __slots__ = (
        "_bell",
        "_context",
        "_fork",
        "_interrupt",
        "_job",
        "_result",
        "attempt",
        "error",
        "left",
        "other",
        "over",
    )

    def __init__(self, attempt: Attempt, fork: Callable[[Attempt], Callable[[], Any]]) -> None:
        self.attempt = attempt
        self.over = self.left = False
        self.error: BaseException | None = None
        self.other: Any = None
        self._result: Any = None
        self._interrupt: BaseException | None = None
        self._fork = fork
        self._bell: Bell | None = None
        self._job: Job | None = None
        self._context = copy_context()
        if attempt.lease.call.hedge:
            attempt.lease.on_suspect(self._suspected)

    def _suspected(self) -> None:
        """It is late; told from any thread, outside of the core."""
        if self._job is None and not self.over and self.attempt.lease.can_wake:
            self._bell, job = Bell(), Job(self._context, self._supervise)
            self._job = job
            try:
                hand_off(job)
            except NoThread:  # the first goes on alone; its thread may wait for this one already
                job.result = self
                job.abandon()

    def _supervise(self) -> Any:
        bell, attempt = self._bell, self.attempt
        assert bell is not None  # noqa: S101 - it was made before this was handed off

        def fork(further: Attempt) -> Task:
            return Task(self._fork(further), self._context.copy())

        race: Race = attempt.race(self, fork, bell.ring)
        attempt.lease.on_reap(lambda _: bell.ring())
        while not race.step():
            bell.wait(race.wait_s)
            if self._interrupt is not None:
                race.abort(self._interrupt)
                return self
        return race.winner

    def came(self, error: BaseException | None, result: Any = None) -> bool:
        """The caller's thread is back. Whether another attempt stands for the call."""
        self.error, self._result, self.over = error, result, True
        job, bell = self._job, self._bell
        if job is None or bell is None:
            self._result = None  # its lease knows this run, and it its lease
            return False
        bell.ring()
        try:
            job.wait()
        except BaseException as interrupt:
            self._interrupt = interrupt
            bell.ring()
            raise
        self.other, self._result = job.take(), None
        return self.other is not self

    def take(self) -> Any:
        """For the race: what it gave, or the error that it met."""
        if self.error is not None:
            raise self.error
        return self._result

    def leave(self) -> None:
        """Nothing: its lease has it woken."""

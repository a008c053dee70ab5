"""Background compaction in the lanes of a core: it weighs least of all calls of its group."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import Context
from typing import Any

from agentrm_plugins.errors import AgentRMError
from agentrm_plugins.types.checks import check_group

__all__ = ["LowPriority"]


class LowPriority:
    """``submit=`` for `ContextLifecycle`: compaction as background work of an `AgentRM` core.

    Each job takes a lane of `group` with the lowest priority, so the order, the lanes and the
    statistics are those of the core: by its default order a job goes behind whatever has waited
    an eighth as long (interactive) or half as long, and is not starved. Where the core refuses
    (closed, over a budget), the job runs without a lane: it makes no request by itself, and what
    it does not do a turn would have to.

    Args:
        rm: The core.
        group: The lane group. A summariser that makes its model calls through the same core needs
            lanes of another group, or it would wait for the lane that its job holds.
        agent: For whom the jobs run.
        tenant: Who pays; None: the default tenant.

    Raises:
        ConfigError: The core has no such lane group.
    """

    def __init__(
        self, rm: Any, *, group: str = "model", agent: str = "context", tenant: str | None = None
    ) -> None:
        check_group("group", group, rm.config.groups)
        self._rm = rm
        self._who = {"agent": agent, "tenant": tenant, "group": group}
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="agentrm-context")

    def __call__(self, job: Callable[[], None]) -> Future[None]:
        """Queue a job. A `RuntimeError` after `close`: the session then works in the foreground."""
        # In a context of its own: it is not nested in the call during which it came up.
        return self._pool.submit(Context().run, self._run, job)

    def _run(self, job: Callable[[], None]) -> None:
        done = False
        try:
            with self._rm.slot(priority="background", label="compaction", **self._who):
                done = True
                job()
        except AgentRMError:
            if not done:
                job()

    def close(self) -> None:
        """Finish what is queued. A second time does nothing."""
        self._pool.shutdown(wait=True)

"""Streams that begin anew after they broke off in the middle, where their consumer has opted in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.hosts.judgement import judge

if TYPE_CHECKING:
    from agentrm_plugins.hosts.core import Core
    from agentrm_plugins.hosts.retry import RetryPolicy

__all__ = ["Restarts"]


class Restarts:
    """Whether a stream may begin anew, by the policy that lets calls go again.

    Args:
        core: The core, for its clock.
        policy: The policy; None: it never may.
    """

    __slots__ = ("_begun_s", "_core", "_policy", "_times")

    def __init__(self, core: Core, policy: RetryPolicy | None) -> None:
        self._core = core
        self._policy = policy
        self._begun_s = core.now_s
        self._times = 0

    def may(self, error: Exception) -> bool:
        """Whether it may after this error, which its consumer would get otherwise.

        How long it has to wait its endpoint says, as for any new call.
        """
        if self._policy is None or "text_so_far" not in vars(error):
            return False  # it was never begun: the flow has tried what may be tried
        self._times += 1
        times = self._times, self._begun_s, self._core.now_s
        return (
            self._policy.wait_s(error, judge(error, self._core.tables), *times, paced=True)
            is not None
        )

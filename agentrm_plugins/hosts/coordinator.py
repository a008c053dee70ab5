"""Who shares a host's limits with other processes, and what stands there after a fork if nobody."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from agentrm_plugins.hosts.warning import warn

if TYPE_CHECKING:
    from agentrm_plugins.kernel import Kernel

__all__ = ["Coordinator", "Forked"]


class Coordinator(Protocol):
    """Shares a host's limits with other processes."""

    def ensure(self) -> None:
        """A call comes: be at work. Must be quick."""

    def notice(self, kernel: Kernel) -> None:
        """Something happened in the kernel. Runs inside, so it must be quick and must not feed."""

    def after_fork(self) -> None:
        """In the child: begin as somebody else."""


class _Coordinated(Protocol):
    """A host, as far as this file needs it."""

    coordinator: Coordinator | None


class Forked:
    """Stands in a child after a fork, where nobody shares limits: says so with the first call."""

    def __init__(self, host: _Coordinated) -> None:
        self._host = host

    def ensure(self) -> None:
        """A call comes: the parent's limits are now used twice."""
        self._host.coordinator = None
        warn(
            f"process {os.getpid()} uses a core that was made before a fork: each process has all "
            "lanes and limits for itself; share them with AgentRM(coordination='redis://...')",
            stacklevel=5,
        )

    def notice(self, kernel: Kernel) -> None:
        """Nobody is told."""

    def after_fork(self) -> None:
        """A child of a child: nothing more to do."""

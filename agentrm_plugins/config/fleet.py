"""How a process shares its limits with others: all of it may be left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from agentrm_plugins.errors import ConfigError
from agentrm_plugins.types.arguments import suggesting_fields
from agentrm_plugins.types.checks import (
    check_choice,
    check_instance,
    check_name,
    check_number,
    check_share,
    keep,
    keep_whole,
)

__all__ = ["Coordination"]


@suggesting_fields
@dataclass(frozen=True, slots=True)
class Coordination:
    """One rate limit and one scheduler for a whole fleet, on Redis or Valkey.

    Lanes, limits and budgets of the `AgentRM` are then those of all processes of the namespace
    together.

    Args:
        server: A URL (``redis://``, ``rediss://``, ``unix://``), or a synchronous client of
            redis-py or valkey-py: ``Redis``, ``RedisCluster``, ``Sentinel(...).master_for(...)``.
        namespace: Who shares: every process with the same name on the same server. One for each
            provider account.
        lease_s: Seconds, 1 or more: a process that is not heard of for so long loses its lanes to
            the others. Longer than any pause of yours (garbage, a slow extension).
        on_outage: When the server cannot be reached and the lease is over: "share", each process
            goes on with its part of the limits; "wait", nobody goes; "refuse", calls raise
            `CoordinatorUnavailable`.
        expected_processes: How many there are, for a process that has never reached the server.
            None: then it refuses to start, for a mistake in the URL must not mean no limit.
        outage_share: The part of the limits that all processes together use in an outage.
        wake: Whether others wake this process when something is free for it. It takes a second
            connection; without it this process looks at the times that it was told.
    """

    server: Any = field(repr=False)
    namespace: str = "default"
    lease_s: float = 5.0
    on_outage: Literal["share", "wait", "refuse"] = "share"
    expected_processes: int | None = None
    outage_share: float = 0.9
    wake: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        check_name("namespace", self.namespace)
        if any(sign in self.namespace for sign in "{}") or len(self.namespace) > 200:  # noqa: PLR2004
            raise ConfigError(
                "namespace", self.namespace, "give at most 200 characters without { and }"
            )
        keep(self, check_number, "lease_s", least=1.0)
        check_choice("on_outage", self.on_outage, ("share", "wait", "refuse"))
        keep_whole(self, "expected_processes", 1, none=True)
        keep(self, check_share, "outage_share")
        check_instance("wake", self.wake, bool)

"""Whether a core shares its limits, and with whom. What shares is imported only then."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from agentrm_plugins.config.fleet import Coordination
from agentrm_plugins.errors import ConfigError
from agentrm_plugins.hosts.clock import MonotonicClock, SleepAwareClock
from agentrm_plugins.hosts.host import Host

if TYPE_CHECKING:
    from agentrm_plugins.config import Config
    from agentrm_plugins.fleet.exchanger import Exchanger
    from agentrm_plugins.hosts.clock import Clock

__all__ = ["coordination_of", "join"]


def coordination_of(given: Any, namespace: str | None) -> Coordination | None:
    """With whom limits are shared, from the arguments or the environment; None: with nobody."""
    if isinstance(given, Coordination):
        if namespace is not None:
            raise ConfigError("namespace", namespace, "give it to Coordination(namespace=...)")
        return given
    server = os.environ.get("AGENTRM_COORDINATION", "") if given is None else given
    alone = isinstance(server, str) and not server
    if alone:
        if namespace is not None:
            raise ConfigError(
                "namespace", namespace, "give coordination= too, or set AGENTRM_COORDINATION"
            )
        return None
    name = os.environ.get("AGENTRM_NAMESPACE") or "default" if namespace is None else namespace
    return Coordination(server, name)


def join(
    config: Config, coordination: Coordination | None, clock: Clock | None
) -> tuple[Host, Exchanger | None]:
    """A host, and who sees to its limits if they are shared (None: it is alone)."""
    if coordination is None:
        return Host(config, clock or MonotonicClock()), None
    from agentrm_plugins.fleet.exchanger import Exchanger

    if clock is not None and not clock.real:
        raise ConfigError.of_kind(
            "clock", clock, "a fleet's leases go by real time: leave the clock out"
        )
    host = Host(config, clock or SleepAwareClock(), shared=True)
    return host, Exchanger(host, coordination)

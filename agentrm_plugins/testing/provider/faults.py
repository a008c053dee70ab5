"""Which admitted request meets which fault, drawn from what it is and not from when it came.

The draw is a hash of (seed, agent, body, how often this agent's body was admitted before). So the
first try of a request meets the same fate in every run, its second try has a fate of its own,
and a rejected try (429, 503) uses up no draw. Only identical bodies without an agent's name share
their sequence of draws, in the order of arrival.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.testing.provider.replies import Garbage, Hang, Reset, Stall, Status, Step
from agentrm_plugins.testing.provider.seeding import unit

if TYPE_CHECKING:
    from agentrm_plugins.testing.provider.config import ProviderConfig
    from agentrm_plugins.testing.provider.requests import ProviderRequest

__all__ = ["draw_fault", "draw_slowness"]


def draw_fault(request: ProviderRequest, config: ProviderConfig) -> Step | None:
    """The fault that this request meets, if any."""
    rates = (
        config.of(request.model, "hang_rate"),
        config.stall_rate,
        config.reset_rate,
        config.error_rate,
        config.garbage_rate,
    )
    if not any(rates):
        return None
    who = (config.seed, request.agent, request.digest, request.attempt)
    u = unit("fault", *who)
    for index, rate in enumerate(rates):
        if u < rate:
            second = unit("detail", *who)
            return _fault(index, second, config)
        u -= rate
    return None


def _fault(index: int, u: float, config: ProviderConfig) -> Step:
    """The fault of one kind; `u` decides its details."""
    statuses = config.error_statuses
    faults: tuple[Step, ...] = (
        Hang(),
        Stall(after_tokens=1 + int(u * 12)),
        Reset(),
        Status(statuses[int(u * len(statuses))]),
        Garbage("json" if u < 0.5 else "cut"),
    )
    return faults[index]


def draw_slowness(request: ProviderRequest, config: ProviderConfig) -> float:
    """The factor on this request's latencies: 1, or `slow_factor` in a spike."""
    if not config.slow_rate:
        return 1.0
    u = unit("slow", config.seed, request.agent, request.digest, request.attempt)
    return config.slow_factor if u < config.slow_rate else 1.0

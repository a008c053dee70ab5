"""The meters of one endpoint: one for each resource, with what the user says of its limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.policy.endpoint.meter import Meter
from agentrm_plugins.policy.endpoint.rate_search import RateController, RateSettings
from agentrm_plugins.policy.endpoint.room import START_PER_S
from agentrm_plugins.types.verdicts import MINUTE_S, RESOURCES

if TYPE_CHECKING:
    from agentrm_plugins.config.endpoints import EndpointConfig

__all__ = ["meters_of"]


def meters_of(config: EndpointConfig, first: float, now_s: float) -> dict[str, Meter]:
    """The meters of an endpoint, by resource.

    Args:
        config: What the user says that it allows.
        first: Requests that go at once while nothing is known: the core's lanes, for whoever asks
            for so many lanes expects to use them.
        now_s: When they begin.
    """
    told = (config.rpm, config.tpm, config.input_tpm, config.output_tpm)
    meters = {}
    for resource, limit in zip(RESOURCES, told, strict=True):
        controller = RateController(
            RateSettings(),
            told_per_s=None if limit is None else limit / MINUTE_S,
            start_per_s=START_PER_S if resource == "requests" else None,
            now_s=now_s,
        )
        meters[resource] = Meter(controller, config.burst_s, first)
        meters[resource].apply(now_s)
    return meters

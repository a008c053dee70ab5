"""What the demo can be told, checked at once, and what follows from it.

Times are model seconds; the run goes faster by `time_scale`. All of them are guessed, after the
shapes that providers publish: a chat turn of some 2 s, a batch call of some 5 s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from agentrm_plugins import AgentRM, Config, ConfigError, LeaseConfig, SchedulerConfig
from agentrm_plugins.config import Order
from agentrm_plugins.testing.provider import Distribution, ModelConfig, ProviderConfig
from agentrm_plugins.types.checks import check_number, check_whole, listed

__all__ = ["DemoSettings"]

_QUANTA_S = (1.0, 2.0, 4.0, 8.0)
RETRIES = 2  # the OpenAI SDK's max_retries, on both sides


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """The options of `agentrm demo`.

    Args:
        agents: Agents in all, 2 to 200.
        interactive: How many of them are interactive; the others are batch agents.
        lanes: Calls at once, on both sides; 1 to 100.
        hang_rate: Share of the batch agents' calls that hang, 0 to 0.9.
        seed: Of lengths, latencies and faults.
        order: The managed side's order.
        time_scale: Real seconds per model second, 0.01 to 1.
        timeout_s: The unmanaged side's request timeout in model seconds, 1 to 600.
        first_token_timeout_s: The managed side's bound for the first token, in model seconds.

    Raises:
        ConfigError: A value that cannot be; names the option.
    """

    agents: int = 20
    interactive: int = 12
    lanes: int = 4
    hang_rate: float = 0.08
    seed: int = 7
    order: Order | str = Order.MLFQ
    time_scale: float = 0.08
    timeout_s: float = 60.0
    first_token_timeout_s: float = 20.0

    def __post_init__(self) -> None:
        """Refuse what cannot be, before anything starts."""
        check_whole("--agents", self.agents, 2, 200)
        check_whole("--interactive", self.interactive, 0, self.agents)
        check_whole("--lanes", self.lanes, 1, 100)
        check_whole("--seed", self.seed, -(2**63), 2**63)
        check_number("--hang-rate", self.hang_rate, 0.0, 0.9)
        check_number("--time-scale", self.time_scale, 0.01, 1.0)
        check_number("--timeout", self.timeout_s, 1.0, 600.0)
        check_number("--first-token-timeout", self.first_token_timeout_s, 1.0, 600.0)
        try:
            object.__setattr__(self, "order", Order(self.order))
        except ValueError:
            raise ConfigError("--order", self.order, f"use one of {listed(Order)}") from None

    @property
    def batch(self) -> int:
        """Agents that are not interactive."""
        return self.agents - self.interactive

    def provider(self) -> ProviderConfig:
        """The same provider for both sides: the same lengths, latencies and faults."""
        return ProviderConfig(
            seed=self.seed,
            time_scale=self.time_scale,
            output_tokens=Distribution.lognormal(150, 0.4, cap=400),
            tokens_per_chunk=16,
            agent_rounds=1,
            models={
                "demo-chat": ModelConfig(
                    time_to_first_token_s=Distribution.lognormal(0.5, 0.3, cap=2.0),
                    token_time_s=0.025,
                ),
                "demo-batch": ModelConfig(
                    time_to_first_token_s=Distribution.lognormal(1.0, 0.3, cap=4.0),
                    token_time_s=0.03,
                    hang_rate=self.hang_rate,
                ),
            },
        )

    def core(self) -> AgentRM:
        """The managed side's core: the default quanta and timeouts, faster by the time scale."""
        scale = self.time_scale
        return AgentRM(
            Config(
                lanes=self.lanes,
                scheduler=SchedulerConfig(
                    order=cast("Order", self.order),
                    time_quanta_s=tuple(scale * s for s in _QUANTA_S),
                    service_half_life_s=scale * 60.0,
                ),
                leases=LeaseConfig(
                    response_timeout_s=scale * self.first_token_timeout_s,
                    first_token_timeout_s=scale * self.first_token_timeout_s,
                    silence_timeout_s=scale * 30.0,
                ),
            )
        )

"""What the demo can be told, checked at once, and what follows from it.

Times are model seconds; the run goes faster by `time_scale`. All of them are guessed, after the
shapes that providers publish: a chat turn of some 2 s, a batch call of some 5 s.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from agentrm_plugins import AgentRM, Config, ConfigError, LeaseConfig, SchedulerConfig
from agentrm_plugins.config import Order
from agentrm_plugins.demo.talk import WINDOW_TOKENS, answer
from agentrm_plugins.testing.provider import Distribution, ModelConfig, ProviderConfig
from agentrm_plugins.types.checks import check_number, check_whole, listed

__all__ = ["RETRIES", "DemoSettings", "Scenario"]

_QUANTA_S = (1.0, 2.0, 4.0, 8.0)
RETRIES = 2  # the OpenAI SDK's own default of max_retries, on the unmanaged side
_BURST = 0.25  # of a minute's tokens at once, so that the limit shows within seconds
_TALKS_ALONE, _TALKS_BESIDE = 6, 2


class Scenario(StrEnum):
    """What goes wrong: a storm of refusals, calls that hang, talks that outgrow their window."""

    STORM = "storm"
    HANGS = "hangs"
    MEMORY = "memory"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """The options of `agentrm demo`.

    Args:
        scenario: What goes wrong: "storm", "hangs", "memory" or "all" of them.
        agents: Agents in all, 2 to 200; beside them there are two long talks in "all".
        interactive: How many of them are interactive; the others are batch agents.
        lanes: Calls at once, on both sides; 1 to 100.
        hang_rate: Share of the calls that hang, 0 to 0.9; not in "storm" and "memory".
        tpm: The provider's limit in tokens per model minute, which it does not tell; 1,000 or
            more. Not in "hangs" and "memory".
        seed: Of lengths, latencies and faults.
        order: The managed side's order.
        time_scale: Real seconds per model second, 0.01 to 1.
        timeout_s: The unmanaged side's request timeout in model seconds, 1 to 600.
        first_token_timeout_s: The managed side's bound for the first token, in model seconds.

    Raises:
        ConfigError: A value that cannot be; names the option.
    """

    scenario: Scenario | str = Scenario.ALL
    agents: int = 20
    interactive: int = 12
    lanes: int = 8
    hang_rate: float = 0.05
    tpm: float = 8_000.0
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
        check_number("--tpm", self.tpm, 1_000.0)
        check_number("--time-scale", self.time_scale, 0.01, 1.0)
        check_number("--timeout", self.timeout_s, 1.0, 600.0)
        check_number("--first-token-timeout", self.first_token_timeout_s, 1.0, 600.0)
        for name, kind in (("order", Order), ("scenario", Scenario)):
            value = getattr(self, name)
            try:
                object.__setattr__(self, name, kind(value))
            except ValueError:
                raise ConfigError(f"--{name}", value, f"use one of {listed(kind)}") from None

    @property
    def people(self) -> int:
        """Agents behind which somebody waits."""
        return 0 if self.scenario == Scenario.MEMORY else self.interactive

    @property
    def batch(self) -> int:
        """Greedy agents behind which nobody waits."""
        return 0 if self.scenario == Scenario.MEMORY else self.agents - self.interactive

    @property
    def talks(self) -> int:
        """Talks that outgrow their model's window."""
        alone, beside = min(self.agents, _TALKS_ALONE), _TALKS_BESIDE
        return {Scenario.MEMORY: alone, Scenario.ALL: beside}.get(Scenario(self.scenario), 0)

    @property
    def hangs(self) -> float:
        """Share of the calls that hang in this scenario."""
        return self.hang_rate if self.scenario in {Scenario.HANGS, Scenario.ALL} else 0.0

    @property
    def limit(self) -> float | None:
        """Tokens per model minute in this scenario."""
        return self.tpm if self.scenario in {Scenario.STORM, Scenario.ALL} else None

    def provider(self) -> ProviderConfig:
        """The same provider for both sides: the same lengths, latencies and faults."""
        return ProviderConfig(
            seed=self.seed,
            time_scale=self.time_scale,
            burst=_BURST,
            header_style="none",
            retry_after="none",
            output_tokens=Distribution.lognormal(150, 0.4, cap=400),
            tokens_per_chunk=16,
            agent_rounds=1,
            responder=answer,
            models={
                "demo-chat": ModelConfig(
                    time_to_first_token_s=Distribution.lognormal(0.7, 0.3, cap=3.0),
                    token_time_s=0.03,
                    hang_rate=self.hangs,
                    tpm=self.limit,
                ),
                "demo-talk": ModelConfig(
                    time_to_first_token_s=Distribution.lognormal(0.5, 0.3, cap=2.0),
                    token_time_s=0.025,
                    context_window=WINDOW_TOKENS,
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

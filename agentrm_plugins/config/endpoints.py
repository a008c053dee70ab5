"""What a user may say of endpoints, retries, budgets and prices. All of it may be left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agentrm_plugins.errors import ConfigError
from agentrm_plugins.types.arguments import suggesting_fields
from agentrm_plugins.types.calls import Usage
from agentrm_plugins.types.checks import (
    check_choice,
    check_name,
    check_number,
    check_seconds,
    check_share,
    keep,
    keep_whole,
)

_CACHE_WRITE = 1.25

__all__ = ["BreakerConfig", "BudgetConfig", "EndpointConfig", "Price", "ShareConfig"]


@suggesting_fields
@dataclass(frozen=True, slots=True)
class BreakerConfig:
    """When an endpoint counts as dead, so that calls to it fail fast.

    Besides by what is said here it counts as dead when it had no room (503, 529) for five calls in
    a row over 7 s or more, and served nobody meanwhile. Then calls that wait already are kept, and
    the cool-down does not double.

    Args:
        share: Share of failed calls at which it opens; above 0, at most 1. Calls that hang or are
            turned away while others are served do not count as failed.
        least_calls: Calls that must have ended in the window before the share counts.
        window_s: Seconds over which calls count.
        cool_down_s: Seconds before one probe goes; doubles with each probe that fails, but not at
            an endpoint that never answered: calls to that wait for the next probe.
    """

    share: float = 0.5
    least_calls: int = 20
    window_s: float = 60.0
    cool_down_s: float = 10.0

    def __post_init__(self) -> None:
        """Refuse what would never open or always be open."""
        keep(self, check_share, "share")
        keep_whole(self, "least_calls", 1)
        keep(self, check_seconds, "window_s", none=False)
        keep(self, check_seconds, "cool_down_s", none=False)


@suggesting_fields
@dataclass(frozen=True, slots=True)
class EndpointConfig:
    """What is known of one endpoint beforehand. What is left out is found out.

    Args:
        rpm: Requests per minute.
        tpm: Tokens per minute, input and output together.
        input_tpm: Input tokens per minute, where the provider limits them apart (Anthropic).
        output_tpm: Output tokens per minute, likewise.
        concurrency: Calls that it can serve at once.
        reserve: What is taken from the token limit before a call: its own maximum ("max", as
            OpenAI counts) or what such calls used lately ("usage").
        cached_input_counts: Whether input that the provider read from its cache counts as well
            where input is limited apart (at Anthropic, for nearly all models, it does not). In a
            limit of input and output together it always does.
        learn: Whether what the server says of its limits may correct what is said here. A refusal
            slows down in any case.
        burst_s: Seconds of rate that may be used at once, at the beginning and after a pause, of a
            limit that the server does not name. None, for batch work alone: a whole minute's limit,
            as soon as answers come, and no more than that in any minute. Calls then come in waves,
            and a person who asks behind one waits for the next.
        adaptive: Whether what is learnt of its times may make a call suspect (its lane is lent, a
            second attempt is sent); None: as the core's configuration says.
    """

    rpm: float | None = None
    tpm: float | None = None
    input_tpm: float | None = None
    output_tpm: float | None = None
    concurrency: int | None = None
    reserve: Literal["max", "usage"] = "max"
    cached_input_counts: bool = False
    learn: bool = True
    burst_s: float | None = 2.0
    adaptive: bool | None = None

    def __post_init__(self) -> None:
        """Check each field."""
        for name in ("rpm", "tpm", "input_tpm", "output_tpm"):
            keep(self, check_number, name, above=True, none=True)
        keep(self, check_seconds, "burst_s", none=True)
        keep_whole(self, "concurrency", 1, none=True)
        check_choice("reserve", self.reserve, ("max", "usage"))


@suggesting_fields
@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs, in any currency, per million tokens.

    Args:
        input_per_1m: Input tokens that were not cached.
        output_per_1m: Output tokens.
        cached_input_per_1m: Input tokens that came from the provider's cache; None: as the others.
        cache_write_per_1m: Input tokens that it wrote to its cache; None: 1.25 times the others,
            Anthropic's price for five minutes ("Prompt caching, pricing").
    """

    input_per_1m: float
    output_per_1m: float
    cached_input_per_1m: float | None = None
    cache_write_per_1m: float | None = None

    def __post_init__(self) -> None:
        """Refuse negative prices."""
        for name in ("input_per_1m", "output_per_1m"):
            keep(self, check_number, name)
        for name in ("cached_input_per_1m", "cache_write_per_1m"):
            keep(self, check_number, name, none=True)

    def cost(self, usage: Usage) -> float:
        """The cost of a call, in the prices' currency."""
        price, read, write = self.input_per_1m, self.cached_input_per_1m, self.cache_write_per_1m
        cached, written = usage.cached_input_tokens, usage.cache_write_tokens
        total = (usage.input_tokens - cached - written) * price
        total += cached * (price if read is None else read)
        total += written * (_CACHE_WRITE * price if write is None else write)
        return (total + usage.output_tokens * self.output_per_1m) / 1e6


@suggesting_fields
@dataclass(frozen=True, slots=True)
class BudgetConfig:
    """How much an agent or a tenant may use. Children are charged to their parents as well.

    Args:
        limit: The most, in `resource`'s unit; above 0.
        resource: "tokens", "calls" or "cost" (needs prices).
        agent: Whose, by name or shell pattern; each agent that fits has a ledger of its own.
        tenant: Whose, likewise. Give one of the two.
        window_s: Seconds after which what was spent is free again; None: it stays spent.
        soft: Share of the limit from which calls are slowed down; 1 for never.
    """

    limit: float
    resource: Literal["tokens", "calls", "cost"] = "tokens"
    agent: str | None = None
    tenant: str | None = None
    window_s: float | None = None
    soft: float = 1.0

    def __post_init__(self) -> None:
        """Check each field, and that it is clear whose budget this is."""
        keep(self, check_number, "limit", above=True)
        check_choice("resource", self.resource, ("tokens", "calls", "cost"))
        _check_whose(self.agent, self.tenant)
        keep(self, check_seconds, "window_s")
        keep(self, check_share, "soft", of="the limit")


@suggesting_fields
@dataclass(frozen=True, slots=True)
class ShareConfig:
    """How much of an endpoint's rate an agent or a tenant may take. Children count for parents too.

    The share follows the limit as it is known: told, said by the server or found out. While an
    endpoint's limit is not known, nothing is held back.

    Args:
        share: Of the endpoint's limit; above 0, at most 1.
        resource: "tokens" or "calls".
        agent: Whose, by name or shell pattern; each agent that fits has a share of its own.
        tenant: Whose, likewise. Give one of the two.
        endpoint: At which endpoints, by shell pattern over "host/model"; at each a share of its
            own.
        burst_s: Seconds of the share's rate that may be used at once after a pause; above 0. The
            default is that of `EndpointConfig`.
        over: What happens to a call beyond it: "wait" until there is room, or "refuse" it with
            `BudgetExceeded`.

    Raises:
        ConfigError: A field that cannot be.
    """

    share: float
    resource: Literal["tokens", "calls"] = "tokens"
    agent: str | None = None
    tenant: str | None = None
    endpoint: str = "*"
    burst_s: float = 2.0
    over: Literal["wait", "refuse"] = "wait"

    def __post_init__(self) -> None:
        """Check each field, and that it is clear whose share this is."""
        keep(self, check_share, "share", of="the limit")
        check_choice("resource", self.resource, ("tokens", "calls"))
        _check_whose(self.agent, self.tenant)
        keep(self, check_seconds, "burst_s", none=False)
        check_choice("over", self.over, ("wait", "refuse"))


def _check_whose(agent: str | None, tenant: str | None) -> None:
    if agent is None and tenant is None:
        way = "give either agent= or tenant=: a name, or a pattern such as '*' for each of them"
        raise ConfigError("agent", None, way)
    if agent is not None and tenant is not None:
        raise ConfigError("agent", agent, "give either agent= or tenant=, not both")
    check_name("agent", agent, none=True)
    check_name("tenant", tenant, none=True)

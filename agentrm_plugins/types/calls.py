"""What a caller declares of one call, and what the provider reports of it afterwards."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Literal

from agentrm_plugins.errors import ConfigError
from agentrm_plugins.types.checks import (
    check_choice,
    check_instance,
    check_name,
    check_seconds,
    check_whole,
    keep,
    keep_whole,
    listed,
    whole_text,
)

__all__ = [
    "MOST_TOKENS",
    "Call",
    "Outcome",
    "Priority",
    "PriorityName",
    "Usage",
    "check_beat",
    "check_end",
]

MOST_TOKENS = 10**12
"""More than any provider can have counted for one call."""

PriorityName = Literal["interactive", "batch", "background"]


class Priority(StrEnum):
    """A hint: where an agent starts. It is no promise, for service received decides later."""

    INTERACTIVE = "interactive"
    BATCH = "batch"
    BACKGROUND = "background"


class Outcome(StrEnum):
    """How a call ended, in the eyes of its caller."""

    OK = "ok"
    ERROR = "error"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"  # another attempt of the same call was faster


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, as counted by the provider.

    Args:
        input_tokens: Tokens of the prompt, cached ones included; 0 or more.
        output_tokens: Tokens generated; 0 or more.
        cached_input_tokens: The part of `input_tokens` that the provider read from its cache. Some
            servers report more than there was: what is more than the input is cut off.
        cache_write_tokens: The part of `input_tokens` that the provider wrote to its cache,
            likewise; the two parts together are at most the input.

    Raises:
        ConfigError: A count is negative or not a whole number.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0

    def __post_init__(self) -> None:
        """Refuse what no provider can have counted, and keep the parts within the whole."""
        read, made = self.input_tokens, self.output_tokens
        cached, written = self.cached_input_tokens, self.cache_write_tokens
        if not (
            read.__class__ is made.__class__ is cached.__class__ is written.__class__ is int
            and 0 <= read <= MOST_TOKENS
            and 0 <= made <= MOST_TOKENS
            and (not cached or 0 <= cached <= MOST_TOKENS)
            and (not written or 0 <= written <= MOST_TOKENS)
        ):
            for field in fields(self):
                keep_whole(self, field.name, 0, MOST_TOKENS, of="tokens")
            read, cached = self.input_tokens, self.cached_input_tokens
            written = self.cache_write_tokens
        if cached + written > read:
            cached = min(cached, read)
            object.__setattr__(self, "cached_input_tokens", cached)
            object.__setattr__(self, "cache_write_tokens", min(written, read - cached))

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens


_NOTHING = Usage()
_HINTS: dict[object, Priority | None] = {None: None, **{str(hint): hint for hint in Priority}}


@dataclass(frozen=True, slots=True)
class Call:
    """One model call or node execution, as its caller declares it.

    Only `agent` is needed; each further field makes the scheduling better.

    Args:
        agent: Whose service this is: a thread id, a run id, a name. Not empty.
        tenant: Who pays; tenants share the lanes by their dominant share.
        priority: "interactive", "batch" or "background": where the agent starts. None counts as
            interactive.
        group: The group of lanes that the call needs.
        endpoint: Which provider and model it goes to; None if that is not known.
        estimate: Tokens that it will probably use.
        parent_agent: The agent on whose behalf this one works.
        streaming: Whether it beats while it runs. Until the first beat the reaper waits
            `first_token_timeout_s` for a streaming call and `response_timeout_s` for another.
        wait_timeout_s: Seconds it may wait in the queue; 0 means now or never; None: the
            configured.
        first_token_timeout_s: Seconds of silence before the first beat; None: the configured.
        silence_timeout_s: Seconds of silence between two beats; None: the configured.
        total_timeout_s: Seconds for which it may hold a lane in all; None: the configured.
        label: For people: what the call is for.
        max_output_tokens: The most that it may put out; None if it names no maximum.
        hedge: Whether a second attempt may be sent when it is late. Never for what has an effect at
            the provider besides its answer.
        adaptive: Whether what is learnt of the endpoint's times counts; None: as the endpoint's
            configuration says, and else the core's.
        timeout_source: For people: who set the call's timeouts, such as "the client's timeout".
        once: Whether it must not be sent again once it may have been seen to: it does more at the
            provider than answer; so it is not hedged. A refusal goes again all the same.

    Raises:
        ConfigError: A field has a value that it cannot have.
    """

    agent: str
    tenant: str = "default"
    priority: Priority | None = None
    group: str = "model"
    endpoint: str | None = None
    estimate: Usage = _NOTHING
    parent_agent: str | None = None
    streaming: bool = False
    wait_timeout_s: float | None = None
    first_token_timeout_s: float | None = None
    silence_timeout_s: float | None = None
    total_timeout_s: float | None = None
    label: str = ""
    max_output_tokens: int | None = None
    hedge: bool = True
    adaptive: bool | None = None
    timeout_source: str = ""
    once: bool = False

    def __post_init__(self) -> None:
        """Check each field once, so that nothing behind this has to."""
        if self.agent.__class__ is not str or not self.agent or not self.agent.isascii():
            check_name("agent", self.agent)
        if self.tenant.__class__ is not str or not self.tenant or not self.tenant.isascii():
            check_name("tenant", self.tenant)
        if self.priority.__class__ is not Priority and self.priority is not None:
            object.__setattr__(self, "priority", parse_priority(self.priority))
        if self.estimate.__class__ is not Usage:
            check_instance("estimate", self.estimate, Usage)
        if self.max_output_tokens is not None:
            keep_whole(self, "max_output_tokens", 1, MOST_TOKENS, of="tokens")
        self._check_rest()
        if self.parent_agent == self.agent:
            raise ConfigError("parent_agent", self.parent_agent, "an agent is not its own parent")
        if not (
            self.wait_timeout_s
            is self.first_token_timeout_s
            is self.silence_timeout_s
            is self.total_timeout_s
            is None
        ):
            self._check_seconds()
        if self.once:
            object.__setattr__(self, "hedge", False)

    def _check_rest(self) -> None:
        at = self.endpoint
        if at is not None and (at.__class__ is not str or not at or not at.isascii()):
            check_name("endpoint", at)
        if self.group.__class__ is not str:
            check_name("group", self.group)
        above = self.parent_agent
        if above is not None and (above.__class__ is not str or not above.isascii()):
            check_name("parent_agent", above)
        if not (self.streaming.__class__ is self.hedge.__class__ is bool):
            check_instance("streaming", self.streaming, bool, "give True or False")
            check_instance("hedge", self.hedge, bool, "give True or False")
        if self.adaptive is not None:
            check_instance("adaptive", self.adaptive, bool, "give True, False or None")
        if not (self.label.__class__ is self.timeout_source.__class__ is str):
            check_instance("label", self.label, str)
            check_instance("timeout_source", self.timeout_source, str)
        if not self.label.isascii():
            object.__setattr__(self, "label", whole_text(self.label))

    def _check_seconds(self) -> None:
        for name in ("first_token_timeout_s", "silence_timeout_s", "total_timeout_s"):
            keep(self, check_seconds, name)
        keep(self, check_seconds, "wait_timeout_s", zero=True)


def parse_priority(value: object, field: str = "priority") -> Priority | None:
    """Turn a word into a `Priority`; None stays None.

    Raises:
        ConfigError: The word is not one of the three.
    """
    try:
        return _HINTS[value]
    except (KeyError, TypeError):
        way = f"use one of {listed(Priority)}, or leave it out"
        raise ConfigError(field, value, way) from None


def check_end(usage: object, outcome: Outcome | str = Outcome.OK) -> Outcome:
    """Give the outcome that a caller names: "ok", "error" or "cancelled".

    Raises:
        ConfigError: It is none of these, or `usage` is neither a `Usage` nor None.
    """
    if usage is not None:
        check_instance("usage", usage, Usage, "give a Usage(...), or None if nobody knows")
    if isinstance(outcome, Outcome):
        return outcome
    words = Outcome.OK.value, Outcome.ERROR.value, Outcome.CANCELLED.value
    return Outcome(check_choice("outcome", outcome, words))


def check_beat(tokens: object, *, visible: object, ping: object) -> int:
    """Refuse what no running call can tell of itself; give the tokens as Python's own number.

    Raises:
        ConfigError: `tokens` is no count, or one of the others no boolean.
    """
    whole: int = check_whole("tokens", tokens, 0, MOST_TOKENS, of="tokens")
    check_instance("visible", visible, bool, "give True or False")
    check_instance("ping", ping, bool, "give True or False")
    return whole

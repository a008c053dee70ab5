"""Which model a session is counted for: the configured one, or else the one that is called.

A session may be shared by several models. A turn for another model than the one before counts
anew what is sent, unless both count it alike, so the budget holds for the model that is called.
What was learned of each model's own counts is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from agentrm_plugins.counting.encodings import counter_for, encoding_name
from agentrm_plugins.counting.tokens import UNKNOWN_FACTOR
from agentrm_plugins.errors import ConfigError
from agentrm_plugins.types.message import Message, read_openai

if TYPE_CHECKING:
    from agentrm_plugins.context.plan.bodies import Source
    from agentrm_plugins.context.plan.transcript import Transcript
    from agentrm_plugins.counting.tokens import TokenCounter

__all__ = ["USUAL_MODEL", "count_for", "counted_again", "reported"]

USUAL_MODEL = "gpt-4o"
"""For whose counts a session goes that was told of no model."""


def count_for(state: Transcript, model: str | None) -> None:
    """Go by a model's counts from now on, where the settings name none.

    Raises:
        ConfigError: The model's name is no string.
    """
    if model is not None and not isinstance(model, str):
        raise ConfigError("model", model, 'give its name, "" for an unknown one, or leave it out')
    if model is None or state.config.model is not None or model == state.counter.model:
        return
    factors = state.counts.factors
    before, state.counter = state.counter, _learned(model, factors)
    factors[before.model] = before.factor
    if not _alike(state, before):
        state.counts.stale = True


def _alike(state: Transcript, before: TokenCounter) -> bool:
    """Whether both models count all that is sent alike: by one encoding, and text alone.

    Images, files and recordings go by each model's own rules.
    """
    now = state.counter
    if not (before.exact and now.exact):
        return False
    sent = (*state.system, *(entry.message for entry in state.entries))
    if not all(one is None or isinstance(one.content, str) for one in sent):
        return False
    return encoding_name(before.model) == encoding_name(now.model)


def _learned(model: str, factors: dict[str, float]) -> TokenCounter:
    made = counter_for(model)
    if not made.exact:
        made.factor = factors.get(model, UNKNOWN_FACTOR)
    return made


def reported(state: Transcript, model: str, tokens: tuple[int, int], weight: float) -> None:
    """Learn from what a provider counted: tokens as counted here, and by it."""
    if model == state.counter.model:
        state.counter.report(*tokens, weight)
    elif model in state.counts.factors:
        before = _learned(model, state.counts.factors)
        before.report(*tokens, weight)
        state.counts.factors[model] = before.factor


def counted_again(state: Transcript, messages: Sequence[Source]) -> None:
    """Count what is sent for the model that it is now counted for, if that is another one."""
    if not state.counts.stale:
        return
    count, role = state.counter.message, state.config.summary_role
    for entry in state.entries:
        if entry.message is not None:
            at = entry.seq - state.shift
            shown = messages[at] if 0 <= at < len(messages) else entry.message
            entry.tokens = count(shown if isinstance(shown, Message) else read_openai(shown))
    for seq, made in state.replaced.items():
        entry = state.entries[seq]
        name = entry.message.name if entry.message is not None else None
        sent = Message(entry.role, made.text, name, made.calls, entry.answers)
        state.replaced[seq] = replace(made, tokens=count(sent))
    for episode in state.episodes:
        episode.tokens = count(Message(role, episode.text)) if episode.text else 0
    for recalled in state.recalls:
        recalled.tokens = count(Message(role, recalled.text))
        recalled.short_tokens = count(Message(role, recalled.short)) if recalled.short else 0
    state.system_tokens = sum(map(count, state.system))
    state.line_tokens = None
    state.generation += 1  # a plan that was made by other counts is void
    state.counts.stale = False

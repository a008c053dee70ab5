"""The settings of a session's context: frozen, validated when made, with units in the names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from agentrm_plugins.errors import ConfigError
from agentrm_plugins.types.arguments import suggesting_fields
from agentrm_plugins.types.checks import (
    check_choice,
    check_known,
    check_name,
    check_number,
    keep,
    keep_whole,
)

__all__ = ["LEAST_BUDGET", "ContextConfig"]

LEAST_BUDGET = 200
"""Tokens: below it a frame, a system prompt and a question have no room. Guessed."""


@suggesting_fields
@dataclass(frozen=True, slots=True)
class ContextConfig:
    """How large a prompt may be, when it is compacted, and what is kept.

    Args:
        budget_tokens: The most that one request may hold: messages, system prompt and tools. The
            room for the answer is not part of it. 200 or more.
        model: Its name chooses the encoding and the rules for images. A name that tiktoken does
            not know is counted by a conservative estimate. None: the model that is called, turn by
            turn; "gpt-4o" where no turn names one.
        soft_mark: Share of the budget above which compaction starts in the background. Measured
            on `benchmarks/context` at 4,000 tokens: 0.95 made a tenth more compactions.
        low_mark: Share of the budget that a compaction goes down to. The hard mark is 1. Lower is
            rarer: 0.45 made a fifth fewer compactions than 0.5 with the soft mark at 0.95.
        prefix_goal: Share of the tokens sent that is to be an unchanged prefix of the request
            before, as far as can be predicted. Where a compaction to `low_mark` would miss it, more
            leaves and is told at more length. What recalled passages took beyond their share
            is paid back by half of what may change, 1 - `prefix_goal`, or by 400 tokens for each
            user message.
        hot_share: Share of the free room (the budget less system prompt and tools) that the newest
            messages keep, word for word, before notes get any. Guessed: the last few steps.
        warm_share: Most of the free room that the notes of compacted episodes may take; less where
            `hot_share`, `recall_share` and a fifth for what is to come leave less.
        recall_share: Of the free room, what recalled passages may take in any case; a question may
            have up to half of it while nothing else needs it, and the questions before had no more
            than their share (see `prefix_goal`). 0 switches recall off.
        tool_result_keep: Newest groups of tool calls whose results are never shortened, as long as
            the budget can be met with them. 2 was guessed: the last step and the one before it.
        tool_result_floor_tokens: Results smaller than this are not worth a stub. Guessed: a stub
            takes about 40 tokens.
        recency_weight, importance_weight, information_weight: The value of a message is the sum of
            these times its recency, importance and key information, each 0 to 1 (the form of
            arXiv:2603.13110, section IV-C, which gives no numbers; these are guesses: key
            information a little above the two others).
        summary_role: "user" or "system": the role in which notes and recalled passages are sent.
            "user" is taken by all providers at any place.
        alternate: Join notes, recalled passages and the pressure line with the user message that
            follows them, so that roles take turns as strict chat templates demand. The adapters do
            so by themselves after a provider has said that it wants it.
        pressure_line: Add a line that tells the model how full its window is.
        embeddings: Finds passages by meaning beside those by words: any LangChain `Embeddings`, any
            object with `embed_documents` and `embed_query`, or a function from texts to vectors.
            Passages are embedded in the background, in batches, and their vectors kept in the
            archive; a question is embedded in its turn. None: words alone.
        unknown_blocks: "keep": a content block of unknown type is passed on as it is, counted by
            its JSON text, and named in the view's repairs. "error": `BadMessage`.
        on_store_error: "keep": a turn goes on when the store refuses; what is not archived stays
            in memory and is tried again each turn, and the view's repairs say so. "raise".
    """

    budget_tokens: int = 16_000
    model: str | None = None
    soft_mark: float = 0.98
    low_mark: float = 0.45
    prefix_goal: float = 0.9
    hot_share: float = 0.25
    warm_share: float = 0.6
    recall_share: float = 0.25
    tool_result_keep: int = 2
    tool_result_floor_tokens: int = 120
    recency_weight: float = 0.3
    importance_weight: float = 0.3
    information_weight: float = 0.4
    summary_role: Literal["user", "system"] = "user"
    alternate: bool = False
    pressure_line: bool = False
    embeddings: Any | None = None
    unknown_blocks: Literal["keep", "error"] = "keep"
    on_store_error: Literal["keep", "raise"] = "keep"

    def __post_init__(self) -> None:
        """Check each field."""
        for name, least in (
            ("budget_tokens", LEAST_BUDGET),
            ("tool_result_keep", 0),
            ("tool_result_floor_tokens", 1),
        ):
            keep_whole(self, name, least)
        for name in (
            "soft_mark", "low_mark", "prefix_goal", "hot_share", "warm_share", "recall_share",
        ):  # fmt: skip
            keep(self, check_number, name, 0, 0.9 if name.endswith("share") else 1)
        for name in ("recency_weight", "importance_weight", "information_weight"):
            keep(self, check_number, name)
        if not 0 < self.low_mark < self.soft_mark:
            raise ConfigError("low_mark", self.low_mark, "above 0 and below soft_mark")
        if self.warm_share + self.recall_share > 0.9:  # noqa: PLR2004 - a tenth for the turn
            way = "warm_share and recall_share together at most 0.9"
            raise ConfigError("warm_share", self.warm_share, way)
        if self.model is not None:
            check_name("model", self.model)
        embeds = hasattr(self.embeddings, "embed_documents") or callable(self.embeddings)
        if self.embeddings is not None and not embeds:
            way = "give LangChain Embeddings, or a function from a list of texts to vectors"
            raise ConfigError.of_kind("embeddings", self.embeddings, way)
        for name, words in (
            ("summary_role", ("user", "system")),
            ("unknown_blocks", ("keep", "error")),
            ("on_store_error", ("keep", "raise")),
        ):
            check_choice(name, getattr(self, name), words)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> ContextConfig:
        """Make one from a mapping, for instance a section of a settings file."""
        check_known(settings, cls.__dataclass_fields__, settings)
        return cls(**settings)

"""What a call used, as LangChain reports it. The provider's own count wins where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentrm_plugins import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Tally", "usage_of_generations", "usage_of_metadata"]


def usage_of_metadata(metadata: Any) -> Usage | None:
    """A message's `usage_metadata` as `Usage`; None if it reports nothing."""
    if not metadata:
        return None
    details = metadata.get("input_token_details") or {}
    return Usage(
        _count(metadata.get("input_tokens")),
        _count(metadata.get("output_tokens")),
        _count(details.get("cache_read")),
    )


def usage_of_generations(generations: Iterable[Any], output: Any = None) -> Usage | None:
    """The usage of one prompt's generations, or else what `llm_output` says of it."""
    for generation in generations:
        message = getattr(generation, "message", None)
        usage = usage_of_metadata(getattr(message, "usage_metadata", None))
        if usage is not None:
            return usage
    counts = (output or {}).get("token_usage") if isinstance(output, dict) else None
    if not isinstance(counts, dict):
        return None
    return Usage(_count(counts.get("prompt_tokens")), _count(counts.get("completion_tokens")))


class Tally:
    """Adds up what the chunks of a stream report; where they report nothing, it counts them.

    Args:
        expected: The guess made before the call, whose input counts if the provider says nothing.
    """

    __slots__ = ("_expected", "_seen", "cached", "chunks", "input", "output", "whole")

    def __init__(self, expected: Usage) -> None:
        self._expected = expected
        self._seen = self.whole = False
        self.input = self.output = self.cached = self.chunks = 0

    def add(self, chunk: Any) -> None:
        """One more chunk of the stream."""
        self.chunks += 1
        metadata = getattr(getattr(chunk, "message", None), "usage_metadata", None)
        if metadata:
            self._seen = True
            usage = usage_of_metadata(metadata) or Usage()
            self.input += usage.input_tokens
            self.output += usage.output_tokens
            self.cached += usage.cached_input_tokens

    def usage(self) -> Usage | None:
        """What the whole stream reported; None if it reported nothing."""
        return Usage(self.input, self.output, self.cached) if self._seen else None

    def cut(self) -> Usage | None:
        """What a stream that ended early has cost at least: its chunks count a token each."""
        if not self.chunks:
            return None
        return Usage(
            self.input or self._expected.input_tokens, max(self.output, self.chunks), self.cached
        )


def _count(value: Any) -> int:
    """A token count that can be trusted: providers report None, and some floats."""
    try:
        return max(int(value or 0), 0)
    except (TypeError, ValueError):
        return 0

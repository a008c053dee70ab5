"""What a call used, as LangChain reports it, and a cheap guess of it beforehand.

The provider's own count wins wherever there is one. No tokeniser is used: OpenAI's downloads its
encoding on first use, and the guess is corrected when the call settles anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentrm_plugins import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from langchain_core.messages import BaseMessage

__all__ = ["Tally", "guess", "max_tokens_of", "usage_of_generations", "usage_of_metadata"]

# Four characters to a token and three tokens around each message: the same rule of thumb as
# langchain_core's `count_tokens_approximately`.
_CHARS_PER_TOKEN = 4
_TOKENS_PER_MESSAGE = 3


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


def guess(messages: Sequence[BaseMessage], max_tokens: Any = None) -> Usage:
    """Tokens that a call with these messages will probably use.

    Args:
        messages: The prompt.
        max_tokens: The bound on its output, if there is one; it counts as output.
    """
    chars = 0
    for message in messages:
        content = message.content
        if content.__class__ is str:
            chars += len(content)
        else:
            chars += sum(_length(block) for block in content)
    tokens = chars // _CHARS_PER_TOKEN + _TOKENS_PER_MESSAGE * len(messages)
    return Usage(tokens, _count(max_tokens))


class Tally:
    """Adds up what the chunks of a stream report; where they report nothing, it counts them.

    Args:
        expected: The guess made before the call, whose input counts if the provider says nothing.
    """

    __slots__ = ("_expected", "_seen", "cached", "chunks", "input", "output")

    def __init__(self, expected: Usage) -> None:
        self._expected = expected
        self._seen = False
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


def max_tokens_of(model: Any, kwargs: Mapping[str, Any]) -> Any:
    """The bound on the output in this call's arguments, or else in the model's fields."""
    for name in ("max_tokens", "max_completion_tokens"):
        if name in kwargs:
            return kwargs[name]
    return model.__dict__.get("max_tokens")


def _count(value: Any) -> int:
    """A token count that can be trusted: providers report None, and some floats."""
    try:
        return max(int(value or 0), 0)
    except (TypeError, ValueError):
        return 0


def _length(block: Any) -> int:
    text = block if isinstance(block, str) else block.get("text", "")
    return len(text) if isinstance(text, str) else 0

"""What a call used, as LangChain reports it. The provider's own count wins where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessageChunk

from agentrm_langchain.said import text_of
from agentrm_plugins import Usage
from agentrm_plugins.integration import counting

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentrm_plugins import Call

__all__ = ["Tally", "usage_of_generations", "usage_of_metadata", "used_or_estimated"]

_REPORTS = ("token_usage", "usage", "usage_metadata", "amazon-bedrock-invocationMetrics")
"""Where integrations that set no `usage_metadata` leave what their provider said."""


def usage_of_metadata(metadata: Any) -> Usage | None:
    """A message's `usage_metadata` as `Usage`; None if it reports nothing."""
    return counting.reported_usage(metadata) if metadata else None


def usage_of_generations(generations: Iterable[Any], output: Any = None) -> Usage | None:
    """The usage of one prompt's generations, or else what the rest of the answer says of it."""
    told: list[Any] = []
    for generation in generations:
        message = getattr(generation, "message", None)
        metadata = getattr(message, "usage_metadata", None)
        usage = counting.reported_usage(metadata) if metadata else None
        if usage is not None:
            return usage
        told.append(getattr(message, "response_metadata", None))
        told.append(getattr(generation, "generation_info", None))
    for place in (*told, output):
        if not isinstance(place, dict):
            continue
        for name in _REPORTS:
            usage = counting.reported_usage(place.get(name))
            if usage is not None:
                return usage
        usage = counting.reported_usage(place)  # Ollama's counts stand beside the rest
        if usage is not None:
            return usage
    return None


def used_or_estimated(call: Call, generations: Iterable[Any], output: Any = None) -> Usage:
    """What an answer cost: as reported, or else the input as estimated and what was said."""
    listed = list(generations)
    usage = usage_of_generations(listed, output)
    if usage is not None and usage.input_tokens and usage.output_tokens:
        return usage
    messages = [getattr(item, "message", None) for item in listed]
    said = [
        [message or getattr(item, "text", ""), _thoughts(message)]
        for item, message in zip(listed, messages, strict=True)
    ]
    report = next((found for each in messages if (found := _metadata(each))), None)
    return counting.completed_usage(call, usage, report, said)


def _metadata(message: Any) -> Any:
    return getattr(message, "usage_metadata", None)


def _thoughts(message: Any) -> str:
    """The reasoning that DeepSeek's and others' packages keep beside the content."""
    extras = getattr(message, "additional_kwargs", None) or {}
    return str(extras.get("reasoning_content") or "")


class Tally(counting.UsageTally):
    """Adds up what the chunks of a stream report; where they report nothing, it counts them.

    Args:
        expected: The guess made before the call, whose input counts if the provider says nothing.
    """

    __slots__ = ()

    def counted(self, chunk: Any) -> str | None:
        """One more chunk of the stream: gives its text, as `text_of` does."""
        message = getattr(chunk, "message", None)
        if message.__class__ is AIMessageChunk and not message.usage_metadata:
            text: Any = message.content
            if text.__class__ is str and text:  # as nearly all are
                self.chunks += 1
                self._chars += len(text)
                return text
        self.add(chunk)
        return text_of(chunk)

    def add(self, chunk: Any, text_chars: int = 0) -> None:
        """One more chunk of the stream."""
        message = getattr(chunk, "message", None)
        content = getattr(message, "content", "")
        report = _metadata(message)
        usage = usage_of_metadata(report)
        if usage is not None:
            self.tells_input = self.tells_input or counting.tells_input(report)
        text_chars += len(_thoughts(message))
        if not content and message is not None:  # what a call's arguments cost
            for part in getattr(message, "tool_call_chunks", ()):
                text_chars += len(part.get("args") or "") + len(part.get("name") or "")
        super().add(usage, text_chars + (len(content) if isinstance(content, str) else 0))

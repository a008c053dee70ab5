"""What an answer of LangChain says, whether it is one, and what it has used.

Empty chunks, a role, a start, a ping and a count say nothing: until something is said, a call may
be sent again without anybody seeing it.

Results and streams that hold no answer are asked for again. A gateway puts an upstream's error into
the choice (OpenRouter: ``finish_reason: "error"`` and an empty text), or answers with no choice at
all. LangChain makes an empty message of the first, and an `IndexError` of the second; an agent that
goes on with that has lost its turn in silence. Google's package makes an empty message of any body
that it does not understand.

Of what was used the provider's own count wins where there is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessageChunk

from agentrm_plugins import Usage
from agentrm_plugins.integration import counting

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentrm_plugins import Call

__all__ = [
    "Tally",
    "answered",
    "failure_of",
    "nothing_came",
    "text_of",
    "usage_of_generations",
    "usage_of_metadata",
    "used_or_estimated",
]

_SILENT_BLOCKS = frozenset({"usage", "ping"})
_SILENT_EVENTS = frozenset({"message-start", "content-block-start", "ping", "usage"})
_EXTRAS = ("reasoning_content", "function_call", "refusal")
_TEXTS = ("text", "thinking", "reasoning", "refusal", "input", "arguments", "partial_json")


def text_of(chunk: Any) -> str | None:
    """The text that a chunk says; "" where that is no text; None where it says nothing.

    Args:
        chunk: A `ChatGenerationChunk`, or an event of the protocol streams.
    """
    message = getattr(chunk, "message", None)
    if message is None:
        return _text_of_event(chunk)
    content = message.content
    if isinstance(content, str):
        if content:
            return content
    else:
        text = _text_of_blocks(content)
        if text is not None:
            return text
    if getattr(message, "tool_call_chunks", None) or getattr(message, "tool_calls", None):
        return ""
    extras = message.additional_kwargs
    if extras and any(
        extras.get(name) for name in ("reasoning_content", "function_call", "refusal")
    ):
        return ""
    return None


def _text_of_blocks(blocks: Any) -> str | None:
    said = None
    for block in blocks:
        if isinstance(block, str):
            said = (said or "") + block if block else said
        elif isinstance(block, Mapping) and block.get("type") not in _SILENT_BLOCKS:
            told = next((block[name] for name in _TEXTS if block.get(name)), None)
            if told is not None:
                text = told if block.get("type") == "text" and isinstance(told, str) else ""
                said = (said or "") + text
            elif block.get("type") not in {"text", "thinking", "reasoning"}:
                said = said or ""  # a picture, a call of a tool
    return said


def _text_of_event(event: Any) -> str | None:
    if not isinstance(event, Mapping):
        return "" if event else None
    kind = str(event.get("event") or event.get("type") or "")
    if kind in _SILENT_EVENTS:
        return None
    delta = event.get("delta") or event.get("content") or {}
    text = delta.get("text") if isinstance(delta, Mapping) else None
    return text if isinstance(text, str) else ""


_FAILED = "error"
_ENDS = frozenset(
    {"finish_reason", "stop_reason", "stopReason", "done_reason", "status", "prompt_feedback"}
)


def answered(result: Any) -> Any:
    """The result, if there is an answer in it.

    Raises:
        ValueError: There is none: no generation, or an empty one that says that it failed.
    """
    generations = getattr(result, "generations", None)
    failure = None if generations is None else failure_of(generations)
    if failure is not None:
        raise failure
    return result


def failure_of(generations: Any) -> Exception | None:
    """The error that generations are which hold no answer; None if they hold one."""
    if not generations:
        return _nothing("it has no choices")
    first = generations[0]
    if _reason(first) == _FAILED and text_of(first) is None:
        return _nothing("its finish_reason is 'error'")
    if _are_hollow(generations):
        return _nothing("it says neither a word nor why it ended")
    return None


def nothing_came(chunks: list[Any]) -> Exception | None:
    """The error that a stream is which said nothing; None if it may be an answer."""
    if not chunks:
        return _nothing()
    if any(_reason(chunk) == _FAILED for chunk in chunks):
        return _nothing("its finish_reason is 'error'")
    if _are_hollow(chunks):
        return _nothing("it says neither a word nor why it ended")
    return _nothing("no chunk has a choice") if all(map(_is_void, chunks)) else None


def _nothing(why: str = "") -> Exception:
    text = "No generation chunks were returned"  # as langchain-core says it
    return ValueError(f"{text}: {why}" if why else text)


def _reason(generation: Any) -> Any:
    info = getattr(generation, "generation_info", None)
    return info.get("finish_reason") if isinstance(info, dict) else None


def _are_hollow(generations: list[Any]) -> bool:
    """Whether an integration made them of a body in which it found nothing (Google's does)."""
    told: dict[str, Any] = {}
    for generation in generations:
        message = getattr(generation, "message", None)
        if text_of(generation) is not None or getattr(message, "usage_metadata", None):
            return False
        for info in (
            getattr(message, "response_metadata", None),
            getattr(generation, "generation_info", None),
        ):
            told |= {name: value for name, value in (info or {}).items() if value}
    return "model_provider" in told and _ENDS.isdisjoint(told)


def _is_void(chunk: Any) -> bool:
    """Whether langchain-openai made it of an event that is no chunk of an answer."""
    message = getattr(chunk, "message", None)
    said = getattr(message, "response_metadata", True) or getattr(message, "usage_metadata", None)
    return getattr(chunk, "generation_info", None) == {} and not said


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

    def add(self, chunk: Any, text_chars: int = 0, *, says: bool = True) -> None:
        """One more chunk of the stream; one that says nothing costs nothing."""
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
        text_chars += len(content) if isinstance(content, str) else 0
        super().add(usage, text_chars, says=says and text_of(chunk) is not None)

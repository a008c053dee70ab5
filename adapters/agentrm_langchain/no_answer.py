"""Results and streams that hold no answer: they are asked for again.

A gateway puts an upstream's error into the choice (OpenRouter: ``finish_reason: "error"`` and an
empty text), or answers with no choice at all. LangChain makes an empty message of the first, and an
`IndexError` of the second; an agent that goes on with that has lost its turn in silence.
Google's package makes an empty message of any body that it does not understand.
"""

from __future__ import annotations

from typing import Any

from agentrm_langchain.said import text_of

__all__ = ["answered", "nothing_came"]

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
    if generations is None:
        return result
    if not generations:
        raise _nothing("it has no choices")
    first = generations[0]
    if _reason(first) == _FAILED and text_of(first) is None:
        raise _nothing("its finish_reason is 'error'")
    if _are_hollow(generations):
        raise _nothing("it says neither a word nor why it ended")
    return result


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

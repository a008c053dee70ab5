"""What a call used, as its provider reports it in whatever words, or as far as anybody can tell.

Law: ``input = all that was read``, cached and newly cached tokens included; ``output = all that was
generated``, reasoning included. OpenAI and Google count cached input within the input, Anthropic
and Bedrock beside it. Where the total is more than input and output, somebody counts reasoning
outside, and the difference is output. Cached tokens are never more than the input. A report of
nothing but zeros is no report.

In a stream, reports are either parts (each chunk its own) or running totals (each chunk all so
far). Totals are known by the input being told again, or by outputs that rise from chunk to chunk;
of totals the largest counts, parts are added up. A report that is the first to tell the input after
others told output is the whole's. A stream without any report costs the input as
estimated and the text that came.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from math import isfinite
from typing import Any, cast

from agentrm_plugins.counting.encodings import request_counter
from agentrm_plugins.types.calls import Call, Usage

__all__ = [
    "UsageTally",
    "completed_usage",
    "estimated_usage",
    "reported_usage",
    "said_in",
    "tells_input",
]

_MOST_TOKENS = 10**9
"""No model reads or writes that many in one call: a larger number is none."""
_TEXT_COUNT = re.compile(r"[0-9]{1,9}(?:\.0{1,2})?")
_CHARS_PER_TOKEN = 4
_TOTALS = 3
"""So many rising reports in a row are running totals. Guessed: parts rise by chance as well."""

# Each name is from the provider's own reference of its API; the first one that is there counts.
_INPUT = ("prompt_tokens", "input_tokens", "inputTokens", "prompt_token_count", "promptTokenCount",
          "prompt_eval_count", "inputTokenCount", "promptTokens", "input_token_count",
          "inputTextTokenCount")  # fmt: skip
_OUTPUT = ("completion_tokens", "output_tokens", "outputTokens", "candidates_token_count",
           "candidatesTokenCount", "eval_count", "outputTokenCount", "completionTokens",
           "generated_token_count")  # fmt: skip
_TOTAL = ("total_tokens", "totalTokens", "total_token_count", "totalTokenCount")
_DETAILS = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
_OUTPUT_DETAILS = (
    "completion_tokens_details", "output_tokens_details", "output_token_details",
)  # fmt: skip
_CACHED_WITHIN = ("cached_tokens", "cache_read")
_CACHED = ("prompt_cache_hit_tokens", "cached_content_token_count", "cachedContentTokenCount",
           "cached_tokens")  # fmt: skip
_CACHED_BESIDE = ("cache_read_input_tokens", "cacheReadInputTokens", "cacheReadInputTokenCount")
_WRITTEN_BESIDE = (
    "cache_creation_input_tokens", "cacheWriteInputTokens", "cacheWriteInputTokenCount",
)  # fmt: skip
_WRITTEN_WITHIN = ("cache_creation", "cache_write_tokens")
_WRITTEN_FOR = frozenset({"ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"})
_USUAL = frozenset(
    {"input_tokens", "output_tokens", "total_tokens", "input_token_details", "output_token_details"}
)  # fmt: skip
_PLAIN = frozenset({dict, type(None)})
_WHOLE = frozenset({int})
_REASONING = ("reasoning_tokens", "reasoning")
_THOUGHTS = ("thoughts_token_count", "thoughtsTokenCount")
_HOLDERS = ("usage", "tokens", "billed_units")  # Cohere's two counts; a report in a report
_RARE = frozenset((*_CACHED, *_CACHED_BESIDE, *_WRITTEN_BESIDE, *_THOUGHTS))
_NAMES = (*_INPUT, *_OUTPUT, *_TOTAL, *_DETAILS, *_OUTPUT_DETAILS, *sorted(_RARE), *_HOLDERS)
_DETAIL_NAMES = (*_CACHED_WITHIN, *_WRITTEN_WITHIN, *sorted(_WRITTEN_FOR))
_NOTHING: Mapping[str, Any] = {}
_SAID = frozenset(
    {"content", "text", "refusal", "arguments", "input", "thinking", "reasoning", "summary",
     "reasoning_content", "delta", "message", "function", "tool_calls", "parts", "args"}
)  # fmt: skip
_ARGUMENTS = frozenset({"args", "input", "arguments"})
_MOST_DEPTH = 12


def reported_usage(report: Any) -> Usage | None:
    """Read a report of usage; None if it reports nothing.

    Args:
        report: A mapping or an object with OpenAI's, Anthropic's, Google's, Bedrock's, Ollama's or
            LangChain's names for what was used.
    """
    if report is None:
        return None
    if report.__class__ is dict and report.keys() <= _USUAL:
        usual = _usual(report)
        if usual is not None:
            return usual
    told = _fields(report, _NAMES)
    details = _fields(_first(told, _DETAILS), _DETAIL_NAMES)
    rare = not _RARE.isdisjoint(told)
    beside = _count(told, _CACHED_BESIDE) if rare else 0
    cached = _count(details, _CACHED_WITHIN)
    written = max(_count(details, _WRITTEN_WITHIN), sum(_counts(details, _WRITTEN_FOR)))
    read = _count(told, _INPUT)
    made = _count(told, _OUTPUT)
    if rare:
        cached = cached or _count(told, _CACHED) or beside
        put = _count(told, _WRITTEN_BESIDE)
        written = written or put
        read += beside + put
        made += _count(told, _THOUGHTS)
    reasoned = _count(_fields(_first(told, _OUTPUT_DETAILS), _REASONING), _REASONING)
    if reasoned > made:  # so it cannot be a part of it
        made += reasoned
    total = _count(told, _TOTAL)
    if not read and not made:
        return Usage(total) if total else _within(told)
    if not read and total > made:  # a proxy took the input's count away, and left the total
        read = total - made
    return Usage(read, max(made, total - read), cached, written)


def _within(told: Mapping[str, Any]) -> Usage | None:
    """What a report within this one says."""
    for name in _HOLDERS:
        inner = told.get(name)
        if inner is None or any(_fields(inner, _HOLDERS).get(each) for each in _HOLDERS):
            continue
        found = reported_usage(inner)
        if found is not None:
            return found
    return None


def _usual(report: Mapping[str, Any]) -> Usage | None:
    """LangChain's own form, where all is as it should be; None: it must be looked at closely."""
    read: Any = report.get("input_tokens")
    made: Any = report.get("output_tokens")
    total = report.get("total_tokens", 0)
    details, more = report.get("input_token_details"), report.get("output_token_details")
    cached = written = reasoned = 0
    if details.__class__ is dict:
        cached, written = details.get("cache_read") or 0, details.get("cache_creation") or 0
    if more.__class__ is dict:
        reasoned = more.get("reasoning") or 0
    counts = read, made, total, cached, written, reasoned
    if {*map(type, counts)} != _WHOLE or min(counts) < 0 or max(counts) > _MOST_TOKENS:
        return None
    plain = {details.__class__, more.__class__} <= _PLAIN and _WRITTEN_FOR.isdisjoint(details or ())
    if not plain or not read or reasoned > made:
        return None
    return Usage(read, max(made, total - read), cached, written)


def _fields(holder: Any, names: tuple[str, ...]) -> Mapping[str, Any]:
    """A mapping as it is; of an object what it has under these names."""
    if holder.__class__ is dict or isinstance(holder, Mapping):
        return cast("Mapping[str, Any]", holder)
    if holder is None:
        return _NOTHING
    return {name: getattr(holder, name, None) for name in names}


def _first(told: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((told[name] for name in names if told.get(name) is not None), None)


def _counts(told: Mapping[str, Any], names: Iterable[str]) -> list[int]:
    return [_number(told[name]) for name in names if name in told]


def _count(told: Mapping[str, Any], names: tuple[str, ...]) -> int:
    """The first count under these names that says something."""
    for name in names:
        if name in told and (found := _number(told[name])):
            return found
    return 0


def _number(value: Any) -> int:
    """A count that can be trusted: providers report None, floats and texts as well."""
    if isinstance(value, str) and len(value) < 13 and _TEXT_COUNT.fullmatch(value):  # noqa: PLR2004
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    if isinstance(value, float) and not isfinite(value):
        return 0
    return int(value) if 0 < value <= _MOST_TOKENS else 0


def estimated_usage(call: Call, answer: Any) -> Usage:
    """What a call cost whose provider reports nothing: the input as estimated, the answer's text.

    Args:
        call: As it was declared.
        answer: A text, or the answer in any provider's form.
    """
    model = (call.endpoint or "").partition("#")[0].rpartition("/")[2]
    count = request_counter(model).text
    said = answer if isinstance(answer, str) else "\n".join(said_in(answer))
    return Usage(call.estimate.input_tokens, max(count(said), call.estimate.output_tokens))


def completed_usage(call: Call, told: Usage | None, report: Any, answer: Any) -> Usage:
    """What a provider told, and the estimate for the half that it left out.

    Args:
        call: As it was declared.
        told: What `reported_usage` read of its report; None: nothing, so all is estimated.
        report: The report.
        answer: As for `estimated_usage`.
    """
    if told is None:
        return estimated_usage(call, answer)
    if told.input_tokens and told.output_tokens:
        return told
    made = told.output_tokens
    if not made and tells_input(report) and any(said_in(answer)):
        made = estimated_usage(call, answer).output_tokens
    return replace(
        told, input_tokens=told.input_tokens or call.estimate.input_tokens, output_tokens=made
    )


def tells_input(report: Any) -> bool:
    """Whether a report has a count of the input, not only a total."""
    return _count(_fields(report, _NAMES), _INPUT) > 0


def said_in(answer: Any, depth: int = 0) -> Iterator[str]:
    """The texts that a model said in an answer: content, reasoning, arguments of its calls."""
    if isinstance(answer, str):
        yield answer
        return
    if depth > _MOST_DEPTH or answer is None:
        return
    if isinstance(answer, list | tuple):
        for item in answer:
            yield from said_in(item, depth + 1)
        return
    fields = _said_fields(answer)
    for name, value in fields.items():
        if name in _ARGUMENTS and isinstance(value, Mapping):
            yield json.dumps(value, default=str)
            continue
        if name in _SAID or (
            depth == 0 and name in {"choices", "output", "candidates", "response"}
        ):
            yield from said_in(value, depth + 1)


def _said_fields(answer: Any) -> Mapping[str, Any]:
    """What an answer has, and what an SDK has no field for: thoughts, as a rule; each once."""
    fields = answer if isinstance(answer, Mapping) else getattr(answer, "__dict__", None)
    if not isinstance(fields, Mapping):
        return _NOTHING
    extra = getattr(answer, "model_extra", None)
    if extra and isinstance(extra, Mapping):
        fields = {**fields, **extra}
    if fields.get("reasoning") and fields.get("reasoning") == fields.get("reasoning_content"):
        fields = {name: value for name, value in fields.items() if name != "reasoning"}
    return fields


class UsageTally:
    """Adds up what the chunks of a stream report.

    Args:
        expected: The guess made before the call: its input counts if the provider says nothing.

    Attributes:
        whole: Whether the last chunk that has a text was seen; for whoever feeds it.
        tells_input: Whether a report had a count of the input, not only a total; as above.
    """

    __slots__ = (
        "_began", "_chars", "_expected", "_last", "_peak", "_reports", "_rising", "_sum", "chunks",
        "tells_input", "whole",
    )  # fmt: skip

    def __init__(self, expected: Usage) -> None:
        self._expected = expected
        self._sum: Usage | None = None
        self._last = self._peak = self._reports = self._chars = self.chunks = 0
        self._rising = True
        self.whole = self.tells_input = self._began = False

    def add(self, report: Usage | None, text_chars: int = 0, *, says: bool = True) -> None:
        """One more chunk.

        Args:
            report: What it says of usage, or None.
            text_chars: Characters of text that came with it.
            says: Whether it is a part of the answer: a role, a start, a ping or a count is none,
                and costs nothing.
        """
        self._began = True
        self.chunks += says
        self._chars += text_chars
        if report is None:
            return
        if report.output_tokens:
            self._reports += 1
            self._rising = self._rising and report.output_tokens > self._last
            self._last = report.output_tokens
        self._peak = max(self._peak, report.output_tokens)
        known = self._sum
        if known is None:
            self._sum = report
        elif report.input_tokens:  # told again, or at last: of all so far
            self._sum = _combined(max, known, report)
        else:
            self._sum = _combined(_plus, known, report)

    def usage(self) -> Usage | None:
        """What the whole stream reported; None if it reported nothing."""
        told = self._sum
        if told is not None and not (told.input_tokens and told.output_tokens):
            made = told.output_tokens
            if not made and self.tells_input:
                made = -(-self._chars // _CHARS_PER_TOKEN)
            read = told.input_tokens or self._expected.input_tokens
            told = replace(told, input_tokens=read, output_tokens=made)
        if told is None or not (self._rising and self._reports >= _TOTALS):
            return told
        return Usage(
            told.input_tokens, self._peak, told.cached_input_tokens, told.cache_write_tokens
        )

    def cut(self) -> Usage | None:
        """What has come so far cost at least: a token a chunk, or one for four characters.

        None if nothing came at all.
        """
        if not (self._began or self.chunks):
            return None
        told = self.usage() or Usage()
        came = max(self.chunks, -(-self._chars // _CHARS_PER_TOKEN))
        return Usage(
            told.input_tokens or self._expected.input_tokens,
            max(told.output_tokens, came),
            told.cached_input_tokens,
            told.cache_write_tokens,
        )


def _plus(one: int, other: int) -> int:
    return one + other


def _combined(how: Any, one: Usage, other: Usage) -> Usage:
    return Usage(
        how(one.input_tokens, other.input_tokens),
        how(one.output_tokens, other.output_tokens),
        how(one.cached_input_tokens, other.cached_input_tokens),
        how(one.cache_write_tokens, other.cache_write_tokens),
    )

"""Token counts of what is really sent: one law for what is reserved and for what a budget allows.

Law: a request costs ``3 + sum(message) + tools``; a message costs ``3 + role + content + name + 1 +
calls`` (OpenAI cookbook, "How to count tokens with tiktoken"), where each call costs its id, name
and arguments plus 3. Ids are sent and may be billed, so they are counted. Exact encodings come from
the shipped rank files; a model without one is counted with o200k_base times a stated factor, which
the usage that the provider reports corrects (`TokenCounter.report`). What is no text is counted by
the rules of `media` and `images`, which are estimates for every model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agentrm_plugins.counting.forms import described
from agentrm_plugins.counting.media import block_kind, block_tokens
from agentrm_plugins.types.message import FRAMEWORK, Message
from agentrm_plugins.types.plain import json_text

__all__ = ["Counts", "TokenCounter", "estimate_text"]

MESSAGE_OVERHEAD = 4
"""What frames a message: three tokens, and its role, which is one."""
REPLY_OVERHEAD = 3
CALL_OVERHEAD = 3
UNKNOWN_FACTOR = 1.3
"""Guessed: Claude's and Gemini's tokenisers were reported 10 to 25 % above o200k_base on text."""

_TEXTS = ("text", "refusal", "thinking", "reasoning")
_OF_MESSAGES = frozenset({
    "role", "content", "name", "tool_calls", "function_call", "tool_call_id", "id", "type",
    "status", "metadata", FRAMEWORK,
})  # fmt: skip
_OF_CALLS = frozenset({
    "id", "type", "index", "function", "custom", "name", "arguments", "args", "input"
})  # fmt: skip
_OF_TEXTS = frozenset({*_TEXTS, "type", "id", "index", "signature", "cache_control"})
"""Keys that are counted by their rules, or that no model reads. What stands under another one is
sent too, so it costs what its JSON costs: a server may read it (`reasoning_content`) or not."""
_REMEMBERED_TOOLS = 256

_CLASSES = re.compile(
    r"(?P<word>[A-Z]?[a-z]+)|(?P<upper>[A-Z]+)|(?P<digits>\d+)|(?P<blank>\s+)|(?P<other>[^\sA-Za-z\d])"
)


def estimate_text(text: str) -> int:
    """Estimate without any encoding, on the high side: for when a rank file cannot be read.

    A word costs one token for each 4 letters begun, capitals two for 3, digits one for 2, any other
    character one for each 2 bytes of UTF-8 begun.
    """
    total = 0
    for match in _CLASSES.finditer(text):
        kind, size = match.lastgroup, match.end() - match.start()
        if kind == "word":
            total += (size + 3) // 4
        elif kind == "upper":
            total += (2 * size + 2) // 3
        elif kind == "digits":
            total += (size + 1) // 2
        elif kind == "other":
            total += (len(match.group().encode("utf-8", "replace")) + 1) // 2
        elif size > 1:
            total += (size + 3) // 4
    return total


def _tools_tokens(
    tools: Sequence[Mapping[str, Any]], text: str, count: Callable[[str], int]
) -> int:
    """Count tool schemas: the higher of their compact JSON and the cookbook's formula."""
    return max(count(text), sum(_tool_formula(tool, count) for tool in tools) + 12)


def _tool_formula(tool: Mapping[str, Any], count: Callable[[str], int]) -> int:
    function = tool.get("function")
    function = function if isinstance(function, Mapping) else tool
    total = 7 + count(f"{function.get('name')}:{function.get('description') or ''}")
    parameters = function.get("parameters") or function.get("input_schema")
    properties = parameters.get("properties") if isinstance(parameters, Mapping) else None
    for key, given in properties.items() if isinstance(properties, Mapping) else ():
        field = given if isinstance(given, Mapping) else {}
        total += 3 + 3 + count(f"{key}:{field.get('type')}:{field.get('description') or ''}")
        enum = field.get("enum")
        total += sum(3 + count(str(item)) for item in enum) if isinstance(enum, list) else 0
    return total


class TokenCounter:
    """Counts for one model. Free of state but for the correction and what it remembers of tools.

    Args:
        model: The model's name, for its provider's rules of images, files and recordings.
        encode_count: Counts the tokens of a text.
        exact: Whether `encode_count` is the model's own encoding.
        remembered: Where `encode_count` keeps what it has counted, by the hash of the text.
    """

    def __init__(
        self,
        model: str,
        encode_count: Callable[[str], int],
        *,
        exact: bool,
        remembered: Mapping[int, int] | None = None,
    ) -> None:
        self.model = model
        self._remembered = {} if remembered is None else remembered
        self.exact = exact
        self.factor = 1.0 if exact else UNKNOWN_FACTOR
        self._count = encode_count
        self._tools: dict[str, int] = {}

    @property
    def correction(self) -> float:
        """Tokens that the provider is known to count for one counted here; 1 for an exact one."""
        return 1.0 if self.exact else self.factor / UNKNOWN_FACTOR

    def text(self, text: str) -> int:
        """Count a text; for a model without an exact encoding, the uncorrected estimate."""
        if not text:
            return 0
        count = self._remembered.get(hash(text)) or self._count(text)
        return count if self.exact else -int(-count * UNKNOWN_FACTOR // 1)

    def message(self, message: Message) -> int:
        """Count one message as it is sent, its share of the frame included."""
        calls = [
            ("" if call.is_legacy else call.id, call.name, call.arguments)
            for call in message.tool_calls
        ]
        answers = None if message.role == "function" else message.tool_call_id
        told = self.parts(message.content, message.name, answers, calls)
        if message.raw is None:
            return told
        if calls:
            listed = message.raw.get("tool_calls") or ()
            told += sum([self._beyond(call, _OF_CALLS) for call in listed])
        return told + self._beyond(message.raw, _OF_MESSAGES)

    def _beyond(self, given: Mapping[str, Any], known: frozenset[str]) -> int:
        """Count what is sent under keys that have no rule; what is empty costs nothing."""
        if given.keys() <= known:  # nearly always
            return 0
        rest = {key: value for key, value in given.items() if key not in known and value}
        return block_tokens(rest, self.text, self.model) if rest else 0

    def parts(
        self,
        content: str | Iterable[Any],
        name: str | None = None,
        answers: str | None = None,
        calls: Iterable[tuple[str, str, str]] = (),
    ) -> int:
        """Count one message by its parts, for whoever holds it in another form than `Message`.

        Args:
            content: Its text, or its content blocks.
            name: The speaker's or the tool's name.
            answers: The id of the call that it answers.
            calls: The calls that it asks for: id, name and arguments as JSON text.
        """
        told = self.text(content) if content.__class__ is str else self.content(content)
        total = MESSAGE_OVERHEAD + told
        if name:
            total += self.text(name) + 1
        if answers:
            total += self.text(answers)
        for number, function, arguments in calls:
            total += CALL_OVERHEAD + self.text(number)
            total += self.text(function) + self.text(arguments)
        return total

    def content(self, content: str | Iterable[Any]) -> int:
        """Count what is said: a text, or content blocks."""
        if isinstance(content, str):
            return self.text(content)
        return sum([self.block(block) for block in content])

    def block(self, block: Any) -> int:
        """Count one content block by its kind; an unknown one by its JSON text, without media."""
        if isinstance(block, str):
            return self.text(block)
        if not isinstance(block, Mapping):
            return 0
        if block_kind(block) == "text":
            for key in _TEXTS:
                if isinstance(block.get(key), str):
                    return self.text(block[key]) + self._beyond(block, _OF_TEXTS)
        return block_tokens(block, self.text, self.model)

    def messages(self, messages: Sequence[Message], tools: Sequence[Any] = ()) -> int:
        """Count a whole request."""
        return REPLY_OVERHEAD + sum(map(self.message, messages)) + self.tools(tools)

    def request(self, parts: Iterable[Any], form: Sequence[Any] = ()) -> int:
        """Count a whole request by its messages' parts (see `parts`) and what tells its form."""
        total = REPLY_OVERHEAD + (self.tools(form) if form else 0)
        for part in parts:
            total += self.parts(*part)
        return total

    def tools(self, tools: Sequence[Any]) -> int:
        """Count what describes tools and the form of the answer: JSON schemas.

        Args:
            tools: Mappings, or pydantic classes; of anything else its name counts.
        """
        if not tools:
            return 0
        plain = list(map(described, tools))
        text = json_text(plain)
        tokens = self._tools.get(text)
        if tokens is None:
            if len(self._tools) >= _REMEMBERED_TOOLS:
                self._tools.clear()
            tokens = self._tools[text] = _tools_tokens(plain, text, self.text)
        return tokens

    def report(self, counted_tokens: int, reported_tokens: int, weight: float = 1.0) -> None:
        """Learn from the usage that the provider reported for a request that was counted here.

        What was counted once stays as it is, so that counts can be kept. What is learned is
        `correction`, by which whole requests and budgets are multiplied. The factor rises at once
        to what was seen and falls by a tenth of the distance each time; it stays between 0.5 and
        4. An exact encoding is left alone.

        Args:
            counted_tokens: Of the request, as counted here.
            reported_tokens: The same by the provider.
            weight: How much of the difference grows with the request, 0 to 1: in a short one most
                of it may be what a provider adds once to each.
        """
        if self.exact or counted_tokens <= 0 or reported_tokens <= 0:
            return
        share = 1.0 + weight * (reported_tokens / counted_tokens - 1.0)
        seen = min(max(UNKNOWN_FACTOR * share, 0.5), 4.0)
        self.factor = seen if seen > self.factor else self.factor + 0.1 * (seen - self.factor)


@dataclass(slots=True)
class Counts:
    """What is known of counts that were made for several models in turn.

    Args:
        stale: Whether what is sent is still counted for another model.
        factors: What was learned of the models that were called before, by name.
    """

    stale: bool = False
    factors: dict[str, float] = field(default_factory=dict)

"""Token counts of what is really sent.

Law: a request costs ``3 + sum(message) + tools``; a message costs ``3 + role + content + name + 1 +
calls`` (OpenAI cookbook, "How to count tokens with tiktoken"), where each call costs its id, name
and arguments plus 3. Ids are sent and may be billed, so they are counted. Exact encodings come from
the shipped rank files; a model without one is counted with o200k_base times a stated factor, which
the usage that the provider reports corrects (`TokenCounter.report`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentrm_plugins.counting.images import image_tokens
from agentrm_plugins.types.message import KNOWN_BLOCKS, Message

__all__ = ["PIECE_CHARS", "TokenCounter", "estimate_text", "tools_tokens"]

MESSAGE_OVERHEAD = 3
REPLY_OVERHEAD = 3
CALL_OVERHEAD = 3
UNKNOWN_FACTOR = 1.3
"""Guessed: Claude's and Gemini's tokenisers were reported 10 to 25 % above o200k_base on text."""

PIECE_CHARS = 100_000
"""Longer texts are counted in pieces of this size: the encoder's regular expressions overflow the
stack on a million blanks (seen with tiktoken 0.14). Each cut adds at most a token or two."""

_AUDIO_CHARS_PER_TOKEN = 24
"""OpenAI bills 10 tokens per second of audio; base64 of the thinnest usual coding (16 kbit/s)
has about 2,700 characters a second, so this errs on the high side tenfold."""
_FILE_CHARS_PER_TOKEN = 4

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


def tools_tokens(tools: Sequence[Any], count: Callable[[str], int]) -> int:
    """Count tool schemas: the higher of their compact JSON and the cookbook's formula."""
    if not tools:
        return 0
    plain = [tool if isinstance(tool, Mapping) else {"name": str(tool)} for tool in tools]
    as_json = count(json.dumps(plain, ensure_ascii=False, default=str))
    return max(as_json, sum(_tool_formula(tool, count) for tool in plain) + 12)


def _tool_formula(tool: Mapping[str, Any], count: Callable[[str], int]) -> int:
    function = tool.get("function", tool)
    total = 7 + count(f"{function.get('name')}:{function.get('description') or ''}")
    parameters = function.get("parameters") or function.get("input_schema") or {}
    for key, given in (parameters.get("properties") or {}).items():
        field = given if isinstance(given, Mapping) else {}
        total += 3 + 3 + count(f"{key}:{field.get('type')}:{field.get('description') or ''}")
        total += sum(3 + count(str(item)) for item in field.get("enum") or ())
    return total


class TokenCounter:
    """Counts for one model. Plain and free of state but for the correction.

    Args:
        model: The model's name, for the rules of images.
        encode_count: Counts the tokens of a text.
        exact: Whether `encode_count` is the model's own encoding.
    """

    def __init__(self, model: str, encode_count: Callable[[str], int], *, exact: bool) -> None:
        self.model = model
        self.exact = exact
        self.factor = 1.0 if exact else UNKNOWN_FACTOR
        self._count = encode_count

    @property
    def correction(self) -> float:
        """Tokens that the provider is known to count for one counted here; 1 for an exact one."""
        return 1.0 if self.exact else self.factor / UNKNOWN_FACTOR

    def text(self, text: str) -> int:
        """Count a text; for a model without an exact encoding, the uncorrected estimate."""
        if not text:
            return 0
        if len(text) <= PIECE_CHARS:
            count = self._count(text)
        else:
            pieces = (text[at : at + PIECE_CHARS] for at in range(0, len(text), PIECE_CHARS))
            count = sum(self._count(piece) + 1 for piece in pieces)
        return count if self.exact else -int(-count * UNKNOWN_FACTOR // 1)

    def message(self, message: Message) -> int:
        """Count one message as it is sent, its share of the frame included."""
        total = MESSAGE_OVERHEAD + 1
        if isinstance(message.content, str):
            total += self.text(message.content)
        else:
            total += sum(self.block(block) for block in message.content)
        if message.name:
            total += self.text(message.name) + 1
        if message.tool_call_id:
            total += self.text(message.tool_call_id)
        for call in message.tool_calls:
            total += CALL_OVERHEAD + self.text(call.id)
            total += self.text(call.name) + self.text(call.arguments)
        return total

    def block(self, block: Mapping[str, Any]) -> int:
        """Count one content block by its kind; an unknown one by its JSON text."""
        kind = KNOWN_BLOCKS.get(str(block.get("type")), "data")
        if kind == "image":
            return image_tokens(block, self.model)
        size = _payload_chars(block)
        if kind in {"audio", "video"}:
            return 85 + size // _AUDIO_CHARS_PER_TOKEN
        if kind == "file" and size:
            return 85 + size // _FILE_CHARS_PER_TOKEN
        for key in ("text", "refusal", "thinking", "reasoning"):
            if kind == "text" and isinstance(block.get(key), str):
                return self.text(block[key])
        return self.text(json.dumps(block, ensure_ascii=False, default=str))

    def messages(self, messages: Sequence[Message], tools: Sequence[Any] = ()) -> int:
        """Count a whole request."""
        return REPLY_OVERHEAD + sum(map(self.message, messages)) + self.tools(tools)

    def tools(self, tools: Sequence[Any]) -> int:
        """Count tool schemas."""
        return tools_tokens(tools, self.text)

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


def _payload_chars(block: Mapping[str, Any]) -> int:
    """Count the characters of the longest text anywhere inside, such as base64 data."""
    longest = 0
    waiting: list[Any] = list(block.values())
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            longest = max(longest, len(value))
        elif isinstance(value, Mapping):
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            waiting.extend(value)
    return longest if longest > 512 else 0  # noqa: PLR2004 - shorter ones are names and links

"""How many tokens a call will send, counted before it is made.

Texts are counted with the model's own encoding where that ships with the core, once each: a
conversation comes again with every turn, so the counts are remembered (never the texts). For a
model without an encoding of its own, four characters count as a token, langchain_core's rule of
thumb. Tools are counted by their schemas, images by the provider's published rule. The provider's
count corrects it all when the call settles.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from agentrm_plugins.integration import counter_for, encoding_name, image_tokens, tools_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from langchain_core.messages import BaseMessage

__all__ = ["counting", "input_tokens", "prepare"]

_CHARS_PER_TOKEN = 4
_MESSAGE, _REQUEST, _CALL = 4, 3, 3  # OpenAI's cookbook: "How to count tokens with tiktoken"
_REMEMBERED = 65_536
_SHORT_CHARS, _LONG_CHARS, _SAMPLE_CHARS = 32, 200_000, 20_000
_MEDIA_TOKENS = 512  # guessed: audio, video and files say nothing of their length
_TEXTS = ("text", "refusal", "thinking", "reasoning")
_MODELS = ("gpt-4o", "gpt-4", "gpt-oss-20b")  # one for each encoding that ships
_IMAGES = {"image", "image_url", "input_image"}
_MEDIA = {"audio", "input_audio", "video", "file", "input_file", "document", "media"}


def _quarter(text: str) -> int:
    return (len(text) + _CHARS_PER_TOKEN - 1) // _CHARS_PER_TOKEN


def counting(model: str) -> Callable[[str], int]:
    """What counts a text's tokens for a model; makes itself only once for each encoding."""
    return _counting(model) if model else _quarter


@lru_cache(maxsize=256)
def _counting(model: str) -> Callable[[str], int]:
    encoding = encoding_name(model)
    return _quarter if encoding is None else _remembering(encoding)


@lru_cache(maxsize=8)
def _remembering(encoding: str) -> Callable[[str], int]:
    model = next(model for model in _MODELS if encoding_name(model) == encoding)
    exact = counter_for(model).text
    known: dict[int, int] = {}

    def count(text: str) -> int:
        if len(text) <= _SHORT_CHARS:
            return exact(text)
        key = hash(text)
        tokens = known.get(key)
        if tokens is None:
            if len(known) >= _REMEMBERED:
                known.clear()
            tokens = known[key] = _sampled(text, exact)
        return tokens

    return count


def _sampled(text: str, exact: Callable[[str], int]) -> int:
    """A very long text is judged by three parts of it: it must not hold up an event loop."""
    size = len(text)
    if size <= _LONG_CHARS:
        return exact(text)
    starts = (0, (size - _SAMPLE_CHARS) // 2, size - _SAMPLE_CHARS)
    tokens = sum(exact(text[at : at + _SAMPLE_CHARS]) for at in starts)
    return tokens * size // (len(starts) * _SAMPLE_CHARS)


def prepare(model: str) -> None:
    """Load the model's encoding now, if it has one: half a second, once in a process."""
    counting(model)("hello")


def input_tokens(messages: Sequence[BaseMessage], options: Mapping[str, Any], model: str) -> int:
    """Tokens of a request.

    Args:
        messages: The prompt.
        options: The call's other arguments: tools, functions and a response format count too.
        model: Its name, "" if that is not known.
    """
    count = counting(model)
    tokens = _REQUEST + sum([_message(message, count, model) for message in messages])
    for name in ("tools", "functions"):
        given = options.get(name)
        if isinstance(given, list | tuple) and given:
            tokens += tools_tokens(given, count)
    schema = options.get("response_format")
    if isinstance(schema, dict):
        tokens += count(json.dumps(schema, default=str))
    return tokens


def _message(message: BaseMessage, count: Callable[[str], int], model: str) -> int:
    content = message.content
    if content.__class__ is str:
        tokens = _MESSAGE + count(str(content))
    else:
        tokens = _MESSAGE + sum(_block(block, count, model) for block in content)
    for call in getattr(message, "tool_calls", ()):
        arguments = json.dumps(call.get("args"), default=str)
        tokens += _CALL + count(str(call.get("name"))) + count(arguments)
    return tokens


def _block(block: Any, count: Callable[[str], int], model: str) -> int:
    if isinstance(block, str):
        return count(block)
    if not isinstance(block, dict):
        return 0
    kind = block.get("type")
    if kind in _IMAGES:
        return image_tokens(block, model)
    if kind in _MEDIA:
        return _MEDIA_TOKENS
    for name in _TEXTS:
        text = block.get(name)
        if isinstance(text, str):
            return count(text)
    return count(json.dumps(block, default=str))

"""What is no text in a request: files, audio, video, and base64 under whatever name.

Law: none of it is billed by its characters. An image costs what its size costs (`images`), audio
and video cost by the second, a file by the page, and text inside a file as text. What the data
does not tell is taken from the high side; the rules and their sources stand beside the constants.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from agentrm_plugins.counting.images import image_tokens
from agentrm_plugins.types.message import KNOWN_BLOCKS
from agentrm_plugins.types.plain import json_text

__all__ = ["block_kind", "block_tokens"]

_BLOCK_TOKENS = 85
"""Guessed: what frames a file or a recording; the base of OpenAI's rule for images."""
_PAGE_TOKENS, _GEMINI_PAGE_TOKENS, _MOST_PAGES = 3000, 258, 100
"""Anthropic, "PDF support": 1,500 to 3,000 tokens of text a page, 100 pages at most for the usual
windows; Google, "Document understanding": 258 a page."""
_AUDIO_PER_S, _GEMINI_AUDIO_PER_S, _VIDEO_PER_S = 10, 32, 295
"""OpenAI bills input audio by 10 tokens a second, Google by 32, and video by 263 a second at one
frame each, its sound on top."""
_THIN_AUDIO, _THIN_VIDEO = 2_000, 62_500
"""Bytes a second of the thinnest usual coding (16 and 500 kbit/s), where the header tells none."""
_CHARS_PER_TOKEN = 4
_OPAQUE_CHARS, _LOOKED_AT = 1_024, 2_048
_BASE64 = re.compile(r"[A-Za-z0-9+/_\r\n-]+={0,2}")
_PAGES = re.compile(rb"/Type\s{0,8}/Page(?![a-zA-Z])")
_MAGIC = (
    ("iVBORw0KGgo", "image"), ("/9j/", "image"), ("R0lGOD", "image"), ("Qk", "image"),
    ("JVBERi0", "file"), ("UklGR", "riff"), ("SUQz", "audio"), ("//uQ", "audio"), ("//vQ", "audio"),
    ("T2dnUw", "audio"), ("ZkxhQ", "audio"), ("AAAA", "video"), ("GkXfo", "video"),
)  # fmt: skip
"""How PNG, JPEG, GIF, BMP, PDF, RIFF (WEBP and WAV), MP3, Ogg, FLAC, MP4 and WebM begin."""
_SEALED = frozenset({"encrypted_content", "encrypted_index", "signature", "thought_signature"})
"""Names under which providers send what only they can read: text, as long as it is."""
_SEALED_TYPES = frozenset({"redacted_thinking"})
_CALL_FRAME = 3
_TEXT_TYPES = ("text/", "application/json", "application/xml", "application/csv")


def block_kind(block: Mapping[str, Any]) -> str:
    """Say what a content block is: text, image, audio, video, file, or other data."""
    name = str(block.get("type"))
    kind = KNOWN_BLOCKS.get(name)
    if kind is not None:
        return kind
    if name == "media":
        return _kind_of_mime(str(block.get("mime_type") or block.get("mimeType") or ""))
    return "image" if "screenshot" in name or name.startswith("image_") else "data"


def block_tokens(block: Mapping[str, Any], count: Callable[[str], int], model: str) -> int:
    """Count one content block that is no text, or of a kind that nobody knows here.

    Args:
        block: The block.
        count: Counts a text.
        model: The model's name, for its provider's rules.
    """
    kind = block_kind(block)
    if kind == "image":
        return image_tokens(block, model)
    if kind in {"audio", "video", "file"}:
        return _medium_tokens(kind, block, count, model)
    slim, tokens = _without_media(block, "", count, model)
    return tokens + count(json_text(slim))


def _without_media(
    value: Any, name: str, count: Callable[[str], int], model: str
) -> tuple[Any, int]:
    """Take media out of a value: what is left, and what they cost."""
    if isinstance(value, str):
        tokens = _opaque_tokens(value, name, count, model)
        return (value, 0) if tokens is None else ("", tokens)
    if isinstance(value, Mapping):
        kind = block_kind(value)
        if value.get("type") in _SEALED_TYPES:
            sizes = [len(item) for item in value.values() if isinstance(item, str)]
            return None, max(sizes, default=0) // _CHARS_PER_TOKEN + _CALL_FRAME
        if name and kind in {"image", "audio", "video", "file"}:
            return None, block_tokens(value, count, model)
        parts = {key: _without_media(item, str(key), count, model) for key, item in value.items()}
        return {key: item for key, (item, _) in parts.items()}, sum(n for _, n in parts.values())
    if isinstance(value, list | tuple):
        items = [_without_media(item, name or "-", count, model) for item in value]
        return [item for item, _ in items], sum(tokens for _, tokens in items)
    return value, 0


def _opaque_tokens(text: str, name: str, count: Callable[[str], int], model: str) -> int | None:
    """What a string costs that is no text, or None: it is text."""
    if text.startswith("data:"):
        kind = _kind_of_mime(text[5:].partition(";")[0])
        if kind == "image":
            return image_tokens({"image_url": text}, model)
        return _data_tokens(kind, text, text[5:60], count, model)
    if len(text) < _OPAQUE_CHARS or not _BASE64.fullmatch(text[:_LOOKED_AT].rstrip("=")):
        return None
    if name in _SEALED:
        return len(text) // _CHARS_PER_TOKEN
    kind = _kind_of_magic(text)
    if kind == "image":
        return image_tokens({"data": text}, model)
    return _data_tokens(kind, text, "", count, model)


def _kind_of_mime(mime: str) -> str:
    first = mime.partition("/")[0].lower()
    return first if first in {"image", "audio", "video"} else "file"


def _kind_of_magic(data: str) -> str:
    for start, kind in _MAGIC:
        if data.startswith(start):
            if kind != "riff":
                return kind
            return "image" if _decoded(data[:24])[8:12] == b"WEBP" else "audio"
    return "image"  # what tools hand back in base64 is a picture far more often than not


def _medium_tokens(
    kind: str, block: Mapping[str, Any], count: Callable[[str], int], model: str
) -> int:
    source = block.get("source")
    if isinstance(source, Mapping) and source.get("type") == "text":
        return _BLOCK_TOKENS + count(str(source.get("data") or ""))
    if isinstance(source, Mapping) and source.get("type") == "content":
        slim, tokens = _without_media(source.get("content"), "content", count, model)
        return _BLOCK_TOKENS + tokens + count(json_text(slim))
    data, mime = _longest(block)
    if not data:  # a link or an id: guessed to be a page, or a minute
        cost = _page_tokens(model) if kind == "file" else _timed(kind, 60.0, model)
        return _BLOCK_TOKENS + cost
    return _data_tokens(kind, data, mime, count, model)


def _data_tokens(kind: str, data: str, mime: str, count: Callable[[str], int], model: str) -> int:
    if data.startswith("data:"):
        data = data.partition(",")[2]
    size = len(data) * 3 // 4
    if kind == "audio":
        return _BLOCK_TOKENS + _timed(kind, _seconds(data, size), model)
    if kind == "video":
        return _BLOCK_TOKENS + _timed(kind, size / _THIN_VIDEO, model)
    if mime.startswith(_TEXT_TYPES):
        return _BLOCK_TOKENS + count(_decoded(data).decode("utf-8", "replace"))
    most = _MOST_PAGES * _page_tokens(model)
    pages = len(_PAGES.findall(_decoded(data))) if data.startswith("JVBERi0") else 0
    by_size = min(len(data) // _CHARS_PER_TOKEN, most)
    return _BLOCK_TOKENS + (pages * _page_tokens(model) if pages else by_size)


def _page_tokens(model: str) -> int:
    return _GEMINI_PAGE_TOKENS if "gemini" in model else _PAGE_TOKENS


def _timed(kind: str, seconds: float, model: str) -> int:
    if kind == "video":
        rate = _VIDEO_PER_S
    else:
        rate = _AUDIO_PER_S if model.startswith("gpt") else _GEMINI_AUDIO_PER_S
    return math.ceil(seconds * rate)


def _seconds(data: str, size: int) -> float:
    """How long a recording lasts: by a WAV's header, or by the thinnest usual coding."""
    head = _decoded(data[:64])
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE" and len(head) >= 32:  # noqa: PLR2004 - byte rate's end
        rate = int.from_bytes(head[28:32], "little")
        if rate > 0:
            return size / rate
    return size / _THIN_AUDIO


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(
            data[: len(data) // 4 * 4].encode("ascii", "replace"), altchars=b"-_"
        )
    except (binascii.Error, ValueError):
        return b""


def _longest(block: Mapping[str, Any]) -> tuple[str, str]:
    """The longest text inside, if it can be data and not a name or a link, and its MIME type."""
    longest, mime = "", ""
    waiting: list[Any] = [block]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            longest = max(longest, value, key=len)
        elif isinstance(value, Mapping):
            mime = str(value.get("mime_type") or value.get("media_type") or mime)
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            waiting.extend(value)
    if longest.startswith("data:"):
        return longest, longest[5:60].partition(";")[0]
    linked = longest.startswith(("http://", "https://", "gs://", "s3://"))
    return ("" if linked or len(longest) <= 512 else longest), mime  # noqa: PLR2004 - names, ids

"""What an image costs, by the provider's published rule.

Sources, read in 2026: OpenAI "Images and vision, calculating costs"; Anthropic "Vision, calculate
image costs" (width x height / 750, long side at most 1,568); Google "Token counting" (258 for each
tile of 768). The size is read from the image's own header when the data is in the message; for a
link it is unknown, and the largest size that the rule allows is taken.
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
from collections.abc import Mapping
from typing import Any

__all__ = ["image_size", "image_tokens"]

_TILE_RULES = (
    ("gpt-4o-mini", 2833, 5667),
    ("gpt-5", 70, 140),
    ("o1", 75, 150),
    ("o3", 75, 150),
    ("computer-use", 65, 129),
)
_PATCH_RULES = (
    ("gpt-4.1-mini", 1.62),
    ("gpt-4.1-nano", 2.46),
    ("gpt-5-mini", 1.62),
    ("gpt-5-nano", 2.46),
    ("o4-mini", 1.72),
)
_UNKNOWN_SIZE = (2048, 2048)
_HEAD_CHARS = 65_536


def image_tokens(block: Mapping[str, Any], model: str) -> int:
    """Count one image block for `model`; unknown models get the highest usual rule (tiles)."""
    width, height = image_size(block) or _UNKNOWN_SIZE
    model = model.rpartition("/")[2]
    if "claude" in model:
        scale = min(1.0, 1568 / max(width, height))
        return min(1600, math.ceil(width * height * scale * scale / 750)) + 1
    if "gemini" in model:
        if max(width, height) <= 384:  # noqa: PLR2004 - the rule's own bound
            return 258
        return 258 * math.ceil(width / 768) * math.ceil(height / 768)
    for prefix, factor in _PATCH_RULES:
        if model.startswith(prefix):
            patches = math.ceil(width / 32) * math.ceil(height / 32)
            return math.ceil(min(1536, patches) * factor)
    base, tile = next(((b, t) for p, b, t in _TILE_RULES if model.startswith(p)), (85, 170))
    if _detail(block) == "low":
        return base
    scale = min(1.0, 2048 / max(width, height))
    width, height = max(1, int(width * scale)), max(1, int(height * scale))
    scale = min(1.0, 768 / min(width, height))
    width, height = max(1, int(width * scale)), max(1, int(height * scale))
    return base + tile * math.ceil(width / 512) * math.ceil(height / 512)


def _detail(block: Mapping[str, Any]) -> str:
    inner = block.get("image_url")
    detail = inner.get("detail") if isinstance(inner, Mapping) else block.get("detail")
    return str(detail or "high")


def image_size(block: Mapping[str, Any]) -> tuple[int, int] | None:
    """Read width and height in pixels from the image's header; None when it is not at hand."""
    data = _base64_of(block)
    if not data:
        return None
    head = data[:_HEAD_CHARS]
    try:
        raw = base64.b64decode(head[: len(head) // 4 * 4])
    except (binascii.Error, ValueError):
        return None
    size: tuple[int, int] | None = None
    if raw[:8] == b"\x89PNG\r\n\x1a\n" and len(raw) >= 24:  # noqa: PLR2004 - IHDR's end
        size = struct.unpack(">II", raw[16:24])
    elif raw[:3] == b"GIF" and len(raw) >= 10:  # noqa: PLR2004 - the header's size
        size = struct.unpack("<HH", raw[6:10])
    elif raw[:2] == b"\xff\xd8":
        size = _jpeg_size(raw)
    elif raw[:4] == b"RIFF" and raw[8:12] == b"WEBP":
        size = _webp_size(raw)
    return size if size and min(size) > 0 else None


def _base64_of(block: Mapping[str, Any]) -> str:
    inner = block.get("image_url")
    source = block.get("source")
    for holder in (block, inner, source):
        if isinstance(holder, str) and holder.startswith("data:"):
            return holder.partition(",")[2]
        if not isinstance(holder, Mapping):
            continue
        for key in ("url", "base64", "data", "result", "b64_json", "partial_image_b64"):
            data = holder.get(key)
            if isinstance(data, str) and data.startswith("data:"):
                return data.partition(",")[2]
            if isinstance(data, str) and key != "url":
                return data
    return ""


def _jpeg_size(raw: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 < len(raw) and raw[at] == 0xFF:  # noqa: PLR2004 - a JPEG marker
        marker, length = raw[at + 1], int.from_bytes(raw[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:  # noqa: PLR2004
            height, width = struct.unpack(">HH", raw[at + 5 : at + 9])
            return width, height
        at += 2 + length
    return None


def _webp_size(raw: bytes) -> tuple[int, int] | None:
    if raw[12:16] == b"VP8X" and len(raw) >= 30:  # noqa: PLR2004 - the chunk's end
        width = int.from_bytes(raw[24:27], "little") + 1
        return width, int.from_bytes(raw[27:30], "little") + 1
    if raw[12:16] == b"VP8 " and len(raw) >= 30:  # noqa: PLR2004
        width, height = struct.unpack("<HH", raw[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None

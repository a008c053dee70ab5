"""Exact tiktoken encodings from the rank files that ship with the package. Nothing is downloaded.

A rank file is unpacked once per process, at the first count that needs it (about a quarter of a
second), and its SHA-256 is checked against the one that tiktoken itself expects. The split pattern
and the special tokens are read from the installed tiktoken: a private copy of its table of
encodings is executed with a loader that only knows these files, so that no other user of tiktoken
in the process sees a difference.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import importlib.util
import os
import threading
from functools import cache
from importlib import resources
from typing import Any

import tiktoken

__all__ = ["SHIPPED", "EncodingDataError", "load_encoding"]

SHIPPED = ("o200k_base", "cl100k_base", "o200k_harmony")
"""The encodings that can be had without a network; o200k_harmony uses the ranks of o200k_base."""

_SHA256 = {
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
}


_locks = [threading.RLock()]  # a signal's handler may count as well


class EncodingDataError(RuntimeError):
    """A rank file of the package is missing or changed: install the package again."""


def _ranks(url: str, expected_hash: str | None = None) -> dict[bytes, int]:
    """Stand in for tiktoken's own loader: the file of the same name from this folder."""
    name = url.rsplit("/", 1)[-1].removesuffix(".tiktoken")
    if name not in _SHA256:
        raise EncodingDataError(f"encoding={name!r}: not shipped; use one of {', '.join(SHIPPED)}")
    packed = resources.files(__package__).joinpath(f"{name}.tiktoken.gz")
    try:
        data = gzip.decompress(packed.read_bytes())
    except (OSError, EOFError) as error:
        way = "the package's rank file cannot be read; install the package again"
        raise EncodingDataError(f"{name}.tiktoken.gz: {way} ({error})") from error
    found = hashlib.sha256(data).hexdigest()
    if found != _SHA256[name] or expected_hash not in {None, found}:
        way = f"SHA-256 is {found}, expected {_SHA256[name]}; install the package again"
        raise EncodingDataError(f"{name}.tiktoken.gz: {way}")
    pairs = (line.split() for line in data.splitlines() if line)
    return {base64.b64decode(token): int(rank) for token, rank in pairs}


@cache
def load_encoding(name: str) -> tiktoken.Encoding:
    """Load one of `SHIPPED`, once per process: who comes meanwhile waits, and builds no second one.

    Raises:
        EncodingDataError: `name` is not shipped, or its file is missing or changed.
    """
    with _locks[0]:
        return _built(name)


@cache
def _built(name: str) -> tiktoken.Encoding:
    if name not in SHIPPED:
        raise EncodingDataError(f"encoding={name!r}: not shipped; use one of {', '.join(SHIPPED)}")
    spec = importlib.util.find_spec("tiktoken_ext.openai_public")
    if spec is None or spec.loader is None:
        raise EncodingDataError("tiktoken_ext.openai_public: not found; install tiktoken again")
    table: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(table)
    table.load_tiktoken_bpe = _ranks
    make = getattr(table, name, None)
    if make is None:
        # tiktoken before 0.11 has no o200k_harmony: its ordinary text is that of o200k_base.
        make = table.o200k_base
    return tiktoken.Encoding(**make())


def _after_fork() -> None:
    _locks[0] = threading.RLock()  # whoever had it is not in this process


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

"""Counting the calls of this project's functions, in every thread, under `sys.setprofile`."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import agentrm_langchain
import agentrm_langgraph
import agentrm_openai
import agentrm_plugins

__all__ = ["Walk", "counting"]

_ROOTS = tuple(
    str(Path(package.__file__).parent) + "/"
    for package in (agentrm_plugins, agentrm_langchain, agentrm_langgraph, agentrm_openai)
)
_APART = _ROOTS[0] + "testing/"


class Walk:
    """The calls of one walk, in their order.

    Attributes:
        calls: "folder/file.py:function" of each, in the caller's thread.
        elsewhere: The same of the workers that it waited for.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.elsewhere: list[str] = []
        self._home = threading.get_ident()

    @property
    def functions(self) -> int:
        """How many different functions ran."""
        return len(set(self.calls))

    @property
    def files(self) -> int:
        """In how many files."""
        return len(set(map(_file, self.calls)))

    @property
    def hand_overs(self) -> int:
        """How often a call was in another file than the one before it."""
        files = list(map(_file, self.calls))
        return sum(one != other for one, other in pairwise(files))

    def saw(self, frame: FrameType, event: str, _: Any) -> None:
        """For `sys.setprofile`."""
        name = frame.f_code.co_filename
        if event == "call" and name.startswith(_ROOTS) and not name.startswith(_APART):
            calls = self.calls if threading.get_ident() == self._home else self.elsewhere
            calls.append(f"{'/'.join(name.split('/')[-2:])}:{frame.f_code.co_qualname}")


def _file(call: str) -> str:
    return call.partition(":")[0]


@contextmanager
def counting() -> Iterator[Walk]:
    """Count what runs in this block: in this thread, and in threads that start meanwhile."""
    walk = Walk()
    threading.setprofile(walk.saw)
    sys.setprofile(walk.saw)
    try:
        yield walk
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type] # it takes None

"""How slow the machine is just now, for bounds of CPU time that are meant for a common machine."""

from __future__ import annotations

import re
import time

TEXT = "the quick brown fox 12.5 jumps; " * 2000
WORDS = re.compile(r"[a-z]{1,12}|\d+(?:\.\d+)?")
COMMON_S = 0.003
"""CPU seconds that `work` takes on a core of about 3 GHz that nobody else uses."""
MOST = 6.0
"""A bound is never let out by more than this: a quadratic reader is slower by a hundred."""


def work() -> float:
    """Search and split 64 kB of text, as our readers do; give the CPU seconds that it took."""
    begun = time.thread_time()
    found = sum(len(match.group()) for match in WORDS.finditer(TEXT))
    split = sum(len(word.lower()) for word in TEXT.split())
    assert found < split
    return time.thread_time() - begun


def slowness() -> float:
    """Tell by how much this machine is slower than a common one: 1.0 to `MOST`.

    The median of several readings, so that a bound follows what the test itself met.

    >>> 1.0 <= slowness() <= MOST
    True
    """
    readings = sorted(work() for _ in range(9))
    return min(MOST, max(1.0, readings[4] / COMMON_S))

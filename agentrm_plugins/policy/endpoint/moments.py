"""Moments at which a window of a server that says nothing may be over (see `silence`).

Law: a window ends its length after it began, or as many minutes later as have passed; or at a
whole minute of the clock. What went in the minute before may be back sooner: 20 or 30 s after the
first of it. Guessed: these two.
"""

from __future__ import annotations

from math import ceil

__all__ = ["AFTER_S", "MINUTE_S", "later", "parts", "whole_window"]

MINUTE_S, _PARTS_S = 60.0, (20.0, 30.0)
AFTER_S = 0.1  # after a window's end, for clocks that differ


def later(end_s: float, now_s: float, period_s: float = MINUTE_S) -> float:
    """A window's end, or as many windows later as have passed."""
    passed = max(0, ceil((now_s - end_s - AFTER_S) / period_s + 1e-6))
    return end_s + passed * period_s + AFTER_S


def whole_window(clock_s: float, now_s: float, period_s: float = MINUTE_S) -> float:
    """The next whole minute, or period, of a clock that shows `clock_s` more than ours."""
    wall_s = now_s - AFTER_S + clock_s
    return ceil(wall_s / period_s + 1e-6) * period_s - clock_s + AFTER_S


def parts(first_s: float, now_s: float, *, long: bool) -> list[float]:
    """When what went from `first_s` on may be back; `long`: not before a minute is over."""
    soon = [] if long else [first_s + part_s + AFTER_S for part_s in _PARTS_S]
    return [at_s for at_s in (later(first_s + MINUTE_S, now_s), *soon) if at_s > now_s]

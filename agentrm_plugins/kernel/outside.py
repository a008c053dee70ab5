"""Exceptions that come from outside: a signal's handler may raise one between any two lines."""

from __future__ import annotations

from types import FrameType

__all__ = ["is_from_outside"]


def is_from_outside(error: Exception) -> bool:
    """Whether a signal's handler of the user's has raised it: that is no failure of a step.

    Such a handler is given the frame that it interrupts.
    """
    trace, passed = error.__traceback__, list[FrameType]()
    while trace is not None:
        for value in trace.tb_frame.f_locals.values():
            given = value if value.__class__ is tuple else (value,)
            if any(one is frame for one in given for frame in passed):
                return True
        passed.append(trace.tb_frame)
        trace = trace.tb_next
    return False

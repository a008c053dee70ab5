"""While a program is only looked at: the cores that it makes write no file and open no socket.

`agentrm doctor my_app:graph` imports a program beside one that runs. A core at its top level with
``record="events.jsonl"`` would put the running program's recording aside and write an empty one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

__all__ = ["Unopened", "only_looking", "unopened"]


@dataclass(slots=True)
class Unopened:
    """What the cores would have opened.

    Attributes:
        records: The paths of their recordings.
        monitors: How many would have opened a monitor's socket.
    """

    records: list[str] = field(default_factory=list)
    monitors: int = 0


_LOOKING: ContextVar[Unopened | None] = ContextVar("agentrm_looking", default=None)


def unopened() -> Unopened | None:
    """Where a core notes what it leaves closed; None where it is to be open."""
    return _LOOKING.get()


@contextmanager
def only_looking() -> Iterator[Unopened]:
    """In this block recordings and monitors stay off. A block within another is a part of it."""
    around = _LOOKING.get()
    noted = Unopened() if around is None else around
    token = _LOOKING.set(noted)
    try:
        yield noted
    finally:
        _LOOKING.reset(token)

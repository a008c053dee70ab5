"""What all sessions of one manager share, and how long a turn waits for another process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agentrm_plugins.context.live.archive import Owner
from agentrm_plugins.context.live.notices import Notices
from agentrm_plugins.context.stores.base import ColdStore
from agentrm_plugins.errors import SessionBusy

__all__ = ["Desk", "Patience"]

_FIRST_S, _LONGEST_S = 0.01, 0.25
"""Between two looks at another owner's lease, doubling. Guessed: a turn takes milliseconds."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What a session is made with.

    Args:
        store: The archive.
        submit: Runs a job in the background.
        clock: Seconds since the epoch.
        owner: In whose name sessions are claimed.
        wait_s: Seconds that a turn waits for another owner of its session; 0: none.
        summariser: Tells what is compacted, or None.
        notices: Who is told what sessions do to their tiers.
    """

    store: ColdStore
    submit: Callable[[Callable[[], None]], object]
    clock: Callable[[], float]
    owner: Owner
    wait_s: float
    summariser: Any | None = None
    notices: Notices = field(default_factory=Notices)


class Patience:
    """Says how long to sleep before the next look at a session that another process has.

    Args:
        wait_s: Seconds in all.
    """

    def __init__(self, wait_s: float) -> None:
        self._end = time.monotonic() + wait_s
        self._next_s = _FIRST_S

    def next_s(self, busy: SessionBusy) -> float:
        """Give seconds to sleep.

        Raises:
            SessionBusy: `busy` itself, where the time is up.
        """
        left_s = self._end - time.monotonic()
        if left_s <= 0:
            raise busy
        now_s, self._next_s = self._next_s, min(_LONGEST_S, 2 * self._next_s)
        return min(now_s, left_s)

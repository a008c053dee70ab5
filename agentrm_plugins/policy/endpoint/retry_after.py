"""A closed endpoint, and how its queue is let out again: dripping, never all at once.

Law: ``retry-after`` closes the endpoint until T for everybody. From T on, calls go in their order
with at least ``gap = amount / rate`` seconds between them, where the first is alone: only when it
has been accepted does the next follow. After `drip_calls` calls without a refusal the way is
free again.

Regimes: open, closed, dripping. A later T replaces an earlier one, an earlier T does not shorten
it. A refusal without a time closes for a back-off that doubles: ``base * 2 ** n``, up to
`most_s`.

Limits: no jitter, for there is no crowd: one core speaks for all its callers. The order of the
calls is the scheduler's.

Sources: FIELD measurements: obeyed caller by caller, one retry-after makes a stampede that kills a
quarter of the agents. The back-off's base and cap are the OpenAI SDK's (0.5 s, 8 s).
"""

from __future__ import annotations

from math import inf

__all__ = ["RetryAfter"]

_DRIP_CALLS = 8  # guessed: three doublings of trust


class RetryAfter:
    """Whether calls may go to one endpoint.

    Args:
        base_s: The first back-off where the server gives no time; above 0.
        most_s: The longest back-off of ours; the server's times are not cut.
    """

    __slots__ = ("_base_s", "_most_s", "_next_s", "_refusals", "closed_until_s", "drips")

    def __init__(self, *, base_s: float = 0.5, most_s: float = 8.0) -> None:
        self._base_s = base_s
        self._most_s = most_s
        self._refusals = 0
        self.drips = 0
        self._next_s = -inf
        self.closed_until_s = -inf

    def is_open(self, now_s: float) -> bool:
        """Whether it is not closed (it may still drip)."""
        return now_s >= self.closed_until_s

    def time_until(self, now_s: float) -> float:
        """Seconds until the next call may go; 0 is now."""
        return max(0.0, self.closed_until_s - now_s, self._next_s - now_s)

    def close(self, retry_after_s: float | None, now_s: float) -> bool:
        """The server refused; it may have said for how long.

        Returns:
            Whether it is closed for longer than it was before.
        """
        if retry_after_s is None:
            retry_after_s = min(self._most_s, self._base_s * 2.0 ** min(self._refusals, 30))
        self._refusals += 1
        self.drips = _DRIP_CALLS
        until_s = now_s + retry_after_s
        longer = until_s > self.closed_until_s
        self.closed_until_s = max(self.closed_until_s, until_s)
        return longer

    def sent(self, gap_s: float, now_s: float) -> None:
        """A call goes; `gap_s` is its amount over the paced rate."""
        if self.drips:
            self.drips -= 1
            self._next_s = now_s + gap_s

    def accepted(self) -> None:
        """A call was accepted: the next back-off begins at its base again."""
        self._refusals = 0

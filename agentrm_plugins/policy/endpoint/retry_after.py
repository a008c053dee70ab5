"""A closed endpoint, and how its queue is let out again: dripping, never all at once.

Law: ``retry-after`` closes the endpoint until T for everybody. From T on, calls go in their order
with at least ``gap = amount / rate`` seconds between them, where the first is alone: only when it
has been accepted does the next follow. After `drip_calls` calls without a refusal the way is free
again. One that is closed for long is probed: a single call may go after `PROBE_S`, and again after
twice as long, up to `MOST_PROBE_S`; if it is accepted the way is open.

Regimes: open, closed, dripping. A later T replaces an earlier one, an earlier T does not shorten
it. A refusal without a time closes for a back-off that doubles: ``base * 2 ** n``, up to
`most_s`.

Limits: no jitter, for there is no crowd: one core speaks for all its callers. The order of the
calls is the scheduler's.

Sources: FIELD measurements: obeyed caller by caller, one retry-after makes a stampede that kills a
quarter of the agents. The back-off's base and cap are the OpenAI SDK's (0.5 s, 8 s). The times of
the probes are guessed: one request in fifteen minutes costs nobody anything.
"""

from __future__ import annotations

from math import inf

__all__ = ["RetryAfter"]

PROBE_S, MOST_PROBE_S = 60.0, 900.0
_DRIP_CALLS = 8  # guessed: three doublings of trust


class RetryAfter:
    """Whether calls may go to one endpoint.

    Args:
        base_s: The first back-off where the server gives no time; above 0.
        most_s: The longest back-off of ours; the server's times are not cut.

    `since_s` is when it closed first without having let a call in since; `said` whether the server
    itself gave the time, `drips` how many calls still drip; `ever` whether it was ever closed: if
    not, there is nothing to ask.
    """

    __slots__ = (
        "_base_s",
        "_closed_s",
        "_most_s",
        "_next_s",
        "_probe_every_s",
        "_probe_s",
        "_refusals",
        "closed_until_s",
        "drips",
        "ever",
        "said",
        "since_s",
    )

    def __init__(self, *, base_s: float = 0.5, most_s: float = 8.0) -> None:
        self._base_s = base_s
        self._most_s = most_s
        self._refusals = 0
        self._next_s = -inf
        self._closed_s = -inf
        self._probe_s = inf
        self._probe_every_s = PROBE_S
        self.drips = 0
        self.ever = False
        self.said = False
        self.since_s = inf
        self.closed_until_s = -inf

    def time_until(self, now_s: float) -> float:
        """Seconds until the next call may go, as a probe maybe; 0 is now."""
        until_s = min(self.closed_until_s, self._probe_s)
        return max(0.0, until_s - now_s, self._next_s - now_s)

    def closed_for_s(self, now_s: float) -> float:
        """Seconds for which it is closed yet, probes aside; 0 if it is not, or one may go now."""
        if self.time_until(now_s) == 0:
            return 0.0
        return max(0.0, self.closed_until_s - now_s)

    def too_long(self, patience_s: float, waits_since_s: float, now_s: float) -> str | None:
        """In words, why a call of that patience is not to wait until it opens; None if it is."""
        left_s = self.closed_for_s(now_s)
        if left_s <= 0:
            return None
        waited_s = max(0.0, now_s - max(self.since_s, waits_since_s))
        if waited_s + left_s <= patience_s:
            return None
        who = "as its server said" if self.said else "for it turns everybody away"
        look_s = self._probe_s - now_s
        looks = f"; one call looks in {look_s:.0f} s" if 0 < look_s < left_s else ""
        return f"is closed for {left_s:.0f} s more, {who}{looks}; patience: {patience_s:g} s"

    def close(self, retry_after_s: float | None, now_s: float, *, look_s: float = PROBE_S) -> bool:
        """The server refused; it may have said for how long. The first probe is after `look_s`.

        Returns:
            Whether it is closed for longer than it was before.
        """
        until_s = now_s + (self._back_off_s() if retry_after_s is None else retry_after_s)
        self._refusals += 1
        self.ever = True
        self.drips = _DRIP_CALLS
        longer = until_s > self.closed_until_s
        if longer:
            self.said = retry_after_s is not None
        if self.since_s == inf:
            # A look that comes early is only the first: the next is after PROBE_S.
            self.since_s = now_s
            self._probe_every_s = PROBE_S if look_s == PROBE_S else PROBE_S / 2
            self._probe_s = now_s + look_s
        self.closed_until_s = max(self.closed_until_s, until_s)
        self._closed_s = now_s
        return longer

    def sent(self, gap_s: float, now_s: float) -> None:
        """A call goes; `gap_s` is its amount over the paced rate."""
        if now_s < self.closed_until_s:  # the probe; nobody follows until it is long back
            self._probe_every_s = min(2.0 * self._probe_every_s, MOST_PROBE_S)
            self._probe_s = now_s + self._probe_every_s
        elif self.drips:
            self.drips -= 1
            self._next_s = now_s + gap_s

    def accepted(self, sent_s: float = inf) -> None:
        """A call that was sent then was accepted: the next back-off begins at its base again.

        If it was sent since the last refusal, the way is open, whatever was said before.
        """
        self._refusals = 0
        if sent_s > self._closed_s:
            self.since_s = self._probe_s = inf
            self.closed_until_s = min(self.closed_until_s, sent_s)

    def _back_off_s(self) -> float:
        return float(min(self._most_s, self._base_s * 2.0 ** min(self._refusals, 30)))

"""How a limit comes back, told from the resets that its server names.

Law: each report says what is left and in how many seconds all is back, and both were right at one
moment between the request's leaving and its answer's coming. So each bounds what a model may be:

- in a *fixed window* that moment is the same for all reports of one window;
- in a *sliding* one it is a window after the newest call, so a call that is served is told of about
  a whole window;
- in a *bucket* each unit that is gone takes a time of its own: whoever has more units to wait for
  waits longer.

A model whose bounds miss each other is refuted. The one that is left is what the server counts by;
where none is, others have changed the limit, and all begins anew.

Limits: a call that was refused says nothing of a sliding window, for it is not the newest of it.
A window that begins with its first call looks like a sliding one until a second or two have passed.
Guessed: the margins.
"""

from __future__ import annotations

from math import inf

from agentrm_plugins.policy.endpoint.window_watch import Shape

__all__ = ["ResetShape"]

_SLACK_S = 0.05  # of clocks and of threads
_FEW = 2.0  # units of which two reports must differ


class ResetShape:
    """What one limit's resets show.

    Attributes:
        shape: How it comes back, as far as that is known.
        ends_s: When a fixed window is over, at the latest.
        longest_s: The longest reset that was named, seconds.
    """

    __slots__ = (
        *("_fixed", "_full", "_least", "_limit", "_low_s", "_rate", "_since_s", "_sliding"),
        *("ends_s", "longest_s", "shape", "_bucket", "_short_s"),
    )

    def __init__(self) -> None:
        self.shape = Shape.UNKNOWN
        self._limit = 0.0
        self._begin()

    def _begin(self) -> None:
        self._fixed = self._sliding = self._bucket = True
        self._low_s = self._since_s = -inf
        self.ends_s = inf
        self.longest_s = 0.0
        self._short_s = inf  # the least that a window may be by the shortest reset of a served call
        self._rate = inf  # the most units per second that a bucket may have
        self._full: tuple[float, float] | None = None  # of the reports: most left
        self._least: tuple[float, float] | None = None

    def observe(
        self,
        limit: float,
        left: float,
        reset_s: float,
        step_s: float,
        window_s: float | None,
        sent_s: float,
        now_s: float,
    ) -> Shape:
        """A report came to a request that went at `sent_s`; gives what is known by now.

        `step_s` is to what the reset is rounded, `window_s` the window that the server names.
        """
        if reset_s <= 0.0:
            return self.shape  # of a moment that has passed, by whatever clock
        if limit != self._limit:
            self._limit, self.shape = limit, Shape.UNKNOWN
            self._begin()
        self._end(reset_s, step_s, sent_s, now_s)
        self._slide(left, reset_s, step_s, window_s, now_s - sent_s)
        self._fill(left, reset_s, step_s)
        possible = (self._fixed, self._sliding, self._bucket)
        if not any(possible):
            self._begin()
            self._end(reset_s, step_s, sent_s, now_s)
            self.longest_s = reset_s
        elif sum(possible) == 1:
            self.shape = (Shape.FIXED, Shape.SLIDING, Shape.BUCKET)[possible.index(True)]
        elif not self._bucket:
            self.shape = Shape.WINDOW
        return self.shape

    def _end(self, reset_s: float, step_s: float, sent_s: float, now_s: float) -> None:
        """The moments at which a window may be over."""
        low_s, high_s = sent_s + reset_s - step_s - _SLACK_S, now_s + reset_s
        if sent_s >= self.ends_s or self._low_s == -inf:
            self._since_s = self.ends_s if self.ends_s < inf else -inf
            self._low_s, self.ends_s = low_s, high_s
        elif now_s < self._low_s and sent_s >= self._since_s:
            self._low_s = max(self._low_s, low_s)
            self.ends_s = min(self.ends_s, high_s)
            if self._low_s > self.ends_s:
                self._fixed = False

    def _slide(
        self, left: float, reset_s: float, step_s: float, window_s: float | None, took_s: float
    ) -> None:
        """Whether the newest call was one of just now."""
        self.longest_s = max(self.longest_s, reset_s)
        whole_s = self.longest_s if window_s is None else window_s
        if left > 0:
            self._short_s = min(self._short_s, reset_s + took_s + 2 * step_s + _SLACK_S)
        if self._short_s < whole_s:
            self._sliding = False

    def _fill(self, left: float, reset_s: float, step_s: float) -> None:
        """Whether each unit has a time of its own."""
        if reset_s > step_s:
            self._rate = min(self._rate, (self._limit - left + 1.0) / (reset_s - step_s))
        said, full, least = (left, reset_s), self._full, self._least
        if full is None or left > full[0]:
            self._full = full = said
        if least is None or left < least[0]:
            self._least = least = said
        for more, less in ((full, said), (said, least)):
            apart = more[0] - less[0] - 1.0
            if apart + 1.0 >= _FEW and less[1] - more[1] < apart / self._rate - step_s - _SLACK_S:
                self._bucket = False

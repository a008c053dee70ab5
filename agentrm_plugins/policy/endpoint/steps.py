"""A limit told per minute and enforced in shorter steps: 60 a minute as one a second.

Law: who refuses a call while he says himself that there is room lets no more go at once than a step
has. So the account is bounded by ``rate * step_s``, one call at least, and refills at `SHARE` of
the rate. The first such refusal makes the step a second, each further one half as long.

Regimes: after `_CALM` windows without such a refusal the step is twice as long again; when it
reaches the window the limit is taken by its word again. Each new refusal after that is waited for
twice as long, up to `_MOST_CALM` windows: it costs one call in so many windows to find out.

Limits: no header tells of steps. An overload that is answered like a limit looks the same, which is
why it is forgotten.

Sources: OpenAI's guide to rate limits (60,000 requests a minute may be enforced as 1,000 a second).
`SHARE` is the margin of the rate's search; the other numbers are guessed.
"""

from __future__ import annotations

from math import inf

__all__ = ["SHARE", "Steps"]

SHARE = 0.97
_FIRST_S = 1.0
_LEAST_S = 0.01
_CALM = 5.0
_MOST_CALM = 80.0


class Steps:
    """How long the steps are in which one limit is enforced.

    Attributes:
        step_s: Seconds of one; infinite: none are known.
    """

    __slots__ = ("_again_s", "_calm", "step_s")

    def __init__(self) -> None:
        self.step_s = inf
        self._calm = _CALM
        self._again_s = inf

    def refused(self, window_s: float, now_s: float) -> None:
        """A call was refused although the server says that there is room."""
        if self.step_s == inf:
            self.step_s = min(_FIRST_S, window_s)
        else:
            self.step_s = max(_LEAST_S, self.step_s / 2)
        self._again_s = now_s + self._calm * window_s
        self._calm = min(2.0 * self._calm, _MOST_CALM)

    def advance(self, window_s: float, now_s: float) -> bool:
        """Let time pass. Says whether the step is another."""
        if now_s < self._again_s:
            return False
        self.step_s *= 2.0
        self._again_s = now_s + self._calm * window_s
        if self.step_s >= window_s:
            self.step_s = self._again_s = inf
        return True

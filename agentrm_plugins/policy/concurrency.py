"""How many calls may be in flight at an endpoint of finite capacity (503: vLLM, Ollama, gateways).

Law (AIMD): a refusal says that the calls accepted just then are the capacity, so
``limit = accepted`` and never more than ``beta`` below the limit before, once per congestion event.
It grows by 1 after `grow_after` good answers, and only if the limit held somebody back (app-limited
guard); each growth that is refused doubles that number, each that is not halves it again.

Law (gradient, optional): ``limit = limit * clamp(long / short, 0.5, 1) + sqrt(limit)``, over the
time to first token, where ``long`` is its slow mean and ``short`` the newest. The time of a whole
call must not be used: it is mostly the length of its output, and a healthy long answer is no
congestion.

Regimes: no limit is known until the first refusal, then there is no bound unless the user gave one.
Limits: at least one call is always let through, else nothing would ever be learnt.

Sources: the guard and the gradient are those of Netflix's concurrency-limits (AIMDLimit,
Gradient2Limit). The numbers of answers are guessed: a refusal in 20 calls is a waste of 5 %.
"""

from __future__ import annotations

from math import inf, sqrt

__all__ = ["ConcurrencyController", "Gradient"]

_GROW_AFTER = 20
_GROW_AFTER_MAX = 160


class ConcurrencyController:
    """The limit of calls in flight.

    Args:
        told: What the user says the capacity is, 1 or more; the limit never exceeds it.
        beta: What is left at least of the limit after a refusal; between 0 and 1.
    """

    __slots__ = (
        "_beta",
        "_bound",
        "_cut_s",
        "_good",
        "_grow_after",
        "_told",
        "_trying",
        "cuts",
        "limit",
    )

    def __init__(self, *, told: int | None = None, beta: float = 0.5) -> None:
        self._told = inf if told is None else float(told)
        self.limit = self._told
        self._beta = beta
        self._cut_s = -inf
        self._good = 0
        self._grow_after = _GROW_AFTER
        self._bound = False
        self._trying = False
        self.cuts = 0

    def allows(self, in_flight: int) -> bool:
        """Whether one more may go while `in_flight` are under way. A no counts as held back."""
        if in_flight < self.limit:
            return True
        self._bound = True
        return False

    def answered(self) -> None:
        """A call was accepted and ended well."""
        if self.limit >= self._told:
            return
        self._good += 1
        if self._good < self._grow_after or not self._bound:
            return
        if self._trying:
            self._grow_after = max(_GROW_AFTER, self._grow_after // 2)
        self._good = 0
        self._bound = False
        self._trying = True
        self.limit = min(self._told, self.limit + 1)

    def refused(self, accepted: int, sent_s: float, now_s: float) -> bool:
        """The server had no room while `accepted` others of ours were under way.

        Returns:
            Whether this cut the limit: not if the call was sent before the last cut.
        """
        if sent_s <= self._cut_s:
            return False
        least = 1.0 if self.limit == inf else self._beta * self.limit
        self.limit = max(1.0, least, min(float(accepted), self.limit))
        if self._trying:
            self._grow_after = min(2 * self._grow_after, _GROW_AFTER_MAX)
        self._trying = self._bound = False
        self._good = 0
        self._cut_s = now_s
        self.cuts += 1
        return True


class Gradient:
    """A limit of calls in flight from the time to first token.

    Args:
        start: The limit before anything is known; 1 or more.
        least: It never falls below this.
        most: It never rises above this.
        memory: Weight of the newest time in the slow mean; 0 to 1.
    """

    __slots__ = ("_least", "_long_s", "_memory", "_most", "limit")

    def __init__(
        self, start: float = 8.0, *, least: float = 1.0, most: float = 1000.0, memory: float = 0.02
    ) -> None:
        self.limit = start
        self._least = least
        self._most = most
        self._memory = memory
        self._long_s = 0.0

    def sample(self, first_token_s: float, in_flight: int) -> None:
        """A call had its first token after `first_token_s` (> 0), with `in_flight` under way."""
        if not self._long_s:
            self._long_s = first_token_s
        self._long_s += self._memory * (first_token_s - self._long_s)
        if self._long_s > 2.0 * first_token_s:
            # The load is gone; do not remember it for long (as Gradient2Limit does).
            self._long_s *= 0.95
        if 2 * in_flight < self.limit:
            return  # app-limited: this time says nothing of what the limit would bear
        gradient = max(0.5, min(1.0, self._long_s / first_token_s))
        target = self.limit * gradient + sqrt(self.limit)
        self.limit = max(self._least, min(self._most, 0.8 * self.limit + 0.2 * target))

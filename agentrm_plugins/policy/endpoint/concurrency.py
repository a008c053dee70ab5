"""How many calls may be in flight at an endpoint of finite capacity (503: vLLM, Ollama, gateways).

Law (AIMD): a refusal says that the calls accepted just then are the capacity, so
``limit = accepted`` and never more than ``beta`` below the limit before, once per congestion event.
It grows by 1 after `grow_after` good answers, and only if the limit held somebody back (app-limited
guard); each growth that is refused doubles that number, each that is not halves it again.

Regimes: no limit is known until the first refusal, then there is no bound unless the user gave one.
Limits: at least one call is always let through, else nothing would ever be learnt.

Sources: the guard is that of Netflix's concurrency-limits (AIMDLimit). The numbers of answers are
guessed: a refusal in 20 calls is a waste of 5 %.
"""

from __future__ import annotations

from math import inf

__all__ = ["ConcurrencyController"]

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
        """Whether one more may go while `in_flight` are under way."""
        return in_flight < self.limit

    def held_back(self) -> None:
        """This limit makes somebody wait: it is the one that binds."""
        self._bound = True

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

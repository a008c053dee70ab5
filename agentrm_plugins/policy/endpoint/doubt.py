"""A limit below one ordinary call is doubted: one call may always be sent to find out.

Law: where the server's word on a limit would refuse a call for good, a single one goes as a trial.
If it is served, the word was wrong: it is not believed again. If it is refused for its limits, the
word holds for `AGAIN_S`, and twice as long after each further trial, up to `MOST_AGAIN_S`.

Regimes: while a trial is under way, other calls that are too large wait for what becomes of it.

Limits: what the user says is never doubted. Guessed: the times, which are those of the probes of a
closed endpoint.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentrm_plugins.types.verdicts import ServerLimit

__all__ = ["Doubt", "below"]

AGAIN_S, MOST_AGAIN_S = 60.0, 900.0


class Doubt:
    """The trials of one endpoint, by resource."""

    __slots__ = ("_again_s", "_every_s", "under_way")

    def __init__(self) -> None:
        self._again_s: dict[str, float] = {}
        self._every_s: dict[str, float] = {}
        self.under_way: dict[str, int] = {}

    def may_try(self, resource: str, now_s: float) -> bool:
        """Whether a call that is too large by the server's word may be sent, or wait for one."""
        return resource in self.under_way or now_s >= self._again_s.get(resource, -inf)

    def wait_s(self, resource: str, now_s: float) -> float:
        """How long such a call waits for its turn: for what becomes of a trial, infinitely."""
        if resource in self.under_way:
            return inf
        return max(0.0, self._again_s.get(resource, -inf) - now_s)

    @property
    def meant(self) -> bool:
        """Whether the server has ever refused a call that was too large by its word."""
        return bool(self._again_s)

    def sent(self, resource: str, number: int) -> None:
        """Such a call goes."""
        self.under_way[resource] = number

    def of(self, number: int) -> list[str]:
        """The resources for which that call was a trial; it is over."""
        if not self.under_way:
            return []
        found = [name for name, trial in self.under_way.items() if trial == number]
        for name in found:
            del self.under_way[name]
        return found

    def refused(self, resource: str, now_s: float) -> None:
        """The server meant it, or said it anew."""
        every_s = self._every_s.get(resource, AGAIN_S)
        self._again_s[resource] = now_s + every_s
        self._every_s[resource] = min(2.0 * every_s, MOST_AGAIN_S)


def below(said: Mapping[str, ServerLimit], amounts: Mapping[str, float]) -> list[str]:
    """The resources of which the server says that its limit is below what a call takes."""
    if not said:
        return []
    return [name for name, limit in said.items() if limit.limit and limit.limit < amounts[name]]

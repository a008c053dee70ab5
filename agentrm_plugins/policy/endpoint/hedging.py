"""Second attempts of late calls: what they teach, and how many may be wasted.

Law: which attempt of a call wins says whether the earlier ones hung. ``h`` is the share of attempts
that a later one outran, ``l`` the share of second attempts that lost to an earlier one lately. A
call's first second attempt may go while ``wasted + l * (expected of those under way)`` is at most
5 % of the tokens billed lately (half-life 40 s) and of `burst` calls; else one in ten seconds. What
a lost second attempt cost is wasted. Those that follow one that gave way never wait for the cap.

Regimes: nothing hangs: ``h`` falls to its floor, so few calls are late. All is slow: second
attempts lose, so few more go, and no other follows them: no storm. While they win as often as they
lose, or calls were seen to hang, two of them go for one call; where both is so, as many as it
takes. Yet a further one goes once the call is four minutes old and twice as old as any answer that
came, and each one after that at twice that age: a call whose attempts all hang does not wait for
its limit.

Limits: the number of second attempts is not capped while they win, for where they hang too they
would fill the cap and nothing would move any more.

Sources: all figures were found by `benchmarks.liveness.virtual`.
"""

from __future__ import annotations

from math import inf

from agentrm_plugins.policy.endpoint.hedge_tally import HedgeTally

__all__ = ["Hedging"]

_WASTE = 0.05
_HALF_LIFE_S = 40.0
_EVERY_S = 10.0
_SOON_S = 0.5  # nothing fades in so short a time
_HUNG_FIRST, _HUNG_LEAST = 0.005, 0.0005
_PRIOR_ATTEMPTS = 30.0
_EVENTS = 50.0  # outrun attempts that are remembered
_KEEP = 0.95
_LOST_FIRST = 0.5
_HOPELESS = 2
_AGE_S, _AGE_TIMES = 240.0, 2.0  # guessed: hardly a quick endpoint's slow answer takes as long
_HANGS = 0.02  # below that three attempts in a row hang once in a hundred thousand calls


class Hedging:
    """What is known of one endpoint's second attempts.

    Args:
        burst: Calls whose tokens may be wasted at once; 1 or more.

    `hung` is the share of attempts that hang, as far as is known, and `lost` that of the second
    attempts that lost lately; `tally` counts for people, and decides nothing.
    """

    __slots__ = (
        "_at_s",
        "_attempts",
        "_billed",
        "_burst",
        "_forced_s",
        "_hung",
        "_mean",
        "_under_way",
        "_wasted",
        "hung",
        "lost",
        "tally",
    )

    def __init__(self, burst: float) -> None:
        self._burst = burst
        self._attempts = _PRIOR_ATTEMPTS
        self._hung = _HUNG_FIRST * _PRIOR_ATTEMPTS
        self.hung = _HUNG_FIRST
        self.lost = _LOST_FIRST
        self.tally = HedgeTally()
        self._billed = 0.0
        self._wasted = 0.0
        self._mean = 0.0
        self._at_s = -inf
        self._forced_s = -inf
        self._under_way: dict[int, float] = {}

    @property
    def hopeful(self) -> bool:
        """Whether second attempts mostly win."""
        return self.lost <= 0.5  # noqa: PLR2004 - the half

    def may_follow(self, hedges: int) -> bool:
        """Whether one more may be sent after so many of the same call, as soon as that is late."""
        if hedges < _HOPELESS:
            return hedges < 1 or self.hopeful or self.hung > _HUNG_FIRST
        return self.hopeful and self.hung >= _HANGS

    def follows_after_s(self, hedges: int, slowest_s: float) -> float:
        """Else: the age in seconds at which the call may be sent once more; infinite for never.

        Args:
            hedges: How many were sent of it.
            slowest_s: The slowest healthy answer of the endpoint; 0 if there was none.
        """
        if not slowest_s:
            return inf
        return max(_AGE_S, _AGE_TIMES * slowest_s) * 2.0 ** max(0, hedges - _HOPELESS)

    # -- may one go? -------------------------------------------------------------------------

    def may_go(self, tokens: float, now_s: float) -> bool:
        """Whether a first second attempt that will cost so many tokens may go."""
        if now_s >= self._forced_s + _EVERY_S:
            return True
        faded = self._fade(now_s)
        risk = self.lost * (sum(self._under_way.values()) + tokens)
        allowed = _WASTE * self._billed * faded + self._burst * self._mean
        return self._wasted * faded + risk <= allowed

    def ask_again_s(self, now_s: float) -> float:
        """When one that may not go now may go at the latest."""
        return max(now_s, self._forced_s + _EVERY_S)

    # -- what happens ------------------------------------------------------------------------

    def sent(self, number: int, tokens: float, now_s: float) -> None:
        """A second attempt goes."""
        self._forced_s = now_s
        self._under_way[number] = tokens

    def ended(self, number: int) -> None:
        """A second attempt is over, however it ended."""
        self._under_way.pop(number, None)

    def billed(self, tokens: float, now_s: float) -> None:
        """Any attempt cost so many tokens."""
        if now_s > self._at_s + _SOON_S:
            self._settle(now_s)
        self._billed += tokens
        self._mean += (tokens - self._mean) * (0.05 if self._mean else 1.0)

    def answered(self) -> None:
        """An attempt ended well and outran none."""
        self._attempts += 1.0
        self.hung = max(_HUNG_LEAST, self._hung / self._attempts)

    def won(self, earlier: int) -> None:
        """A second attempt outran so many earlier ones."""
        self._attempts += earlier + 1.0
        self._hung += earlier
        keep = (1.0 - 1.0 / _EVENTS) ** earlier
        self._attempts *= keep
        self._hung *= keep
        self.hung = max(_HUNG_LEAST, self._hung / self._attempts)
        self.lost *= _KEEP

    def wasted(self, tokens: float, now_s: float) -> None:
        """A second attempt lost to an earlier one; it cost so many tokens."""
        self._settle(now_s)
        self._wasted += tokens
        self.lost = _KEEP * self.lost + (1.0 - _KEEP)

    def _settle(self, now_s: float) -> None:
        faded = self._fade(now_s)
        self._billed *= faded
        self._wasted *= faded
        self._at_s = now_s

    def _fade(self, now_s: float) -> float:
        """What is left by now of what was counted."""
        return float(0.5 ** (max(0.0, now_s - self._at_s) / _HALF_LIFE_S))

"""How long an agent's next call will probably take: its own mean, as far as it can be believed.

Law: ``log s = (n * m + k * M) / (n + k)`` with the mean logarithm m of the agent's last n calls,
the mean M of all agents, and ``k = within / between``: the variance of one agent's calls over that
of the agents' means (credibility theory; Buehlmann, ASTIN Bulletin 4, 1967). Where agents are
alike, a few long calls of one say nothing of it, and all are expected to need the same; where they
differ, a few calls tell them apart. Logarithms, because latencies spread by factors.

An agent that makes a crowd of short calls and then long ones is no agent of short calls: of the
seconds that it takes, nearly all are of long ones. So its calls are averaged by their seconds as
well (each counts by its length), and what is expected is the larger of the two, the mean by seconds
taken at two thirds. Lengths of one agent that differ by chance, as latencies do, stay below that.
By calls memory is of the last 32; by seconds it is of as many seconds as 32 typical calls take,
so who wants long calls forgotten has to serve as long with short ones.

M is every agent's until its calls say more; but a newcomer whose first call asks for less output
than newcomers usually do is expected to be served sooner: ``b * (x - X)`` in place of 0 where that
is less, with the logarithm x of the output that the call estimates at most, the mean X of the last
newcomers, and the slope b of times over x by the calls that have ended (least squares, drawn
towards 1/2 as if four calls an octave off had shown that; from 0, where length says nothing of
time, to 1, where it says all). So somebody who asks for a sentence need not wait behind whoever
asks for pages until both have been served. Asking for much says little, as most answers stay far
below their maximum: it counts for nothing, and neither does what an agent asks for that says by a
hint what it is. From the first call that ends on, what was asked for counts as one call does.

Regime: the difference between agents counts only as far as it exceeds what chance makes of it: the
mean square between agents is taken at its lower end, one deviation of the F distribution below. So
at first, and among a few agents, all are held to be alike. Limits: the sums are over the agents
that are known, each with its last calls; who is forgotten no longer counts.
"""

from __future__ import annotations

from math import exp, log, sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentrm_plugins.types.accounts import Account

__all__ = ["NO_LONGER", "ExpectedService"]

NO_LONGER = 1.5  # times the typical call: where a length is no longer taken for chance; guessed

_MEMORY = 32.0  # calls of an agent that count; guessed
_LEAST_S = 1e-3  # what ended sooner gave no service: it hung, or was refused
_ALIKE = 1e4  # the most that k can be
_BY_CHANCE = log(NO_LONGER)
_OCTAVE = log(2.0)
_SLOPE = 0.5  # of a time that is half latency, half output; a guess until calls have shown theirs
_ASKED = 1.0  # calls of its own that outweigh what a newcomer asked for; guessed
_NEWCOMERS = 64.0  # of whom the mean is taken; guessed
_SHOWN = 4.0 * _OCTAVE * _OCTAVE  # how much weighs that guess: four calls an octave from the mean


class ExpectedService:
    """Learns from calls that ended. `mean` is M."""

    __slots__ = (
        *("_agents", "_explained", "_k", "_samples", "_squares", "_sum", "_sum_n2"),
        *("_asked", "_askers", "_sized", "_sized_sum", "_sizes", "_sizes_2", "_sizes_times"),
        *("_slope", "mean"),
    )

    def __init__(self) -> None:
        self._asked = self._askers = 0.0
        self._clear()

    def _clear(self) -> None:
        """Nobody is known, so nothing is."""
        self._agents = 0
        self._samples = 0.0
        self._sum = 0.0
        self._squares = 0.0
        self._explained = 0.0
        self._sum_n2 = 0.0
        self._k = 1.0
        self.mean = 0.0
        self._sized = self._sized_sum = 0.0
        self._sizes = self._sizes_2 = self._sizes_times = 0.0
        self._slope = _SLOPE

    def meet(self, account: Account) -> None:
        """A newcomer that says what it asks for."""
        asks = account.asks
        self._askers = min(self._askers + 1.0, _NEWCOMERS)
        self._asked += (asks - self._asked) / self._askers
        if account.hint is None:
            account.prior = min(0.0, self._slope * (asks - self._asked))

    def learn(self, account: Account) -> bool:
        """Calls of the agent have ended. True if that tells anything.

        Several that ended since the last time are one sample: their mean.
        """
        ended = max(account.calls - account.learnt_calls, 1)
        received_s = account.attained_s - account.learnt_s
        service_s = received_s / ended
        account.learnt_s = account.attained_s
        account.learnt_calls = account.calls
        if service_s < _LEAST_S:
            return False
        sample = log(service_s)
        n, total, squares = account.samples, account.log_sum, account.log_squares
        if n:
            self._uncount(account)
            if n >= _MEMORY:
                keep = 1.0 - 1.0 / _MEMORY
                n, total, squares = n * keep, total * keep, squares * keep
        account.samples = n = n + 1.0
        account.log_sum = total = total + sample
        account.log_squares = squares = squares + sample * sample
        self._agents += 1
        self._samples += n
        self._sum += total
        self._squares += squares
        self._explained += total * total / n
        self._sum_n2 += n * n
        if account.asks:
            self._count_size(account, 1.0)
        self._weigh()
        memory_s = _MEMORY * exp(self.mean)
        keep = memory_s / (memory_s + received_s)
        account.weighed_s = account.weighed_s * keep + received_s
        account.weighed_log = account.weighed_log * keep + received_s * sample
        return True

    def forget(self, account: Account) -> None:
        """The agent is gone."""
        if account.samples:
            self._uncount(account)
        account.samples = account.log_sum = account.log_squares = 0.0
        account.weighed_s = account.weighed_log = 0.0
        self._weigh()

    def log_ratio(self, account: Account) -> float:
        """How long the agent's next call will probably take: the logarithm of its ratio to M.

        What is asked before anything is known so stays comparable with what is asked later.
        """
        n = account.samples
        if not n:
            return account.prior
        asked = account.prior
        if asked:
            asked *= min(self._k, _ASKED)
        by_calls = (account.log_sum - n * self.mean + asked) / (n + self._k)
        by_seconds = self._by_seconds(account)
        return max(by_calls, by_seconds)

    def excess(self, account: Account) -> float:
        """How many times the typical call the agent's take, the typical counted as one of them.

        Or by their seconds, where that is more.
        """
        if not account.samples:
            return 1.0
        by_calls = (account.log_sum + self.mean) / (account.samples + 1.0) - self.mean
        return exp(max(by_calls, self._by_seconds(account)))

    def dump(self) -> list[float]:
        """The state beside the agents' own, for `load`."""
        return [getattr(self, name) for name in self.__slots__]

    def load(self, state: list[float]) -> None:
        """Go on from what `dump` gave."""
        for name, value in zip(self.__slots__, state, strict=True):
            setattr(self, name, value)

    def _by_seconds(self, account: Account) -> float:
        """The logarithm of the ratio to M of the call that a second of the agent's belongs to."""
        believed = account.samples / (account.samples + self._k)
        return believed * (account.weighed_log / account.weighed_s - self.mean) - _BY_CHANCE

    def _count_size(self, account: Account, sign: float) -> None:
        """The agent's calls count (1), or no longer (-1), in how time goes with what is asked."""
        asks, n, total = account.asks, sign * account.samples, sign * account.log_sum
        self._sized += n
        self._sized_sum += total
        self._sizes += n * asks
        self._sizes_2 += n * asks * asks
        self._sizes_times += asks * total

    def _uncount(self, account: Account) -> None:
        """The sums of an agent count no longer."""
        n, total, squares = account.samples, account.log_sum, account.log_squares
        if account.asks:
            self._count_size(account, -1.0)
        self._agents -= 1
        self._samples -= n
        self._sum -= total
        self._squares -= squares
        self._explained -= total * total / n
        self._sum_n2 -= n * n

    def _weigh(self) -> None:
        n, agents = self._samples, self._agents
        if not agents:
            self._clear()
            return
        self.mean = self._sum / n
        self._slope = self._by_size()
        self._k = 1.0
        free = n - agents
        if agents <= 1 or free < 1:
            return
        within = max((self._squares - self._explained) / free, 1e-9)
        between = (self._explained - self._sum * self.mean) / (agents - 1)
        calls = (n - self._sum_n2 / n) / (agents - 1)
        surplus = between / (1.0 + sqrt(2.0 / (agents - 1))) - within
        self._k = min(within * calls / surplus, _ALIKE) if surplus > 0 else _ALIKE

    def _by_size(self) -> float:
        """How the logarithm of a time goes with that of the output asked for."""
        if self._sized < 1.0:  # what rounding leaves of no call
            return _SLOPE
        mean = self._sizes / self._sized
        spread = max(0.0, self._sizes_2 - self._sizes * mean)
        together = self._sizes_times - mean * self._sized_sum
        return min(1.0, max(0.0, (_SHOWN * _SLOPE + together) / (_SHOWN + spread)))

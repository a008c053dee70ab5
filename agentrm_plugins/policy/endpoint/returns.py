"""What comes back of one limit all at once, and when: at a window's end, or at a reset.

Law: a window that was told from a bucket says itself what it gives back and when (see
`window_watch`); else the server's word of when all is back counts, as far as it holds (see
`resets`). A word of another moment says how long a window is, and no more (see `reset_word`). The
bucket expects one such moment at a time; when it has come, what was heard of the time before does
not count any more.

Limits: one moment ahead. The next is expected when the server speaks, when a call goes, or when
somebody waits whose call is of another size.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from agentrm_plugins.policy.endpoint.refill import Refill, RefillEstimator
from agentrm_plugins.policy.endpoint.reset_shape import ResetShape
from agentrm_plugins.policy.endpoint.reset_word import Moment, ResetWord
from agentrm_plugins.policy.endpoint.resets import Resets
from agentrm_plugins.policy.endpoint.rounds import Rounds
from agentrm_plugins.policy.endpoint.window_watch import Shape, WindowWatch
from agentrm_plugins.types.verdicts import MINUTE_S, usual_window_s

if TYPE_CHECKING:
    from agentrm_plugins.policy.bucket import Bucket
    from agentrm_plugins.types.verdicts import ServerLimit

__all__ = ["Returns"]

_FASTER = 1.5  # guessed: so much more came back than a window explains
_STEPS = 2.0  # a reset of so few shows nothing but the rounding
_ALONE, _SURE = 0.05, 2  # guessed: of the window, until its end was seen so often
_OPEN = frozenset({Shape.UNKNOWN, Shape.WINDOW})  # what resets have shown, if they name when


class Returns:
    """The next moment at which much of one limit is back.

    Attributes:
        watch: Whether the server counts in windows.
        resets: The server's own word.
        rounds: How calls go when much is back.
        word: Whether the server's resets are of a moment at which all is back.
        at_s: That moment; infinite: none is expected.
    """

    __slots__ = (
        *("_alone_s", "_asked", "_refill", "_told", "_whole"),
        *("at_s", "resets", "rounds", "watch", "word"),
    )

    def __init__(self) -> None:
        self.watch = WindowWatch()
        self.resets = Resets()
        self.rounds = Rounds()
        self.word = ResetWord()
        self.at_s = inf
        self._refill = RefillEstimator()
        self._told = ResetShape()
        self._alone_s = 0.0  # for so long the first call of a window is alone at most
        self._asked = 0.0  # what a call takes that waits for this
        self._whole = False  # whether that is all

    @property
    def by_resets(self) -> bool:
        """Whether the server's word of when all is back is what counts."""
        return not self.watch.windowed or self._told.shape in _OPEN

    @property
    def is_measured(self) -> bool:
        """Whether the server's figures have shown a bucket's rate and size."""
        return self.watch.shape is Shape.BUCKET and self._refill.known is not None

    @property
    def flows(self) -> bool:
        """Whether resets have shown that units come back one by one, at whatever rate."""
        return self._told.shape is Shape.BUCKET

    def measure(self, limit: ServerLimit, sent_s: float, now_s: float) -> Refill | None:
        """The server named a limit to a request that went at `sent_s`: what its resets have shown.

        That it is so much in such a window; None: not yet.
        """
        most, left, reset_s = limit.limit, limit.remaining, limit.reset_s
        if not most or left is None or reset_s is None:
            return None
        self.rounds.answered(sent_s)
        known = self._refill.observe(most, left, reset_s, limit.step_s)
        step_s, told = self._refill.step_s, self._told
        period_s = (limit.per_s or MINUTE_S) / most + step_s
        # A bucket whose resets grow with what is gone has shown of what they are.
        said = (most, left, reset_s, limit.step_s, period_s, sent_s, now_s)
        if known is None and self.word.observe(*said, self.watch):
            self._found()
            known = None
        if known is None and self.word.moment is not Moment.WHOLE:
            return self._more(most, limit.per_s)
        shape = told.observe(most, left, reset_s, step_s, limit.per_s, sent_s, now_s)
        if shape is Shape.UNKNOWN and known is not None:
            shape = Shape.BUCKET  # the longer the wait, the less is left: no window is so
        if shape is Shape.UNKNOWN or (shape is Shape.BUCKET and known is None):
            return None
        sure = shape is Shape.SLIDING or self.word.kept >= _SURE
        self._alone_s = 0.0 if sure else _ALONE * (limit.per_s or MINUTE_S)
        self.watch.told(shape, told.ends_s)
        if shape is Shape.BUCKET:
            return known
        self.resets.size = most
        return Refill(limit.per_s or usual_window_s(told.longest_s), most)

    def _found(self) -> None:
        """The resets are of another moment than was believed."""
        self.resets = Resets()
        self._told, moment = ResetShape(), self.word.moment
        if moment is Moment.WHOLE:
            self._refill = RefillEstimator()
        self.resets.holds = None if moment is Moment.WHOLE else False
        shape = Shape.WINDOW if moment is Moment.OLDEST else Shape.UNKNOWN
        self.watch.told(shape, sure=False)

    def _more(self, limit: float, per_s: float | None) -> Refill:
        """The resets are of the next that is back: they show the window, where none is named."""
        if per_s is not None:
            return Refill(per_s, limit)
        window_s, word = MINUTE_S, self.word
        if word.moment is Moment.OLDEST:
            return Refill(usual_window_s(word.longest_s), limit)
        if word.moment is Moment.NEXT and word.longest_s > _STEPS * self._refill.step_s:
            window_s = usual_window_s(limit * word.longest_s)
        if word.rate_per_s * window_s > _FASTER * limit:
            window_s = usual_window_s(limit / word.rate_per_s)
        return Refill(window_s, limit)

    def asked(self, amount: float) -> bool:
        """A call of `amount` waits. Says whether that makes another plan."""
        if amount == self._asked:
            return False
        self._asked = amount
        return self.at_s < inf

    def try_s(self, amount: float, now_s: float) -> float:
        """Seconds until a call may try what is not known to be back; 0 where resets are named."""
        return self.watch.try_s(amount, now_s) if self.resets.in_s == inf else 0.0

    def land(self, bucket: Bucket, now_s: float) -> float:
        """What was expected by now is back; gives by how much that raised the account."""
        if self.at_s > now_s:
            return 0.0
        if self._whole:
            self.watch.over(self.at_s)
        if self.resets.at_s == self.at_s:
            self.resets.landed()
        self.at_s = inf
        raised = bucket.land(now_s)
        if self.watch.windowed:
            alone_s = self._alone_s if raised > bucket.level(now_s) / 2 else 0.0
            self.rounds.begin(self.watch.window_s, now_s, alone_s=alone_s)
        return raised

    def expect(self, bucket: Bucket, limit: float, mean: float, now_s: float) -> None:
        """Have the bucket expect what is back next.

        `limit` is what a whole window has, `mean` what a call takes.
        """
        scout = max(1.0, mean, self._asked)
        bucket.shift(0.0, now_s)
        windowed, at_s = self.watch.windowed, self.resets.at_s
        if not windowed or (self.by_resets and at_s < inf):
            self.at_s, self._whole = at_s, True
            if windowed:  # rounds try the word
                there = max(scout, self.resets.there(self.watch.total, limit))
            else:
                there = self.resets.there(self.watch.total, scout)
            bucket.expect_refill(at_s, there)
            return
        self.resets.at_s = inf
        back = self.watch.next_return(limit, scout, now_s)
        level = max(0.0, bucket.level(now_s))
        sliding = self.watch.shape is Shape.SLIDING
        bucket.expect_refill(back.at_s, level + back.amount if sliding else max(level, back.amount))
        self.at_s, self._whole = back.at_s, back.whole

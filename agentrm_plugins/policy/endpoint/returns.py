"""What comes back of one limit all at once, and when: at a window's end, or at a reset.

Law: a window that was told from a bucket says itself what it gives back and when (see
`window_watch`); else the server's word of when all is back counts, as far as it holds (see
`resets`). The bucket expects one such moment at a time; when it has come, what was heard of the
time before does not count any more.

Limits: one moment ahead. The next is expected when the server speaks, when a call goes, or when
somebody waits whose call is of another size.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from agentrm_plugins.policy.endpoint.resets import Resets
from agentrm_plugins.policy.endpoint.window_watch import Shape, WindowWatch

if TYPE_CHECKING:
    from agentrm_plugins.policy.bucket import Bucket

__all__ = ["Returns"]


class Returns:
    """The next moment at which much of one limit is back.

    Attributes:
        watch: Whether the server counts in windows.
        resets: The server's own word.
        at_s: That moment; infinite: none is expected.
    """

    __slots__ = ("_asked", "_whole", "at_s", "resets", "watch")

    def __init__(self) -> None:
        self.watch = WindowWatch()
        self.resets = Resets()
        self.at_s = inf
        self._asked = 0.0  # what a call takes that waits for this
        self._whole = False  # whether that is all

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
        return bucket.land(now_s)

    def expect(self, bucket: Bucket, limit: float, mean: float, now_s: float) -> None:
        """Have the bucket expect what is back next.

        `limit` is what a whole window has, `mean` what a call takes.
        """
        scout = max(1.0, mean, self._asked)
        bucket.shift(0.0, now_s)
        if not self.watch.windowed:
            self.at_s, self._whole = self.resets.at_s, True
            bucket.expect_refill(self.at_s, self.resets.there(self.watch.total, scout))
            return
        self.resets.at_s = inf
        back = self.watch.next_return(limit, scout, now_s)
        level = max(0.0, bucket.level(now_s))
        sliding = self.watch.shape is Shape.SLIDING
        bucket.expect_refill(back.at_s, level + back.amount if sliding else max(level, back.amount))
        self.at_s, self._whole = back.at_s, back.whole

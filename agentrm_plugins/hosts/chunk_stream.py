"""An attempt that gives its answer piece by piece: a stream in a lane, in sync and async code.

The boundary is the first chunk that *says* something to the consumer. `open` fetches up to that one
and keeps back what comes before (empty chunks, a role, a ping, a count): until then the call may go
again, and a further attempt may be sent beside it. `rest` yields them all. With `says=None` nobody
sees a chunk before all have come: the caller only wants the whole.

Each chunk is a beat; one of the opening that says nothing is a ping: the server is there, the
answer no further, so the limit for the first token begins anew with each. Time in which the
consumer does not ask for the next one is idle: it is no silence (see `pauses`). At the end what the
provider counted is charged; of a stream that was cut, what had come.
An error in mid-stream carries the text so far as `text_so_far`.
"""

from __future__ import annotations

from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from weakref import ref

from agentrm_plugins.errors import CallReaped
from agentrm_plugins.hosts.pauses import PAUSE_S
from agentrm_plugins.types.calls import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentrm_plugins.hosts.attempt import Attempt
    from agentrm_plugins.types.calls import Usage

__all__ = ["END", "ChunkStream", "Reading", "Tally"]

END: Any = object()
"""What a source gives when it is at its end."""
_BEAT_S = 0.05
"""How often the core is told of chunks, at most. Guessed: far below any silence that counts."""


class Tally(Protocol):
    """What the chunks of a stream say of their cost."""

    whole: bool
    """Whether the last chunk that has a text was seen."""

    def add(self, chunk: Any) -> None:
        """One more chunk."""

    def usage(self) -> Usage | None:
        """What the whole stream reported; None if it reported nothing."""

    def cut(self) -> Usage | None:
        """What it has cost so far, by what came."""


class Reading(NamedTuple):
    """How an adapter's chunks are read.

    Args:
        tally: Makes what adds up the cost of one attempt.
        text: The text that a chunk says to the consumer; None if it says nothing at all, "" if
            what it says is no text (a call of a tool).
        whole: Whether the consumer sees nothing before all has come.
        empty: Makes the error that a stream which said nothing is, of its chunks; None if it is an
            answer nevertheless.
        counted: Adds a chunk to a tally and gives its text, in one go; None: `text` and `add` do.
    """

    tally: Callable[[Any], Tally]
    text: Callable[[Any], str | None]
    whole: bool = False
    empty: Callable[[list[Any]], Exception | None] | None = None
    counted: Callable[[Any, Any], str | None] | None = None


class ChunkStream:
    """What both kinds share."""

    __slots__ = (
        *("_attempt", "_beaten_s", "_counted", "_first", "_given_s", "_heard", "_lease", "_now"),
        *("_pinged_s", "_reading", "_said", "_shown", "_tally", "_untold", "pulling"),
        "__weakref__",
    )

    def __init__(self, attempt: Attempt, reading: Reading) -> None:
        self._attempt = attempt
        self._lease = attempt.lease
        self._reading = reading
        self._now = attempt.lease.clock
        self._tally = reading.tally(attempt.lease)
        self._counted = reading.counted or self._counts
        self._first: list[Any] = []
        self._said: list[str] = []
        self._heard = False  # something was said in the opening
        self._shown = False  # something that the consumer sees
        self._beaten_s = self._pinged_s = -inf
        self._given_s = inf
        self._untold = 0
        self.pulling = False
        attempt.tally, attempt.stream = self._tally.cut, ref(self)

    def shut(self) -> Any:
        """End the source early: nobody reads on. To be awaited in async code."""
        raise NotImplementedError

    def closed(self) -> None:
        """The source was closed from outside, by a caller who wants no more."""
        if not self.pulling:  # else it was closed on the way out of a fetch
            self._left()

    def _keeps(self, chunk: Any) -> bool:
        """Keep a chunk of the opening. Whether that is to go on."""
        if chunk is END:
            if not self._heard and self._reading.empty is not None:
                error = self._reading.empty(self._first)
                if error is not None:
                    raise error
            return False
        self._first.append(chunk)
        text = self._counted(self._tally, chunk)
        self._heard = self._heard or text is not None
        if text is None or self._reading.whole:
            if text is None:
                self._ping()
            else:
                self._untold += 1
                self._beat(self._now(), visible=False)
            return True
        return False

    def _counts(self, tally: Tally, chunk: Any) -> str | None:
        tally.add(chunk)
        return self._reading.text(chunk)

    def _gives(self, chunk: Any) -> None:
        """A chunk goes to the consumer, that was fetched just now."""
        text = self._counted(self._tally, chunk)
        if text:
            self._said.append(text)
        self._given_s = self._lease.away_s = now_s = self._now()
        self._untold += text is not None
        if now_s - self._beaten_s >= _BEAT_S or not self._shown:
            self._beat(now_s, visible=text is not None)

    def _gives_first(self, chunk: Any) -> None:
        """A chunk of the opening goes to the consumer."""
        text = self._reading.text(chunk)
        if text:
            self._said.append(text)
        self._given_s = self._lease.away_s = now_s = self._now()
        if text is not None and not self._reading.whole:
            self._untold += 1
            self._beat(now_s, visible=True)

    def _asks(self) -> None:
        """The consumer wants the next chunk."""
        lease, now_s = self._lease, self._now()
        if now_s - self._given_s <= PAUSE_S:
            lease.away_s = None
            if not lease.away_told:  # it is looked for who is away only where something is due
                return
        lease.back(now_s)

    def _beat(self, now_s: float, *, visible: bool) -> None:
        """Chunks came: the core is told at once of the first that is seen, else now and then."""
        if now_s - self._beaten_s >= _BEAT_S or (visible and not self._shown):
            self._shown = self._shown or visible
            tokens, self._untold, self._beaten_s = self._untold, 0, now_s
            self._lease.beat(tokens, visible=visible)

    def _ping(self) -> None:
        """A chunk came that says nothing: the core is told, but not of each, that it came.

        A ping says nothing of progress, so it holds back no beat: the first of those begins the
        silence between tokens.
        """
        now_s = self._now()
        if now_s - max(self._beaten_s, self._pinged_s) >= _BEAT_S:
            self._pinged_s = now_s
            self._attempt.lease.beat(ping=True)

    def _tell(self) -> None:
        """It is over: what is untold is told."""
        if self._untold:
            tokens, self._untold = self._untold, 0
            self._attempt.lease.beat(tokens, visible=self._shown)

    def _ended(self) -> None:
        usage = self._tally.usage()
        if usage is None:  # else that says it all
            self._tell()
            usage = self._tally.cut()
        self._attempt.lease.settle(usage)

    def _left(self) -> None:
        """The caller wants no more; of an answer that was whole he has missed nothing."""
        self._tell()
        outcome = Outcome.OK if self._tally.whole else Outcome.CANCELLED
        self._attempt.lease.settle(self._tally.usage() or self._tally.cut(), outcome=outcome)

    def _broken(self, error: BaseException) -> None:
        """It ended in mid-stream.

        Raises:
            CallReaped: A limit was passed, and the error was an ordinary one.
        """
        if isinstance(error, GeneratorExit):
            self._left()
            return
        self._carry(error)
        self._tell()
        self._attempt.lease.fail(error, self._tally.cut())
        try:
            self._attempt.failed(error)
        except CallReaped as reaped:
            self._carry(reaped)
            raise

    def _carry(self, error: BaseException) -> None:
        with suppress(AttributeError, TypeError):  # an exception with slots cannot carry it
            error.text_so_far = "".join(self._said)  # type: ignore[attr-defined]

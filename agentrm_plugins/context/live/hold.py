"""A session's hold on its archive: claimed before a turn, read again when others had it.

Where the store refuses to give the session, a stand-in takes the turns; what it was shown is shown
to the session as soon as the store gives it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from agentrm_plugins.context.live.refusals import note_refusal
from agentrm_plugins.context.live.shared import Shared
from agentrm_plugins.context.live.turn import Turn
from agentrm_plugins.context.live.waking import Woken, blank, continues
from agentrm_plugins.context.plan.bodies import Source
from agentrm_plugins.errors import SessionBusy, StoreError, StoreLocked

__all__ = ["Hold"]


class Hold:
    """Claims one session and reads it again; the session's lock is held for each method.

    Args:
        shared: The session.
        wake: Reads it from the store.
        woken: As it was read first.
    """

    def __init__(self, shared: Shared, wake: Callable[[], Woken], woken: Woken) -> None:
        self._shared = shared
        self._wake = wake
        self._told = list(woken.told)
        self._missed: list[list[Source]] = []
        shared.archive.refusal = woken.refusal

    def take(self, messages: Sequence[Source], now_s: float) -> None:
        """Make the session ours for a turn with this history; its repairs begin with what is told.

        Raises:
            SessionBusy: Another process is at work on it, and has archived what is not in the list.
            StoreError: The store refused and `on_store_error` is "raise".
        """
        shared = self._shared
        self.rouse(now_s)
        self._own(messages)
        shared.transcript.repairs = list(self._told)
        if shared.archive.refusal is not None:
            self._miss(messages)

    @contextmanager
    def telling(self) -> Iterator[None]:
        """While a view is made: with it, what was to be told is; without, the next one tells it."""
        try:
            yield
        except BaseException:
            self._told = list(dict.fromkeys(self._shared.transcript.repairs))
            raise
        self._told = []
        self._shared.archive.told()

    def lost(self) -> None:
        """Another process took the session over: read it again, and claim it anew."""
        self._shared.archive.let_go()
        self._read_again()

    def catch_up(self, now_s: float) -> None:
        """See what another process has archived since, without claiming the session."""
        self.rouse(now_s)
        archive = self._shared.archive
        if archive.refusal is None and archive.clean and archive.moved():
            self.lost()

    def _own(self, messages: Sequence[Source]) -> None:
        """Make the session ours, read again if another process had it."""
        archive = self._shared.archive
        if archive.refusal is not None:
            return
        try:
            try:
                change = archive.claim()
            except SessionBusy as busy:
                seen = self._seen(busy)
                # Where nothing is archived yet, its owner is at its first turn.
                if not seen.state.entries or not continues(seen.state, messages):
                    raise
                change = archive.claim(seen.version)
            if change.stale:
                self._read_again()
            if change.notice:
                self._told.append(change.notice)
            if change.foreign:
                state = self._shared.transcript
                state.foreign, state.handed_over = len(state.entries), change.handed_over
        except StoreError as error:
            # Nothing is written without the session being ours: what is new waits.
            self._shared.last_error = archive.denied = error
            note_refusal(archive.store, error)
            if self._shared.transcript.config.on_store_error == "raise":
                raise

    def _seen(self, busy: SessionBusy) -> Woken:
        """Read what the owner has archived; while it is writing, it is busy and nothing else."""
        try:
            return self._wake()
        except StoreLocked:
            raise busy from None

    def _read_again(self) -> None:
        """Go on with the session as the store has it now."""
        try:
            woken = self._wake()
        except StoreError as error:
            woken = blank(self._shared.transcript.config, error)
        self._replace(woken)

    def _replace(self, woken: Woken) -> None:
        shared = self._shared
        before = shared.transcript
        # A plan that was made for the one before is void; what the provider said still holds.
        woken.state.generation = before.generation + 1
        woken.state.takes_turns = before.takes_turns
        if before.ceiling is not None:
            woken.state.ceiling = min(before.ceiling, woken.state.ceiling or before.ceiling)
        shared.transcript = woken.state
        shared.archive.refusal = woken.refusal
        shared.archive.read_again(woken.version)
        shared.recaller.renew()
        self._told = [*self._told, *woken.told]

    def rouse(self, now: float) -> None:
        """Where the store refused to give the session, ask again, and tell it what it missed."""
        shared = self._shared
        if shared.archive.refusal is None:
            return
        try:
            woken = self._wake()
        except StoreError as error:
            shared.last_error = shared.archive.refusal = error
            return
        self._replace(woken)
        while self._missed:
            self._own(self._missed[0])
            Turn(shared, self._missed[0]).take((), now)
            del self._missed[0]

    def _miss(self, messages: Sequence[Source]) -> None:
        """Remember a history that was shown while the store refused."""
        last = self._missed[-1] if self._missed else []
        if self._missed and list(messages[: len(last)]) == last:
            self._missed.pop()
        self._missed.append(list(messages))

"""Recall with its archive: look widely, read the best passages' texts, rank, write the block.

The terms of a session's passages are kept in memory while it lives, so a look-up costs a turn a
fraction of a millisecond; they are read from the archive once, at the first look-up. Those
of 50,000 passages take about 70 MB.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from agentrm_plugins.context.live.asked import Ask, Looked, asking_in, beside, narrowed
from agentrm_plugins.context.live.meaning import Meaning
from agentrm_plugins.context.live.texts import Texts, text_in
from agentrm_plugins.context.notes.note import TOOLS
from agentrm_plugins.context.notes.text import Passage, terms
from agentrm_plugins.context.plan.entry import Entry, Recalled
from agentrm_plugins.context.plan.lookups import told_text
from agentrm_plugins.context.plan.reading import cut_up
from agentrm_plugins.context.plan.recalls import allowed_tokens
from agentrm_plugins.context.plan.shares import recall_room
from agentrm_plugins.context.plan.transcript import Transcript
from agentrm_plugins.context.recall.found import (
    LEAST_RIVAL,
    LEAST_TELLING,
    Later,
    Told,
    Unit,
    units_of,
    weighed,
)
from agentrm_plugins.context.recall.index import MOST_STEPS, Index
from agentrm_plugins.context.recall.named import Named
from agentrm_plugins.context.recall.paging import (
    Found,
    assembled,
    frame_tokens,
    told_already,
    visible,
    worthy,
)
from agentrm_plugins.context.recall.query import query_of
from agentrm_plugins.context.recall.rank import (
    Candidate,
    Corpus,
    Hit,
    fused,
    ranked,
    weights_of,
)
from agentrm_plugins.context.recall.times import SAYING, Times
from agentrm_plugins.context.recall.when import Stretch, stretch_of
from agentrm_plugins.context.recall.wider import (
    again,
    all_weights,
    asked_without,
    by_itself,
    dated,
    found_little,
    most_covered,
    rarest_of,
)
from agentrm_plugins.context.stores.base import ColdStore, Row, SessionKey
from agentrm_plugins.types.message import plain_text

__all__ = ["Recaller"]

COARSE, READ = 200, 64
"""Passages that are ranked by their terms, and messages whose texts are read for the last order and
for the block. Measured on half of LoCoMo."""
_AT_ONCE, _MOST_AT_ONCE = 50, 500
"""Passages that are entered in one slice, and in a turn. About 1 and 10 ms."""
LEAST_PASSAGE = 20
"""Tokens of a short message: no more are read than could be shown. Guessed."""
BESIDE_STEPS = 2_000
"""Places of terms that are visited for a message that does not ask. About 0.3 ms."""
TIGHT = 500
"""Tokens of room: with fewer, what may be newer comes before what stands around the older; with
more only what is sure to be newer does, or would not be shown by itself. Guessed."""
_MOST_QUEUED = 2_000
"""Passages of an old archive that are embedded after one wake. Guessed."""


class Recaller:
    """Looks things up in one session's archive."""

    def __init__(self, key: SessionKey, store: ColdStore, embeddings: Any | None) -> None:
        self._key = key
        self._store = store
        self._meaning = None if embeddings is None else Meaning(key, store, embeddings)
        self._lock = threading.Lock()
        self._index: Index | None = None
        self._fresh: dict[int, tuple[str, Sequence[Passage]]] = {}
        self._begun: set[int] = set()
        self._texts = Texts(key, store)
        self._times = Times()
        self.failed: Exception | None = None

    def news(self) -> list[str]:
        """Tell of damaged messages that were met since the last time."""
        return self._texts.news()

    @property
    def waiting(self) -> bool:
        """Whether passages wait to be embedded."""
        return self._meaning is not None and self._meaning.waiting

    def remember(self, entries: Sequence[Entry], cut: Mapping[int, Sequence[Passage]]) -> None:
        """Take messages that were archived and cut into passages."""
        with self._lock:
            if self._index is not None:  # the archive has them; before a look-up nothing needs them
                self._fresh |= {e.seq: (e.role, cut[e.seq]) for e in entries if e.seq in cut}
        if self._meaning is None:
            return
        for entry in entries:
            text = told_text(entry.message) if entry.message is not None else ""
            self._meaning.take(
                ((entry.seq, piece.start), text[piece.start : piece.stop])
                for piece in cut.get(entry.seq, ())
            )

    def release(self, entry: Entry) -> None:
        """Keep the text of a message that leaves memory, where there are look-ups at all."""
        if self._index is not None and entry.message is not None:
            self._texts.keep(entry.seq, told_text(entry.message))

    def settle(self, pause: Callable[[], None]) -> None:
        """Enter what was remembered: in the background and in slices, so that no look-up has to."""
        while True:
            with self._lock:
                if self._index is None or not self._fresh:
                    return
                seq, (role, pieces) = next(iter(self._fresh.items()))
                self._index.add(seq, role, pieces[:_AT_ONCE], more=seq in self._begun)
                self._begun.add(seq)
                if pieces[_AT_ONCE:]:
                    self._fresh[seq] = (role, pieces[_AT_ONCE:])
                else:
                    del self._fresh[seq]
            pause()

    def rewind(self, seq: int) -> None:
        """Forget the messages from `seq` on: the conversation was taken back to there."""
        with self._lock:
            self._fresh = {at: made for at, made in self._fresh.items() if at < seq}
            self._begun = {at for at in self._begun if at < seq}
            self._texts.rewind(seq)
            self._times.cut(seq)
            if self._index is not None:
                self._index.cut(seq)
        if self._meaning is not None:
            self._meaning.rewind(seq)

    def renew(self) -> None:
        """Forget what is known of the archive: it is read again at the next look-up."""
        with self._lock:
            self._index, self._fresh, self._begun = None, {}, set()
            self._texts.renew()
            self._times = Times()
        if self._meaning is not None:
            self._meaning.renew()

    def flush(self, least: int = 1) -> Exception | None:
        """Embed what waits, while at least so many wait; what is refused waits on."""
        if self._meaning is None:
            return None
        try:
            self._meaning.flush(least)
        except Exception as error:  # noqa: BLE001 - recall by words stands in for any failure
            self.failed = error
            return error
        return None

    def _queue_missing(self, index: Index) -> None:
        """Queue passages of the archive that have no vector: it was made without embeddings."""
        if self._meaning is None:
            return
        pieces = {(one.seq, one.start): one for one in index.all()}
        missing = self._meaning.missing(pieces)[:_MOST_QUEUED]
        texts = self._store.read(self._key, sorted({seq for seq, _ in missing}))
        self._meaning.take(
            (place, text_in(texts[place[0]])[place[1] : pieces[place].stop])
            for place in missing
            if place[0] in texts
        )

    def for_task(
        self, state: Transcript, task: int, spare_tokens: int, *, least: bool = True
    ) -> Recalled | None:
        """Look up what the user message at `task` asks about; None when nothing fits.

        Args:
            state: The session.
            task: Place of the user message.
            spare_tokens: What of the budget is free: a question may have that beyond its share.
            least: Whether its share is there in any case, by a compaction.
        """
        room_tokens, allowed = recall_room(state), allowed_tokens(state)
        message = state.entries[task].message
        if message is None:
            return None
        text = plain_text(message)
        query = query_of(text)
        if len(query.terms) < 2:  # noqa: PLR2004 - "and its port?" leans on what was said before
            before = tuple(t for t in self._before(state, task) if t not in query.terms)
            query = replace(query, terms=(*query.terms, *before), leans=before)
        most = min(spare_tokens, allowed)
        if not least:
            room_tokens = min(room_tokens, spare_tokens)
        ask = Ask(query, text, room_tokens, task, visible(state))
        if ask.asks and most > room_tokens:
            ask = replace(ask, room_tokens=most, short_tokens=room_tokens)
        elif not ask.asks:
            ask = beside(ask, min(recall_room(state), spare_tokens))
        return self._look_up(state, ask)

    def for_query(self, state: Transcript, text: str, room_tokens: int) -> Recalled | None:
        """Look up a query of the model or the user in the whole archive."""
        return self._look_up(state, Ask(query_of(text), text, room_tokens))

    def _before(self, state: Transcript, task: int) -> tuple[str, ...]:
        for place in range(task - 1, -1, -1):
            entry = state.entries[place]
            if entry.role == "user" and entry.message is not None:
                return query_of(plain_text(entry.message)).terms[:8]
        return ()

    def _look_up(self, state: Transcript, ask: Ask) -> Recalled | None:
        entries = state.entries
        asked_at = entries[min(ask.end(state), len(entries) - 1)].at_s if entries else 0.0
        stretch = stretch_of(ask.text, asked_at)
        if stretch is not None:
            without = asked_without(ask.query, terms(stretch.said))
            ask = replace(ask, query=replace(ask.query, terms=without, each=True))
        if not ask.query.terms and self._meaning is None and stretch is None:
            return None
        asking = asking_in(state) if ask.free else ask.anchor
        with self._lock, self._index_of().leaving_out(asking):
            looked = self._looked(state, ask, stretch, asking)
        texts = self._texts.read(state, looked.best)
        units = [self._found(state, unit, texts) for unit in looked.best[:READ]]
        named = Named("" if ask.asks else ask.text, partial(self._whole, state))
        return self._block(state, ask, looked, weighed(ask.query, units), texts, named)

    def _whole(self, state: Transcript, seq: int) -> str:
        return self._texts.of(state, (seq,)).get(seq, "")

    def _looked(self, state: Transcript, ask: Ask, stretch: Stretch | None, asking: int) -> Looked:
        """Rank what may be shown; the lock is held."""
        query, end = ask.query, ask.end(state)
        said, skip = self._times, ask.skip
        said.take(state.entries)

        def carrying(places: Iterable[int]) -> set[int]:
            found = said.talk_in(places) - skip
            found.discard(asking)
            return found if max(found, default=-1) < end else {at for at in found if at < end}

        asks = ask.free or ask.asks
        most = min(READ if asks else READ // 2, 8 + ask.room_tokens // LEAST_PASSAGE)
        index = self._index_of()
        steps = MOST_STEPS if asks else BESIDE_STEPS
        wide, corpus = self._search(index, query.terms, min(COARSE, 3 * most), end, steps)
        hits = ranked(query, wide, corpus)
        hits = self._with_meaning(ask.text, hits, index, end)
        hits = by_itself(query, hits, index, most, end)
        weights = all_weights(query, corpus) if ask.asks else weights_of(query.terms, corpus)
        if ask.asks and found_little(wide, weights, corpus):
            hits = again(query, hits, index, most, end)
        if stretch is not None:
            hits = dated(hits, said, end, stretch, index)
        hits = [hit for hit in hits if hit.candidate.seq != asking]
        best, top = units_of(hits, index, carrying, skip, most)
        shown = self._shown(state, ask, corpus, index)
        return Looked(best, top, shown, weights, most_covered(wide), rarest_of(query, corpus))

    @staticmethod
    def _block(
        state: Transcript,
        ask: Ask,
        looked: Looked,
        found: list[Found],
        texts: Mapping[int, str],
        named: Named,
    ) -> Recalled | None:
        """Write what was found, and within its share as well where it has more."""
        query, room_tokens = ask.query, ask.room_tokens
        seen = max([o.covered for o in looked.shown if o.covered >= LEAST_TELLING], default=0.0)
        if not ask.free and not ask.asks and 0 < looked.covered <= seen:
            room_tokens //= 2  # the talk goes on about what is in view
        if not ask.free and told_already(state, query, looked.weights, found):
            return None
        said = [one for one in found if state.entries[one.key[0]].role in SAYING]
        told = [Told(one.key[0], one.hit.covered, one.text) for one in said]
        view = looked.shown
        follows, end = state.notes.later, ask.end(state)
        later = Later(query, [*view, *told], follows, end, view, named.anothers)
        fit = named.first(list(worthy(state, query, found, ask.anchor, looked.top)))
        room_tokens = named.room(fit, later, frame_tokens(state), room_tokens, ask.whole_tokens)
        if (less := narrowed(ask, looked, fit)) is not ask:
            ask, room_tokens = less, less.room_tokens
        tight = (ask.short_tokens or room_tokens) < TIGHT
        by_themselves = frozenset[tuple[int, int]]() if tight else {one.key for one in fit}
        newer = partial(later.rivals, told=found, free=by_themselves)
        made = assembled(state, query, fit, room_tokens, ask.anchor, texts, later, newer)
        if made is not None and ask.short_tokens and made.tokens > ask.short_tokens:
            short = assembled(state, query, fit, ask.short_tokens, ask.anchor, texts, later, newer)
            if short is not None:
                made.short, made.short_tokens = short.text, short.tokens
        return made

    # -- the index --------------------------------------------------------------------------

    def _index_of(self) -> Index:
        if self._index is None:
            read = Index()
            for seq, role, pieces in self._store.passages(self._key):
                read.add(seq, role, pieces)
            self._index = read
            self._queue_missing(read)
        long = {}
        for seq, (role, fresh) in self._fresh.items():
            if len(fresh) > _MOST_AT_ONCE:  # `settle` comes to it: nobody waits for so much
                long[seq] = (role, fresh)
            else:
                self._index.add(seq, role, fresh, more=seq in self._begun)
        self._fresh = long
        return self._index

    def _search(
        self, index: Index, terms: Sequence[str], limit: int, end: int, steps: int
    ) -> tuple[list[Candidate], Corpus]:
        found, corpus = index.search(terms, limit, steps)
        return [one for one in found if one.seq < end], corpus

    def _with_meaning(self, text: str, hits: list[Hit], index: Index, end: int) -> list[Hit]:
        if self._meaning is None:
            return hits
        try:
            near = self._meaning.near(text, READ, end)
        except Exception as error:  # noqa: BLE001 - recall by words stands in for any failure
            self.failed = error
            return hits
        made = {
            (seq, start): Hit(piece, 0.0, 0.0)
            for seq, start in near for piece in index.of(seq) if piece.start == start
        }  # fmt: skip
        return fused(hits, near, made)

    @staticmethod
    def _shown(state: Transcript, ask: Ask, corpus: Corpus, index: Index) -> list[Told]:
        """Give what messages in view tell of what is asked, but for that which asks."""
        weights = weights_of(ask.query.terms, corpus)
        whole = sum(weights.values()) or 1.0
        holding = index.covering(weights, ask.skip)
        for seq in index.missing(ask.skip - {ask.anchor}):
            words = _terms_in(state.entries[seq])
            holding[seq] = sum([weight for term, weight in weights.items() if term in words])
        found = []
        for seq in sorted([seq for seq, held in holding.items() if held / whole >= LEAST_RIVAL]):
            entry = state.entries[seq]
            message = entry.message
            if message is not None and entry.role not in TOOLS and seq != ask.anchor:
                said = message.content
                if message.tool_calls or not isinstance(said, str):  # no call for nearly all
                    said = told_text(message)
                found.append(Told(seq, holding[seq] / whole, said))
        return found

    # -- texts ------------------------------------------------------------------------------

    @staticmethod
    def _found(state: Transcript, unit: Unit, texts: Mapping[int, str]) -> Found:
        text = texts.get(unit.seq, "")
        tokens = state.entries[unit.seq].tokens
        if unit.stop < len(text) or unit.start:
            said = text[unit.start : unit.stop]
            tokens = tokens * len(said) // max(1, len(text)) + 2
            return Found(unit.hit, said, tokens, (unit.seq, unit.start))
        return Found(unit.hit, text, tokens, (unit.seq, unit.start))

    def cut(self, state: Transcript, row: Row, most: int) -> str:
        """Give a message's text, its middle left out when it is longer than `most` tokens."""
        whole = text = self._texts.text(row, plain_text)
        if not whole and row.body and self._texts.is_damaged(row.seq):
            return f"Message {row.seq} is damaged in the archive: it is not what was said."
        keep = len(whole)
        while keep and state.counter.text(text) > most:
            keep = keep * 4 // 5
            ends = max(1, keep // 2)
            text = f"{whole[:ends]}\n[…]\n{whole[len(whole) - ends :]}"
        return text if keep or not whole else f"[{row.tokens} tokens; too long for {most}]"


def _terms_in(entry: Entry) -> frozenset[str]:
    return frozenset(term for piece in cut_up(entry) for term in piece.terms)

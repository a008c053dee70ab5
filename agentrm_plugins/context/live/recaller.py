"""Recall with its archive: ask the store, read the passages' texts, rank, write the block."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from agentrm_plugins.context.notes.text import Passage
from agentrm_plugins.context.plan.bodies import body_of, message_of
from agentrm_plugins.context.plan.transcript import Entry, Recalled, Session
from agentrm_plugins.context.recall.paging import Found, assembled, source_turn, visible
from agentrm_plugins.context.recall.rank import Candidate, Hit, Query, fused, query_of, ranked
from agentrm_plugins.context.stores.base import ColdStore, Row, SessionKey
from agentrm_plugins.errors import StoreCorrupt
from agentrm_plugins.types.message import plain_text

__all__ = ["RECALL_TOOL", "Recaller", "asked_for", "row_of"]

COARSE, READ = 24, 14
_NEIGHBOUR_CHARS = 300
_MOST_WAITING = 4_000
"""Passages that wait for a semantic index which refuses: about 1.5 MB."""


RECALL_TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "recall",
        "description": (
            "Search the archive of this conversation, which holds every earlier message word for "
            "word. Use it when something said, decided or returned by a tool earlier is not in "
            "view. Give the words, names, numbers or dates to look for, or the number of a message."
        ),
        "parameters": {
            "type": "object",
            "properties": {
                "query": {"type": "string", "description": "What to look for."},
                "message": {"type": "integer", "description": "Number of a message to read."},
            },
            "required": [],
        },
    },
}


def asked_for(arguments: str | Mapping[str, Any]) -> tuple[str, int | None]:
    """Read a call's arguments as the model wrote them: what to look for, or which message."""
    try:
        given = json.loads(arguments) if isinstance(arguments, str) else dict(arguments)
    except (ValueError, RecursionError):
        given = {"query": arguments}
    if not isinstance(given, dict):
        given = {"query": str(given)}
    place = given.get("message")
    whole = isinstance(place, int) and not isinstance(place, bool)
    return str(given.get("query") or ""), place if whole else None


def row_of(entry: Entry) -> Row:
    """Write a message as a row of the archive."""
    if entry.message is None:  # pragma: no cover - bodies are kept until they are archived
        raise AssertionError(f"message {entry.seq} left memory before it was archived")
    body = body_of(entry.message)
    return Row(entry.seq, entry.role, body, entry.digest, entry.tokens, entry.at_s)


class Recaller:
    """Looks things up in one session's archive."""

    def __init__(self, key: SessionKey, store: ColdStore, semantic: Any | None) -> None:
        self._key = key
        self._store = store
        self._semantic = semantic
        self._waiting: list[tuple[tuple[int, int, int], str]] = []
        self.failed: Exception | None = None

    @property
    def waiting(self) -> bool:
        """Whether passages wait for the semantic index."""
        return bool(self._waiting)

    def remember(self, entries: Sequence[Entry], cut: Mapping[int, Sequence[Passage]]) -> None:
        """Keep messages for the semantic index, if there is one, until `flush`."""
        if self._semantic is None:
            return
        found = []
        for entry in entries:
            text = plain_text(entry.message) if entry.message is not None else ""
            found += [
                ((entry.seq, piece.start, piece.stop), text[piece.start : piece.stop])
                for piece in cut.get(entry.seq, ())
            ]
        self._waiting = (self._waiting + found)[-_MOST_WAITING:]

    def flush(self) -> Exception | None:
        """Give the semantic index what waits for it; what it refuses waits on."""
        if self._semantic is None or not self._waiting:
            return None
        given, self._waiting = self._waiting, []
        try:
            self._semantic.add(tuple(self._key), given)
        except Exception as error:  # noqa: BLE001 - recall by words stands in for any failure
            self._waiting, self.failed = given + self._waiting, error
            return error
        return None

    def for_task(self, state: Session, task: int, room_tokens: int) -> Recalled | None:
        """Look up what the user message at `task` asks about; None when nothing fits."""
        message = state.entries[task].message
        if message is None:
            return None
        text = plain_text(message)
        query = query_of(text)
        if len(query.terms) < 2:  # noqa: PLR2004 - "and its port?" leans on what was said before
            query = replace(query, terms=(*query.terms, *self._before(state, task)))
        room = room_tokens if query.asks else room_tokens // 2
        return self._look_up(state, query, text, room, task, visible(state))

    def for_query(self, state: Session, text: str, room_tokens: int) -> Recalled | None:
        """Look up a query of the model or the user in the whole archive."""
        return self._look_up(state, query_of(text), text, room_tokens, -1, frozenset())

    def _before(self, state: Session, task: int) -> tuple[str, ...]:
        for entry in reversed(state.entries[:task]):
            if entry.role == "user" and entry.message is not None:
                return query_of(plain_text(entry.message)).terms[:8]
        return ()

    def _look_up(
        self,
        state: Session,
        query: Query,
        text: str,
        room_tokens: int,
        anchor: int,
        skip: frozenset[int],
    ) -> Recalled | None:
        if not query.terms:
            return None
        candidates, corpus = self._store.search(self._key, query.terms, COARSE, skip)
        end = anchor if anchor >= 0 else len(state.entries)
        first = ranked(query, [c for c in candidates if c.seq < end], corpus)[:READ]
        rows = self._rows(state, first)
        texts = {seq: _text_in(row) for seq, row in rows.items()}
        hits = ranked(query, [_with_text(hit.candidate, texts) for hit in first], corpus)
        if self._semantic is not None:
            hits = self._with_semantic(text, hits, (end, skip, texts))
        found = self._found(state, hits, texts, skip)
        return assembled(state, query, found, room_tokens, anchor, texts)

    def _rows(self, state: Session, hits: Sequence[Hit]) -> dict[int, Row]:
        wanted = {hit.candidate.seq for hit in hits}
        for hit in hits[:4]:
            seq = hit.candidate.seq
            wanted |= {s for s in (seq - 1, seq + 1) if 0 <= s < len(state.entries)}
        for hit in hits:
            if hit.candidate.role in {"tool", "function"}:
                turn = source_turn(state, state.entries[hit.candidate.seq])
                if turn is not None:
                    wanted.add(turn.seq)
        return self._store.read(self._key, sorted(wanted))

    def _with_semantic(
        self,
        text: str,
        hits: list[Hit],
        bounds: tuple[int, frozenset[int], dict[int, str]],
    ) -> list[Hit]:
        end, skip, texts = bounds
        try:
            near = self._semantic.search(tuple(self._key), text, READ) if self._semantic else []
        except Exception as error:  # noqa: BLE001 - recall by words stands in for any failure
            self.failed = error
            return hits
        near = [place for place in near if place[0] < end and place[0] not in skip]
        missing = sorted({seq for seq, _, _ in near if seq not in texts})
        for seq, row in self._store.read(self._key, missing).items():
            texts[seq] = _text_in(row)
        known = {(hit.candidate.seq, hit.candidate.start): hit for hit in hits}
        best = hits[0].score if hits else 1.0
        for seq, start, stop in near:
            if (seq, start) not in known and seq in texts:
                made = Candidate(seq, start, stop, "", (), texts[seq][start:stop])
                known[seq, start] = Hit(made, best * 0.5, 1.0)
        order = fused(
            [(hit.candidate.seq, hit.candidate.start) for hit in hits],
            [(seq, start) for seq, start, _ in near if (seq, start) in known],
        )
        # The fused order decides; scores only have to pass the floor that words alone would set.
        return [replace(known[key], score=best, covered=1.0) for key in order]

    @staticmethod
    def _found(
        state: Session, hits: Sequence[Hit], texts: dict[int, str], skip: frozenset[int]
    ) -> list[Found]:
        found = []
        for place, hit in enumerate(hits):
            seq, text = hit.candidate.seq, hit.candidate.text
            if not text:
                continue
            before = after = ""
            if place < 3:  # noqa: PLR2004 - neighbours of the best few
                if seq + 1 not in skip and seq + 1 < len(state.entries):
                    after = texts.get(seq + 1, "")[:_NEIGHBOUR_CHARS]
                if seq - 1 not in skip and seq > 0:
                    before = texts.get(seq - 1, "")[:_NEIGHBOUR_CHARS]
            found.append(Found(hit, text, before, after))
        return found

    def cut(self, state: Session, row: Row, most: int) -> str:
        """Give a message's text, its middle left out when it is longer than `most` tokens."""
        whole = text = _text_in(row)
        keep = len(whole)
        while keep and state.counter.text(text) > most:
            keep = keep * 4 // 5
            ends = max(1, keep // 2)
            text = f"{whole[:ends]}\n[…]\n{whole[len(whole) - ends :]}"
        return text if keep or not whole else f"[{row.tokens} tokens; too long for {most}]"


def _text_in(row: Row) -> str:
    """Read an archived message's text; one that is damaged has none."""
    try:
        return plain_text(message_of(row.body))
    except StoreCorrupt:
        return ""


def _with_text(candidate: Candidate, texts: dict[int, str]) -> Candidate:
    text = texts.get(candidate.seq, "")[candidate.start : candidate.stop]
    return replace(candidate, text=text)

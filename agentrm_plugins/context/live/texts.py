"""Archived messages and their texts: written as rows, read back, kept from look-up to look-up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from agentrm_plugins.context.plan.align import digest_of
from agentrm_plugins.context.plan.bodies import body_of, identity_of, message_of
from agentrm_plugins.context.plan.entry import Entry
from agentrm_plugins.context.plan.lookups import told_text
from agentrm_plugins.context.plan.transcript import Transcript
from agentrm_plugins.context.recall.found import Unit
from agentrm_plugins.context.recall.lines import source_turn
from agentrm_plugins.context.stores.base import ColdStore, Row, SessionKey
from agentrm_plugins.errors import StoreCorrupt
from agentrm_plugins.types.message import Message

__all__ = ["WRONG_ROLE", "Texts", "message_in", "row_of", "text_in"]

_KEPT_CHARS = 200_000
"""Of texts that are kept from look-up to look-up: about a thousand chat messages. Guessed."""
WRONG_ROLE = "its speaker beside it is damaged, and was read from the message itself"
"""The role stands in the body too, which has a checksum."""


def row_of(entry: Entry) -> Row:
    """Write a message as a row of the archive."""
    if entry.message is None:  # pragma: no cover - bodies are kept until they are archived
        raise AssertionError(f"message {entry.seq} left memory before it was archived")
    body = body_of(entry.message) if entry.body is None else entry.body
    return Row(entry.seq, entry.role, body, entry.digest, entry.tokens, entry.at_s)


def message_in(row: Row) -> Message:
    """Read an archived message.

    Raises:
        StoreCorrupt: It cannot be read, or is not what was archived.
    """
    message = message_of(row.body)
    # The second one is the digest where a framework's own data is archived beside the message.
    if row.digest != digest_of(row.body) and identity_of(message) != row.digest:
        raise StoreCorrupt("its text is not what was archived")
    return message


def text_in(row: Row, read: Callable[[Message], str] = told_text) -> str:
    """Read an archived message's text; one that is damaged has none.

    Args:
        row: The message.
        read: Gives what of it: what can be found, or `plain_text` for all of it.
    """
    try:
        return read(message_in(row))
    except StoreCorrupt:
        return ""


class Texts:
    """The texts of one session's messages: of those in memory, and of the archive. Not thread-safe.

    Args:
        key: Whose they are.
        store: Where the others are read.
    """

    def __init__(self, key: SessionKey, store: ColdStore) -> None:
        self._key = key
        self._store = store
        self._known: dict[int, str] = {}
        self._kept = 0
        self._damaged: dict[int, bool] = {}
        self._mended: dict[int, bool] = {}

    def news(self) -> list[str]:
        """Tell of damaged messages that were met since, of each once."""
        new = [seq for seq, told in self._damaged.items() if not told]
        self._damaged.update(dict.fromkeys(new, True))
        mended = [seq for seq, told in self._mended.items() if not told]
        self._mended.update(dict.fromkeys(mended, True))
        return [
            f"archive: message {seq} is damaged, and left out of what is recalled" for seq in new
        ] + [f"archive: message {seq}: {WRONG_ROLE}" for seq in mended]

    def text(self, row: Row, read: Callable[[Message], str] = told_text) -> str:
        """Read a message's text; "" of one that is damaged, which `news` tells of."""
        try:
            message = message_in(row)
        except StoreCorrupt:
            self._damaged.setdefault(row.seq, False)
            return ""
        if message.role != row.role:
            self._mended.setdefault(row.seq, False)
        return read(message)

    def is_damaged(self, seq: int) -> bool:
        """Whether a message that was read is not what was archived."""
        return seq in self._damaged

    def rewind(self, seq: int) -> None:
        """Forget the messages from `seq` on."""
        self._known = {at: text for at, text in self._known.items() if at < seq}
        self._kept = sum(map(len, self._known.values()))
        self._damaged = {at: told for at, told in self._damaged.items() if at < seq}
        self._mended = {at: told for at, told in self._mended.items() if at < seq}

    def keep(self, seq: int, text: str) -> None:
        """Keep the text of a message that leaves memory: it is read again more often than others.

        The oldest go where there are too many.
        """
        if seq not in self._known:
            self._known[seq] = text
            self._kept += len(text)
            while self._kept > _KEPT_CHARS:
                self._kept -= len(self._known.pop(next(iter(self._known))))

    def renew(self) -> None:
        """Forget all."""
        self._known, self._kept = {}, 0

    def read(self, state: Transcript, units: Sequence[Unit]) -> dict[int, str]:
        """Give the texts of what was found, and of the turns that a tool's output belongs to."""
        wanted = {unit.seq for unit in units}
        for seq in list(wanted):
            if state.entries[seq].role in {"tool", "function"}:
                turn = source_turn(state, state.entries[seq])
                if turn is not None:
                    wanted.add(turn.seq)
        return self.of(state, wanted)

    def of(self, state: Transcript, wanted: Collection[int]) -> dict[int, str]:
        """Give the texts of messages by place."""
        texts = {}
        for seq in sorted(wanted):
            message = state.entries[seq].message
            if message is not None:
                texts[seq] = told_text(message)
            elif seq in self._known:
                texts[seq] = self._known[seq]
        missing = sorted(set(wanted) - texts.keys())
        if missing:
            rows = self._store.read(self._key, missing)
            read = {seq: self.text(row) for seq, row in rows.items()}
            texts |= read
            for seq, text in read.items():
                self.keep(seq, text)
        return texts

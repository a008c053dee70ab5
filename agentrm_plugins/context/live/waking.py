"""A session read back from its archive: its saved state, and what was archived after it."""

from __future__ import annotations

from dataclasses import dataclass

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.plan.freeze import loaded
from agentrm_plugins.context.plan.transcript import Entry, Session, message_of
from agentrm_plugins.context.stores.base import ColdStore, Row, SessionKey
from agentrm_plugins.counting.encodings import counter_for
from agentrm_plugins.errors import StoreCorrupt
from agentrm_plugins.types.message import Message, ToolCall

__all__ = ["Woken", "blank", "woken"]

_DAMAGED = "[the archived text of this message is damaged]"


@dataclass(frozen=True, slots=True)
class Woken:
    """A session's state, and in words what was mended when it was read."""

    state: Session
    told: tuple[str, ...] = ()


def blank(config: ContextConfig) -> Woken:
    """A session of which nothing is known."""
    return Woken(Session(config, counter_for(config.model)))


def woken(key: SessionKey, store: ColdStore, config: ContextConfig) -> Woken:
    """Read a session. A saved state that cannot be read is made again from the messages.

    Raises:
        StoreError: The store refused.
    """
    state, told = blank(config).state, []
    frozen = store.load_state(key)
    if frozen is not None:
        try:
            state = loaded(frozen, config, state.counter)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            state = blank(config).state
            told.append(
                f"archive: the saved state cannot be read ({type(error).__name__}: "
                f"{str(error)[:80]}); it is made again from the archived messages"
            )
    return Woken(_caught_up(key, store, state, told), tuple(told))


def _caught_up(key: SessionKey, store: ColdStore, state: Session, told: list[str]) -> Session:
    """Read back hot bodies, and messages archived after the state was saved (a crash)."""
    there = store.digests(key)
    same = 0
    for entry, (seq, digest) in zip(state.entries, there, strict=False):
        if (entry.seq, entry.digest) != (seq, digest):
            break
        same += 1
    if same < len(state.entries):
        # The saved state tells of a branch that was left since: its notes may not hold.
        state = Session(state.config, state.counter)
        same = 0
    if not there:
        return state
    later = [seq for seq, _ in there[same:]]
    hot = [e.seq for e in state.entries if e.seq >= state.first_hot or e.seq == state.pinned]
    rows = store.read(key, [*hot, *later])
    open_places = set(store.unindexed(key, 1 << 30))
    for entry in state.entries:
        entry.indexed = entry.seq not in open_places
        if entry.seq in rows and (entry.seq in hot):
            entry.message = _message_in(rows[entry.seq], told, entry)
    for seq in later:
        message = _message_in(rows[seq], told)
        state.entries.append(_entry_of(state, rows[seq], message, seq not in open_places))
    if state.thawed is None:
        state.thawed = 0
    return state


def _message_in(row: Row, told: list[str], known: Entry | None = None) -> Message:
    """Read an archived message; of one whose text is damaged, what is known beside it."""
    try:
        return message_of(row.body)
    except StoreCorrupt as error:
        told.append(f"archive: message {row.seq}: {error}; the others are as they were")
        calls = tuple(ToolCall(call, "unknown", "{}") for call in (known.calls if known else ()))
        return Message(row.role, _DAMAGED, None, calls, known.answers if known else None)


def _entry_of(state: Session, row: Row, message: Message, indexed: bool) -> Entry:
    entry = Entry(
        row.seq, row.role, state.counter.message(message), row.digest, 0, row.at_s, message,
        tuple(call.id for call in message.tool_calls), message.tool_call_id,
        not message.content and not message.tool_calls, indexed=indexed,
    )  # fmt: skip
    state.note_at_once(entry)
    return entry

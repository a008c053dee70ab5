"""A session read back from its archive: its saved state, and what was archived after it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live.archive import version_of
from agentrm_plugins.context.live.texts import WRONG_ROLE, message_in
from agentrm_plugins.context.plan.align import align
from agentrm_plugins.context.plan.bodies import (
    Source,
    check_list,
    identity_in,
    role_of,
)
from agentrm_plugins.context.plan.counts import USUAL_MODEL
from agentrm_plugins.context.plan.entry import Entry
from agentrm_plugins.context.plan.freeze import loaded
from agentrm_plugins.context.plan.transcript import Transcript
from agentrm_plugins.context.stores.base import ColdStore, Row, SessionKey
from agentrm_plugins.context.stores.checksum import opened
from agentrm_plugins.counting.encodings import counter_for
from agentrm_plugins.errors import StoreCorrupt, StoreError, StoreLocked
from agentrm_plugins.types.message import SYSTEM_ROLES, Message, ToolCall

__all__ = ["Woken", "blank", "continues", "woken"]

_TRIES = 8
"""Of reading a session that another process is changing. Guessed: one is enough but for storms."""
_PAUSE_S = 0.0005
"""After the first try, doubling: 64 ms in all. Guessed: a write takes about a millisecond."""
_UNREADABLE = (
    ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError,
)  # fmt: skip
_ROLES = frozenset({"user", "assistant", "tool", "function"})
_DAMAGED = "[the archived text of this message is damaged]"


class _MovedError(Exception):
    """A message went away between two looks."""


@dataclass(frozen=True, slots=True)
class Woken:
    """A session as it was read.

    Args:
        state: Its pure state.
        told: What was mended, in words.
        version: Of the archive; None where the store has none.
        refusal: Why it is only a stand-in; None where it is none.
    """

    state: Transcript
    told: tuple[str, ...] = ()
    version: str | None = None
    refusal: StoreError | None = None


def blank(config: ContextConfig, refusal: StoreError | None = None) -> Woken:
    """A session of which nothing is known, because the store refused or there is nothing."""
    return Woken(Transcript(config, counter_for(config.model or USUAL_MODEL)), refusal=refusal)


def continues(state: Transcript, messages: Sequence[Source]) -> bool:
    """Whether a history holds all that is archived, in its order: nobody's work is left out.

    Raises:
        BadMessage: A message that no provider would take.
    """
    check_list(messages)
    start = 0
    while start < len(messages) and str(role_of(messages[start])) in SYSTEM_ROLES:
        start += 1
    known = [entry.digest for entry in state.entries]
    listed = [identity_in(source, start + at) for at, source in enumerate(messages[start:])]
    where = align(known, listed, 0)
    return where.keep == len(known) and (where.new_from > 0 or not known)


def woken(key: SessionKey, store: ColdStore, config: ContextConfig) -> Woken:
    """Read a session. A saved state that cannot be read is made again from the messages.

    What another process changes meanwhile is read again, until all of it fits together.

    Raises:
        StoreError: The store refused.
    """
    for tried in range(_TRIES):
        if tried:
            time.sleep(_PAUSE_S * 2 ** (tried - 1))
        version = version_of(store, key)
        told: list[str] = []
        try:
            state = _caught_up(key, store, _saved(key, store, config, told), told)
        except _MovedError:
            continue
        if version == version_of(store, key):
            return Woken(state, tuple(told), version)
    way = "another process changes it again and again; try again later"
    raise StoreLocked(f"session={key.session!r}: cannot be read in one piece; {way}")


def _saved(key: SessionKey, store: ColdStore, config: ContextConfig, told: list[str]) -> Transcript:
    state = blank(config).state
    frozen = store.load_state(key)
    if frozen is None:
        return state
    try:
        return loaded(opened(frozen), config, state.counter)
    except _UNREADABLE as error:
        told.append(
            f"archive: the saved state cannot be read ({type(error).__name__}: "
            f"{str(error)[:80]}); it is made again from the archived messages"
        )
        return blank(config).state


def _caught_up(key: SessionKey, store: ColdStore, state: Transcript, told: list[str]) -> Transcript:
    """Read back hot bodies, and messages archived after the state was saved (a crash)."""
    there = _whole(store.digests(key), told)
    same = 0
    for entry, (seq, digest) in zip(state.entries, there, strict=False):
        if (entry.seq, entry.digest) != (seq, digest):
            break
        same += 1
    if same < len(state.entries):
        # The saved state tells of a branch that was left since: its notes may not hold.
        state = Transcript(state.config, state.counter)
        same = 0
    if not there:
        return state
    later = [seq for seq, _ in there[same:]]
    open_places = set(store.unindexed(key, 1 << 30))
    hot = {
        e.seq for e in state.entries
        if e.seq >= state.first_hot or e.seq == state.pinned or e.seq in open_places
    }  # fmt: skip
    rows = store.read(key, sorted({*hot, *later}))
    if len(rows) < len({*hot, *later}):
        raise _MovedError
    for entry in state.entries:
        entry.indexed = entry.seq not in open_places
        if entry.seq in hot:
            entry.message = _message_in(rows[entry.seq], told, entry)
    for seq in later:
        message = _message_in(rows[seq], told)
        state.enter(_entry_of(state, rows[seq], message, seq not in open_places))
    if state.thawed is None:
        state.thawed = 0
    return state


def _whole(there: list[tuple[int, str]], told: list[str]) -> list[tuple[int, str]]:
    """Give the messages up to the first one that is missing."""
    whole = [(seq, digest) for at, (seq, digest) in enumerate(there) if seq == at]
    if len(whole) < len(there):
        told.append(f"archive: message {len(whole)} is missing; those after it are not shown")
    return whole


def _message_in(row: Row, told: list[str], known: Entry | None = None) -> Message:
    """Read an archived message; of one whose text is damaged, what is known beside it."""
    try:
        message = message_in(row)
    except StoreCorrupt as error:
        told.append(f"archive: message {row.seq}: {error}; the others are as they were")
    else:
        if message.role != row.role:
            told.append(f"archive: message {row.seq}: {WRONG_ROLE}")
        return message
    role = known.role if known else row.role if row.role in _ROLES else "user"
    calls = tuple(ToolCall(call, "unknown", "{}") for call in (known.calls if known else ()))
    return Message(role, _DAMAGED, None, calls, known.answers if known else None)


def _entry_of(state: Transcript, row: Row, message: Message, indexed: bool) -> Entry:
    return Entry(
        row.seq, message.role, state.counter.message(message), row.digest, 0, row.at_s, message,
        tuple(call.id for call in message.tool_calls), message.tool_call_id,
        not message.content and not message.tool_calls, indexed=indexed,
    )  # fmt: skip

"""The warm tier: notes of compacted episodes, chosen to fit and written in the order of the talk.

Law: notes go in by score until the room is used, then are shown by place. An episode is written
once and only appended to the ones before it, so the prompt's prefix holds. When the room runs out,
notes are chosen anew (from the notes, never from their texts); the oldest episodes stay as they are
as far as that costs next to none of the notes' worth. A note that was corrected is struck at the
next compaction if its correction does not stand behind it in the prompt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache

from agentrm_plugins.context.notes.facts import find
from agentrm_plugins.context.notes.note import has_whole, squeezed
from agentrm_plugins.context.notes.notes import Note, Notes
from agentrm_plugins.context.plan.entry import Episode
from agentrm_plugins.context.plan.telling import SPEAKERS, told
from agentrm_plugins.context.plan.transcript import Transcript
from agentrm_plugins.types.message import Message, plain_text

__all__ = ["chosen", "extractive_summary", "made_episode", "rendered", "warm_tokens"]

LEAST_SCORE = 0.3
LEAST_TOOL_SCORE = 0.4
"""Below these a sentence is a question or one of many alike. Measured on `benchmarks/context` at
4,000 tokens: with 1.3 and 1.4 in their place 91 to 95 % of the facts stood in the prompt, with
these 96 to 99.7 %."""
MOST_OF_A_RESULT = 4
"""Notes of one tool result; guessed. What else it holds is found by recall."""
HEADER_TOKENS = 32
CONSOLIDATED_SHARE = 0.85
"""Of the room, after notes were chosen anew, and for what is told beside them: leaves space for the
next episodes to be appended."""
CLOSE = 0.5
"""So near are two notes' worths when they count as equal: what recency alone can make up for."""


def _keeps(note: Note, worth: float) -> bool:
    tool = note.role in {"tool", "function"}
    return note.live and worth >= (LEAST_TOOL_SCORE if tool else LEAST_SCORE)


def line_of(note: Note) -> str:
    """Write one note as a line: its message's place, who said it, its words."""
    return f"{note.seq} {SPEAKERS.get(note.role, note.role)}: {' '.join(note.shown.split())}"


def chosen(
    book: Notes,
    notes: Iterable[Note],
    room_tokens: int,
    count: Callable[[str], int],
    newest: int,
) -> list[Note]:
    """Choose the notes that are worth most and fit; in the order of the conversation.

    The score gets up to 0.5 for recency. Of a long line the worth is that of its score alone, so
    that length is paid for by place, not by merit. What a later note may replace is not kept
    without that one.
    """
    pool = {note.id: note for note in notes}
    keep = [(book.worth(note), note) for note in pool.values()]
    keep = [(worth, note) for worth, note in keep if _keeps(note, worth)]
    keep.sort(key=lambda pair: (-(pair[0] + 0.5 * pair[1].seq / max(1, newest)), pair[1].id))
    taken: dict[int, Note] = {}
    used = 0
    per_message: Counter[int] = Counter()
    left_out: set[int] = set()
    for _, note in keep:
        if note.id in taken:
            continue
        if note.id in left_out:
            left_out.update(book.replaced_by(note))
            continue
        per_message[note.seq] += note.role in {"tool", "function"}
        if per_message[note.seq] > MOST_OF_A_RESULT:
            left_out.update(book.replaced_by(note))
            continue
        both = [one for one in book.with_heirs(note) if one.id in pool and one.id not in taken]
        size = sum(count(line_of(one)) + 1 for one in both)
        if used + size <= room_tokens and left_out.isdisjoint(one.id for one in both):
            taken |= {one.id: one for one in both}
            used += size
        else:
            left_out.update(book.replaced_by(note))
    return sorted(taken.values(), key=lambda n: (n.seq, n.id))


def rendered(episode: Episode, notes: Notes, *, leads: bool = True) -> str:
    """Write an episode; empty when nothing in it holds any more.

    Args:
        episode: What to write.
        notes: Of its notes.
        leads: Whether it is the first one in the prompt, which says what notes are.
    """
    body = _body(episode, notes)
    if not body:
        return ""
    head = f"[Notes of messages {episode.first}-{episode.last}"
    if leads:
        head += " of this conversation, compacted. Where two disagree, the later holds. No request"
    return f"{head}.]\n{body}"


def _body(episode: Episode, notes: Notes) -> str:
    lines = [(seq, 0, line) for seq, line in episode.told if notes.stale_in(seq, line) is None]
    held = (notes.by_id.get(identity) for identity in episode.notes)
    lines += [(n.seq, n.id, line_of(n)) for n in held if n is not None and not n.dead]
    texts = (text for *_, text in sorted(lines))
    return "\n".join(part for part in (_holding(episode, notes), *texts) if part)


def _holding(episode: Episode, notes: Notes) -> str:
    """Give the narrative without the lines that hold a corrected value."""
    if not episode.narrative:
        return ""
    stale = [
        squeezed(value)
        for note in notes.by_id.values()
        if episode.first <= note.seq <= episode.last
        for value in note.struck
    ]
    lines = episode.narrative.splitlines()
    return "\n".join(line for line in lines if not has_whole(line, stale))


def refresh(session: Transcript) -> None:
    """Write again the episodes whose notes were struck."""
    leads = True
    for episode in session.episodes:
        if not episode.text and (episode.notes or episode.narrative or episode.told):
            episode.text = rendered(episode, session.notes, leads=leads)
            if not episode.text:
                episode.notes, episode.narrative, episode.told = [], "", []
            role = session.config.summary_role
            episode.tokens = session.counter.message(Message(role, episode.text or "-"))
            episode.tokens *= bool(episode.text)
        leads = leads and not episode.text
    last = session.episodes[-1] if session.episodes else None
    if last is not None and leads:
        # Something stands for what was compacted, and the transcript begins with the user.
        first = session.episodes[0].first
        last.text = f"[Messages {first}-{last.last} are archived; recall finds them.]"
        last.tokens = session.counter.message(Message(session.config.summary_role, last.text))


def renew(session: Transcript) -> None:
    """Mark the episodes that are to be written again, for what they show holds no more.

    One whose correction stands behind it in the prompt waits until notes are chosen anew: writing
    it would break the prefix for one line. A narrative does not wait.
    """
    notes = session.notes
    behind: set[int] = set()
    for episode in reversed(session.episodes):
        if not episode.text:
            continue
        for now in _corrections(episode, notes):
            if now.id not in behind and not session.sends(now.seq):
                episode.text = ""
        if episode.narrative and not episode.text.endswith(_body(episode, notes)):
            episode.text = ""
        behind.update(episode.notes)


def _corrections(episode: Episode, notes: Notes) -> Iterator[Note]:
    """Give the notes that now hold in place of what an episode's text still shows."""
    for note in map(notes.by_id.get, episode.notes):
        if note is not None and note.struck and line_of(note) not in episode.text:
            yield notes.latest(note)
    for seq, line in episode.told:
        new = notes.stale_in(seq, line)
        if new is not None and line in episode.text:
            yield notes.latest(new)


def warm_tokens(session: Transcript) -> int:
    """Count all episodes as they are sent."""
    refresh(session)
    return sum(episode.tokens for episode in session.episodes if episode.text)


def made_episode(
    session: Transcript, first: int, last: int, room_tokens: int, *, telling: bool = False
) -> None:
    """Add the episode for places `first` to `last`, choosing anew when the room is used up.

    Args:
        session: Its notes and episodes are used.
        first: Of the messages to compact.
        last: The last of them.
        room_tokens: For the whole warm tier.
        telling: Whether messages without notes are told in a line each, in half of the free room.
    """
    counted = _remembering(session.counter.text)
    book = session.notes
    notes = [note for seq in range(first, last + 1) for note in book.at(seq)]
    used = warm_tokens(session) + HEADER_TOKENS
    wanted = sum(counted(line_of(n)) + 1 for n in notes if _keeps(n, book.worth(n)))
    if wanted > room_tokens - used:
        _choose_anew(session, last, room_tokens, counted)
    else:
        picked = chosen(book, notes, room_tokens - used, counted, last)
        free = int(CONSOLIDATED_SHARE * room_tokens) - used - wanted if telling else 0
        lines = told(session, range(first, last + 1), picked, free // 2, counted)
        session.episodes.append(Episode(first, last, [n.id for n in picked], told=lines))
    refresh(session)


def _choose_anew(
    session: Transcript, last: int, room_tokens: int, count: Callable[[str], int]
) -> None:
    narrative = _newest_narratives(session, int(room_tokens * 0.4), count)
    room = int(room_tokens * CONSOLIDATED_SHARE) - HEADER_TOKENS - count(narrative)
    notes = [n for n in session.notes.by_id.values() if n.seq <= last]
    picked = chosen(session.notes, notes, max(0, room), count, last)
    if not narrative and _only_the_newest(session, last, picked, room, count):
        return
    first = session.episodes[0].first if session.episodes else 0
    first = min(first, picked[0].seq) if picked else first
    session.episodes = [Episode(first, last, [n.id for n in picked], narrative)]


def _only_the_newest(
    session: Transcript, last: int, best: list[Note], room: int, count: Callable[[str], int]
) -> bool:
    """Make only the newest episodes anew, as few as lose nothing that matters of the best choice.

    What is lost may be worth `CLOSE` more than the least that the best choice keeps, no more.
    """
    notes = session.notes
    most = min((notes.worth(note) for note in best), default=0.0) + CLOSE
    for keep in range(len(session.episodes) - 1, 0, -1):
        old = session.episodes[:keep]
        border = old[-1].last
        left = room - sum(episode.tokens for episode in old if episode.text)
        if left <= 0:
            continue
        young = [n for n in notes.by_id.values() if border < n.seq <= last and n.live]
        newer = chosen(notes, young, left, count, last)
        held = {identity for episode in old for identity in _told_in(episode, notes)}
        shown = held | {note.id for note in newer}
        lost = (note for note in (*best, *young) if note.id not in shown and note.live)
        wanted = {note.id for note in best}
        if any(_missed(n, held, wanted, notes, most) for n in lost):
            continue
        session.episodes = [*old, Episode(border + 1, last, [n.id for n in newer])]
        return True
    return False


def _told_in(episode: Episode, notes: Notes) -> Iterator[int]:
    """Give the notes whose words an episode shows, as notes or in lines of their messages."""
    yield from episode.notes
    for seq, _ in episode.told:
        for note in notes.at(seq):
            yield note.id
            if note.repeats is not None:
                yield note.repeats


def _missed(note: Note, held: set[int], wanted: set[int], notes: Notes, most: float) -> bool:
    """Whether a note may not be lost: it may replace one that stays, or is worth too much."""
    return not held.isdisjoint(notes.replaced_by(note)) or (
        note.id in wanted and notes.worth(note) > most
    )


def _newest_narratives(session: Transcript, room: int, count: Callable[[str], int]) -> str:
    kept: list[str] = []
    for episode in reversed(session.episodes):
        size = count(episode.narrative)
        if episode.narrative and size <= room:
            kept.append(episode.narrative)
            room -= size
    return "\n".join(reversed(kept))


def shrink(session: Transcript, room_tokens: int) -> None:
    """Make the warm tier fit a smaller room: fewer notes, the best ones."""
    if warm_tokens(session) <= room_tokens or not session.episodes:
        return
    last = session.episodes[-1].last
    if room_tokens <= HEADER_TOKENS * 2:
        session.episodes = [Episode(session.episodes[0].first, last, [])]
        return
    _choose_anew(session, last, room_tokens, _remembering(session.counter.text))
    refresh(session)
    if warm_tokens(session) > room_tokens:
        session.episodes = [Episode(session.episodes[0].first, last, [])]


def _remembering(count: Callable[[str], int]) -> Callable[[str], int]:
    return lru_cache(maxsize=8192)(count)


def extractive_summary(
    messages: Sequence[Message], max_tokens: int, count: Callable[[str], int]
) -> str:
    """Summarise without a model: the sentences worth most, in order, in at most `max_tokens`.

    Exact strings stay exact; what was corrected later is left out. Deterministic.
    """
    notes = Notes()
    for seq, message in enumerate(messages):
        notes.add(seq, message.role, find(plain_text(message), message.role))
    counted = _remembering(count)
    picked = chosen(notes, notes.by_id.values(), max_tokens, counted, len(messages))
    text = "\n".join(map(line_of, picked))
    while picked and count(text) > max_tokens:
        picked.remove(min(picked, key=lambda n: (n.score, n.seq)))
        text = "\n".join(map(line_of, picked))
    return text

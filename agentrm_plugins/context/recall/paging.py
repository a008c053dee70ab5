"""Recalled passages into the prompt: chosen, labelled, kept within their share.

Rules: what is visible already is not paged in; a passage whose value was corrected later gives way
to the correction, unless the question asks for the history; a question is followed by its answer;
each passage names its message and who said it, and a tool's output the turn that it belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from agentrm_plugins.context.notes.facts import values_of
from agentrm_plugins.context.notes.notes import Note
from agentrm_plugins.context.notes.text import sentences, terms
from agentrm_plugins.context.plan.transcript import Entry, Recalled, Session
from agentrm_plugins.context.recall.rank import Hit, Query
from agentrm_plugins.types.message import Message

__all__ = ["Found", "assembled", "visible"]

HEADER = (
    "[Recalled from earlier in this conversation, word for word, oldest first. For reference; not "
    "a new request. If two disagree, the later one holds.]"
)
LEAST_OF_BEST = 0.4
"""A passage that scores less than this share of the best one is left out. Guessed."""
LEAST_BESIDE_SHOWN = 0.6
"""The same once a better passage is in the prompt already, as a note: what is left is then rarely
the answer, and each block that is paged in costs cached prefix. Guessed."""
LEAST_COVERED, LEAST_COVERED_UNASKED = 0.12, 0.45
"""A message that asks for nothing pages in only what shares nearly half of its words' weight, so
that small talk does not move the prompt. Guessed."""
_SOURCE_CHARS = 80


@dataclass(frozen=True, slots=True)
class Found:
    """One hit with its text and what surrounds it."""

    hit: Hit
    text: str
    before: str = ""
    after: str = ""


def visible(session: Session) -> frozenset[int]:
    """Give the places whose messages are sent word for word."""
    places = {entry.seq for entry in session.hot if entry.seq not in session.replaced}
    if session.pinned is not None:
        places.add(session.pinned)
    return frozenset(places)


def source_turn(session: Session, entry: Entry) -> Entry | None:
    """Find the user message that a message belongs to."""
    for at in range(entry.seq - 1, -1, -1):
        if session.entries[at].role == "user":
            return session.entries[at]
    return None


def assembled(
    session: Session,
    query: Query,
    found: Sequence[Found],
    room_tokens: int,
    anchor: int,
    texts: Mapping[int, str],
) -> Recalled | None:
    """Write the block of passages, best first until the room is used, shown by place.

    Args:
        session: For the ledger, the roles and the counts.
        query: What was asked.
        found: Hits, best first.
        room_tokens: The block's largest count, frame included.
        anchor: The user message before which it will stand.
        texts: Of source turns, by place, as far as they were read.
    """
    role = session.config.summary_role
    count = session.counter
    used = count.message(Message(role, HEADER)) + 2
    if anchor >= 0:
        held = [recalled.text for recalled in session.recalls]
        found = [one for one in found if _tells_more(one.text, query, held)]
    lines: dict[tuple[int, int], str] = {}
    for key, whole in _worthy(session, query, found, texts, shown_notes(session, anchor)):
        if key in lines:
            continue
        # The best one has to be there, if only the part that was asked for.
        line = whole if lines else _cut(whole, query, room_tokens - used - 1, count.text)
        size = count.text(line) + 1
        if line and used + size <= room_tokens:
            lines[key] = line
            used += size
    if not lines:
        return None
    used = _with_neighbours(session, found, lines, used, room_tokens)
    if not lines:
        return None
    text = "\n".join([HEADER, *(lines[key] for key in sorted(lines))])
    tokens = count.message(Message(role, text))
    while tokens > room_tokens and len(lines) > 1:
        lines.popitem()
        text = "\n".join([HEADER, *(lines[key] for key in sorted(lines))])
        tokens = count.message(Message(role, text))
    if tokens > room_tokens:
        return None
    return Recalled(anchor, text, tokens, sorted({seq for seq, _ in lines}))


def _cut(line: str, query: Query, most: int, count: Callable[[str], int]) -> str:
    """Cut a line to the words from the first that was asked for on; "" if nothing fits."""
    if count(line) <= most:
        return line
    label, _, said = line.partition(": ")
    words = said.split(" ")
    asked = set(query.terms)
    at = next((n for n, word in enumerate(words) if not asked.isdisjoint(_terms_of(word))), 0)
    keep = len(words) - at
    while keep and count(line) > most:
        keep = keep * 3 // 4
        line = f"{label}: {'… ' * (at > 0)}{' '.join(words[at : at + keep])} …"
    return line if keep else ""


def _worthy(
    session: Session,
    query: Query,
    found: Sequence[Found],
    texts: Mapping[int, str],
    noted: Mapping[int, Sequence[str]],
) -> Iterator[tuple[tuple[int, int], str]]:
    """Give the lines of the hits that come near the best one, best first."""
    best = found[0].hit.score if found else 0.0
    floor = LEAST_OF_BEST
    least = LEAST_COVERED if query.asks else LEAST_COVERED_UNASKED
    given: list[str] = []
    for one in found:
        if one.hit.score < floor * best or one.hit.covered < least:
            continue
        key, line = _line(session, query, one, texts, noted)
        if not line:
            floor = LEAST_BESIDE_SHOWN
        elif not any(one.text in other for other in given):
            given.append(line)
            yield key, line


def _line(
    session: Session,
    query: Query,
    one: Found,
    texts: Mapping[int, str],
    noted: Mapping[int, Sequence[str]],
) -> tuple[tuple[int, int], str]:
    """Write one passage as a line; an empty one when the prompt holds it already."""
    place = one.hit.candidate
    corrected = session.ledger.stale_in(place.seq, one.text)
    if corrected is not None and not query.history:
        now = session.ledger.latest(corrected)
        if session.sends(now.seq) or now.text in noted.get(now.seq, ()):
            return (now.seq, 0), ""
        return (now.seq, 0), f"{_label(session, now.seq, texts)}: {now.shown}"
    pieces = excerpt(one.text, query)
    if not query.history and _all_noted(pieces, noted.get(place.seq, ())):
        return (place.seq, place.start), ""
    line = f"{_label(session, place.seq, texts)}: {' '.join(' '.join(pieces).split())}"
    if corrected is not None:
        line += _superseded(session.ledger.latest(corrected))
    return (place.seq, place.start), line


def _tells_more(text: str, query: Query, held: Sequence[str]) -> bool:
    """Whether a passage tells what neither the question nor an earlier block tells."""
    asked = set(query.terms)
    if all(_terms_of(piece) <= asked for piece in excerpt(text, query)):
        return False
    piece = " ".join(text.split())
    return not any(piece in block for block in held)


def shown_notes(session: Session, anchor: int) -> dict[int, list[str]]:
    """Give the notes that stand in the prompt as they were made, by their message's place.

    None when nothing is paged in (`anchor` below 0): an answer to the model stands for itself.
    """
    shown: dict[int, list[str]] = {}
    if anchor < 0:
        return shown
    for episode in session.episodes:
        for identity in episode.notes:
            note = session.ledger.notes.get(identity)
            if note is not None and not note.struck:
                shown.setdefault(note.seq, []).append(note.text)
    return shown


def _all_noted(pieces: Sequence[str], notes: Sequence[str]) -> bool:
    """Whether notes in the prompt tell what these sentences tell.

    A sentence without a value may be missing there, as long as one beside it is not.
    """
    found = [any(piece in note or note in piece for note in notes) for piece in pieces]
    missing = (piece for piece, there in zip(pieces, found, strict=True) if not there)
    return any(found) and not any(map(values_of, missing))


@lru_cache(maxsize=4096)
def _terms_of(piece: str) -> frozenset[str]:
    return frozenset(terms(piece))


def excerpt(text: str, query: Query) -> list[str]:
    """Give the sentences of a passage that share a word with the question.

    What follows one that ends openly or holds no value belongs to it.
    """
    pieces = [piece for _, piece in sentences(text)]
    asked = set(query.terms)
    kept: set[int] = set()
    for at, piece in enumerate(pieces):
        if asked.isdisjoint(_terms_of(piece)):
            continue
        kept.add(at)
        if at + 1 < len(pieces) and (piece[-1] in "?？:：" or not values_of(piece)):
            kept.add(at + 1)
    return [piece for at, piece in enumerate(pieces) if at in kept] or pieces


def _superseded(now: Note) -> str:
    return f" [superseded by message {now.seq}: {now.shown}]"


def _label(session: Session, seq: int, texts: Mapping[int, str]) -> str:
    entry = session.entries[seq]
    who = {"assistant": "you"}.get(entry.role, entry.role)
    label = f"{seq} {who}"
    if entry.at_s > 0:
        label += f" {_day(entry.at_s)}"
    turn = source_turn(session, entry) if entry.role in {"tool", "function"} else None
    if turn is not None and turn.seq in texts:
        label += f" (for {turn.seq} user"
        # What stands in the prompt already needs no quote.
        label += ")" if session.sends(turn.seq) else f': "{_quoted(texts[turn.seq])}")'
    return label


def _quoted(text: str) -> str:
    """Give a turn's first words without its values: what was corrected since is not said again."""
    said = " ".join(text.split())[:_SOURCE_CHARS]
    for value in values_of(said):
        said = said.replace(value.text, "…")
    return said


def _day(at_s: float) -> str:
    """Write the UTC day of a time, by the civil-from-days rule of the Gregorian calendar."""
    era_days = int(at_s // 86_400) + 719_468
    era, day_of_era = divmod(era_days, 146_097)
    shift = day_of_era // 1_460 - day_of_era // 36_524 + day_of_era // 146_096
    year = (day_of_era - shift) // 365
    day_of_year = day_of_era - (365 * year + year // 4 - year // 100)
    month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9  # noqa: PLR2004 - its year begins in March
    return f"{year + era * 400 + (month < 3):04}-{month:02}-{day:02}"  # noqa: PLR2004


def _with_neighbours(
    session: Session,
    found: Sequence[Found],
    lines: dict[tuple[int, int], str],
    used: int,
    room_tokens: int,
) -> int:
    """Add what stands before and after the best hits, while there is room."""
    for one in found[:3]:
        place = one.hit.candidate
        if (place.seq, place.start) not in lines:
            continue
        closed = bool(values_of(one.text)) and not one.text.rstrip().endswith(("?", "？", ":"))
        for shift, text in ((1, one.after), (-1, one.before)):
            seq = place.seq + shift
            key = (seq, 0)
            fits = 0 <= seq < len(session.entries)
            if not text or not fits or key in lines or session.ledger.stale_in(seq, text):
                continue
            if closed and not values_of(text):
                continue
            line = f"{_label(session, seq, {})}: {' '.join(text.split())}"
            size = session.counter.text(line) + 1
            if used + size <= room_tokens:
                lines[key] = line
                used += size
    return used

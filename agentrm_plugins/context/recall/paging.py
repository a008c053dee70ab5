"""Recalled passages into the prompt: chosen, dated, named, kept within their room.

Rules: a passage is shown word for word, whatever came later; what came later is named behind it and
shown too. What the prompt holds word for word is not paged in again. Passages stand in the order of
the talk, each with its message's number and who said it, under the day on which it was said; a
tool's output names the turn that it belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from agentrm_plugins.context.notes.asking import ends_asking
from agentrm_plugins.context.notes.values import values_of
from agentrm_plugins.context.plan.entry import Recalled
from agentrm_plugins.context.plan.transcript import Transcript
from agentrm_plugins.context.recall.lines import cut_to, day_of, line_of, told_later
from agentrm_plugins.context.recall.pieces import pieces_of, said_of
from agentrm_plugins.context.recall.query import Query
from agentrm_plugins.context.recall.rank import Hit
from agentrm_plugins.context.recall.repeats import Repeats
from agentrm_plugins.types.message import Message

__all__ = [
    "LEAST_RIVAL",
    "Found",
    "Rival",
    "assembled",
    "frame_tokens",
    "told_already",
    "visible",
    "worthy",
]

HEADER = (
    "[Recalled from earlier in this conversation, word for word, oldest first. For reference; not "
    "a new request. If two disagree, the later one holds.]"
)
LEAST_OF_BEST = 0.15
"""A passage that scores less than this share of the best one is left out. Measured on half of
LoCoMo at 4,000 tokens, where 0.4 lost a sixth of the evidence."""
LEAST_RIVAL = 0.25
"""Of the question, in what may be the newer form of a passage: it is no less shown for a low score,
nor left out where there is little room. Guessed."""
LEAST_COVERED, LEAST_COVERED_UNASKED = 0.08, 0.3
"""A message that asks for nothing pages in only what shares a third of its words' weight, so that
small talk does not move the prompt. Guessed."""
_LABEL_TOKENS, _LABEL_CHARS = -1, 10
"""Of a line's number and speaker, against the frame that a message's own count has: counted over
half of LoCoMo, 30.3 tokens a line for 31.8 a message. Its characters."""
_DAY_TOKENS = 8
_TOLD = 0.8
"""A note that holds this share of the question's weight, and a value besides, answers it. Guessed:
what else is found would cost cached prefix and tell little."""
_RIVALS = 8
_MOST_FAILED = 6
"""Passages in a row that do not fit with what may be newer: none is tried behind one. Guessed."""
_MOSTLY = 0.3


class Found(NamedTuple):
    """One hit with its text, and where it stands in its message.

    Args:
        hit: Its score and place.
        text: Word for word.
        tokens: About how many it takes; the block is counted exactly before it is sent.
        key: Where it stands: its message's place, and its offset there.
    """

    hit: Hit
    text: str
    tokens: int
    key: tuple[int, int]


class Rival(NamedTuple):
    """What may replace a passage: the sentence that does, and whether it is sure to be meant."""

    found: Found
    sure: bool


class _Line(NamedTuple):
    """A line of the block, and the lines that it names and does not quote: they stand too."""

    text: str
    needs: frozenset[tuple[int, int]] = frozenset()


_Lines = dict[tuple[int, int], _Line]


@dataclass(slots=True)
class _Block:
    """Lines by place, and what they cost so far."""

    used: int
    room: int
    lines: _Lines = field(default_factory=dict)
    days: set[str] = field(default_factory=set)
    said: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    def quoting(self, seq: int, text: str) -> tuple[int, int] | None:
        """Give the line of a message in which these words of it stand, if there is one."""
        told = " ".join(text.split())
        for key in self.said.get(seq, ()):
            if told in self.lines[key].text:
                return key
        return None

    def add(self, key: tuple[int, int], line: _Line, tokens: int, day: str) -> bool:
        cost = tokens + (_DAY_TOKENS if day and day not in self.days else 0)
        if self.used + cost > self.room:
            return False
        self.lines[key] = line
        self.said.setdefault(key[0], []).append(key)
        self.used += cost
        self.days.add(day)
        return True

    def change(self, key: tuple[int, int], line: _Line, tokens: int, before: int) -> bool:
        """Put a longer line in the place of one, if there is room."""
        if self.used - before + tokens > self.room:
            return False
        self.lines[key] = _Line(line.text, line.needs | self.lines[key].needs)
        self.used += tokens - before
        return True

    def copy(self) -> _Block:
        said = {seq: list(keys) for seq, keys in self.said.items()}
        return _Block(self.used, self.room, dict(self.lines), set(self.days), said)


def visible(session: Transcript) -> frozenset[int]:
    """Give the places whose messages are sent word for word: none that the caller cleared."""
    replaced = session.replaced
    places = {one.seq for one in session.hot if one.seq not in replaced and not one.otherwise}
    if session.pinned is not None:
        places.add(session.pinned)
    return frozenset(places)


def frame_tokens(session: Transcript) -> int:
    """Count what a block takes before anything stands in it."""
    return session.counter.message(Message(session.config.summary_role, HEADER)) + 2


def assembled(
    session: Transcript,
    query: Query,
    found: Sequence[Found],
    room_tokens: int,
    anchor: int,
    texts: Mapping[int, str],
    later: Callable[[Found], Sequence[tuple[int, str]]] = lambda _: (),
    newer: Callable[[Found], Sequence[Rival]] | None = None,
) -> Recalled | None:
    """Write the block of passages, best first until the room is used, shown by place.

    Args:
        session: For the roles, the days and the counts.
        query: What was asked.
        found: Hits that are `worthy`, best first.
        room_tokens: The block's largest count, frame included.
        anchor: The user message before which it will stand; below 0 for an answer to the model.
        texts: Of source turns, by place, as far as they were read.
        later: Gives what came later than a passage and may replace something in it.
        newer: Gives later passages that may do so and are not named behind it: they come before
            what stands around it; without those that are sure to be meant it is not shown.
    """
    frame = frame_tokens(session)
    writing = _Writing(session, query, texts, later, _Block(frame, room_tokens))
    repeats, failed = Repeats(session, query), 0
    for one in found:
        if repeats.told(one.key[0], one.text):
            continue
        block = writing.block  # another one after what did not fit was taken back
        if block.lines and block.used + one.tokens + _LABEL_TOKENS > room_tokens:
            continue  # a line is never shorter than what it shows
        rivals = newer(one) if newer is not None else ()
        sure = [rival.found for rival in rivals if rival.sure]
        if writing.together(one, sure) if sure else writing.enter(one):
            for rival in rivals:
                writing.enter(rival.found, part=True)
            repeats.add(one.key[0], one.text)
            failed = 0
        else:
            failed += 1
            if failed >= _MOST_FAILED and (writing.block.lines or anchor >= 0):
                break
    return _fitted(session, writing.block.lines, writing.order, room_tokens, anchor)


@dataclass(slots=True)
class _Writing:
    """Enters passages into a block, in the order in which they are to be there."""

    session: Transcript
    query: Query
    texts: Mapping[int, str]
    later: Callable[[Found], Sequence[tuple[int, str]]]
    block: _Block
    order: list[tuple[int, int]] = field(default_factory=list)
    parts: dict[tuple[int, int], int] = field(default_factory=dict)
    """What is shown in part so far, with what it costs."""

    def together(self, one: Found, sure: Sequence[Found]) -> bool:
        """Enter a passage with what replaces it, whole or the sentence that was asked for; or none.

        Both have to fit: the older one is not shown alone, and is not lost to the newer one.
        """
        said = said_of(self.query, one.text)
        tokens = one.tokens * len(said) // max(1, len(one.text)) + 2
        needs = frozenset(rival.key for rival in sure)
        missing = [rival for rival in sure if rival.key not in self.block.lines]
        least = self.block.used + sum([rival.tokens + _LABEL_TOKENS for rival in missing])
        for shown in (one, one._replace(text=said, tokens=min(one.tokens, tokens))):
            if least + shown.tokens + _LABEL_TOKENS > self.block.room:
                continue  # a line is never shorter than what it shows
            block, order, parts = self.block.copy(), list(self.order), dict(self.parts)
            first = True
            for rival in missing:
                first = first and self.enter(rival, part=True)
            if first and self.enter(shown, needs, part=shown is not one):
                return True
            self.block, self.order, self.parts = block, order, parts
        return False

    def enter(
        self,
        one: Found,
        needs: frozenset[tuple[int, int]] = frozenset(),
        *,
        part: bool = False,
    ) -> bool:
        """Enter a passage, if there is room, and tell.

        Args:
            one: The passage.
            needs: Lines without which it must go.
            part: Whether it is a part of one: where there is room left it is shown whole later.
        """
        block, count, place = self.block, self.session.counter, one.key
        if place in block.lines and (part or place not in self.parts):
            return True
        said = block.said
        named = [
            (at, text, block.quoting(at, text) if at in said else None)
            for at, text in self.later(one)
        ]
        told = told_later([(at, "" if key else text) for at, text, key in named])
        line = line_of(self.session, place[0], one.text, self.texts)
        extra = len(line) + len(told) - len(one.text)
        tokens = one.tokens + _LABEL_TOKENS + max(0, extra - _LABEL_CHARS) // 3
        day = day_of(self.session.entries[place[0]].at_s)
        needs |= {key for *_, key in named if key is not None}
        whole = _Line(line + told, needs)
        if place in block.lines:
            if block.change(place, whole, tokens, self.parts[place]):
                del self.parts[place]
            return True
        entered = block.add(place, whole, tokens, day)
        if entered and part:
            self.parts[place] = tokens
        if not entered and not block.lines:
            # The best one has to be there, if only the part that was asked for.
            left = block.room - block.used - _DAY_TOKENS - (count.text(told) if told else 0)
            cut = cut_to(line, self.query, left, count.text)
            size = count.text(cut + told) + 1
            entered = bool(cut) and block.add(place, _Line(cut + told), size, day)
        if entered:
            self.order.append(place)
        return entered


def _fitted(
    session: Transcript,
    lines: _Lines,
    order: list[tuple[int, int]],
    room_tokens: int,
    anchor: int,
) -> Recalled | None:
    """Count the block as it is sent; where it is too large the worst lines go.

    With a line goes each one that names it: an old value never stands without what came later.
    """
    role = session.config.summary_role
    while lines:
        text = _written(session, lines)
        tokens = session.counter.message(Message(role, text))
        if tokens <= room_tokens:
            return Recalled(anchor, text, tokens, sorted({seq for seq, _ in lines}))
        over = tokens - room_tokens
        while over > 0 and lines:  # each time a line goes, so it ends
            over -= max(1, _dropped(lines, order.pop() if order else max(lines)) // 6)
    return None


def _dropped(lines: _Lines, key: tuple[int, int]) -> int:
    """Take a line out, and those that need it; give how many characters went."""
    gone = lines.pop(key, None)
    if gone is None:
        return 0
    size = len(gone.text)
    for other in [at for at, line in lines.items() if key in line.needs]:
        size += _dropped(lines, other)
    return size


def _written(session: Transcript, lines: _Lines) -> str:
    told = [HEADER]
    last = ""
    for key in sorted(lines):
        day = day_of(session.entries[key[0]].at_s)
        if day != last:
            told.append(f"[{day}]")
            last = day
        told.append(lines[key].text)
    return "\n".join(told)


def worthy(
    session: Transcript, query: Query, found: Sequence[Found], anchor: int, best: float = 0.0
) -> Iterator[Found]:
    """Give the hits that come near the best one and are not in the prompt already.

    Args:
        session: For the notes in its prompt.
        query: What was asked.
        found: Hits, best first.
        anchor: The user message before which they will stand; below 0 for an answer to the model.
        best: The best score of all, in view or not; 0 for that of what was found.
    """
    best = max([best, *(one.hit.score for one in found)])
    asks = query.asks >= _MOSTLY or anchor < 0
    least = LEAST_COVERED if asks else LEAST_COVERED_UNASKED
    shown = noted_text(session) if anchor >= 0 else ""
    repeats = Repeats(session, query, visible(session) - {anchor} if anchor >= 0 else ())
    for one in found:
        little = one.hit.score < LEAST_OF_BEST * best
        if (little and not (asks and one.hit.covered >= LEAST_RIVAL)) or (
            0 < one.hit.covered < least
        ):
            continue
        said = " ".join(one.text.split())
        if not said or said in shown or (shown and _all_told(one, query, shown)):
            continue
        if not repeats.told(one.key[0], one.text):
            yield one


def _all_told(one: Found, query: Query, shown: str) -> bool:
    """Whether all of a passage stands in the notes, or in the question: a turn of phrase.

    What replaced it stands in the notes as well; to show it once more would put the old one last.
    A sentence beside a noted one may be the answer: "We found the cause. It was the clock."
    """
    for piece in pieces_of(one.text):
        if piece.text.rstrip(".。") not in shown and piece.text.casefold() not in query.text:
            return False
    return True


def noted_text(session: Transcript) -> str:
    """Give the notes as they stand in the prompt."""
    return "\n".join(episode.text for episode in session.episodes)


def told_already(
    session: Transcript, query: Query, weights: Mapping[str, float], best: Sequence[Found]
) -> bool:
    """Whether the notes in the prompt answer the question, and nothing is left to be shown.

    All of the best hit stands there, one sentence of it tells nearly all that is asked, and a value
    besides; and nothing else that was found holds as much of the question and is not told ("my
    passport", "my wife's").

    Args:
        session: For its notes.
        query: What was asked.
        weights: Of all its words: those that nobody said yet are asked for as well.
        best: What was found, best first.
    """
    if not best:
        return False
    shown = noted_text(session)
    least = _TOLD * best[0].hit.covered
    rivals = [best[0], *(one for one in best[1:_RIVALS] if one.hit.covered >= least)]
    if not all(_all_told(one, query, shown) for one in rivals):
        return False
    whole = sum(weights.values()) or 1.0
    for piece in pieces_of(best[0].text):
        if ends_asking(piece.text):
            continue
        if sum(weights.get(term, 0.0) for term in piece.terms) >= _TOLD * whole:
            return any(value.text.casefold() not in query.text for value in values_of(piece.text))
    return False

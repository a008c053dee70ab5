"""A session as bytes and back: the same bytes for the same session, in any process.

Bodies are not part of it: they are in the archive, and what is still hot is read back from there.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, astuple
from typing import Any

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.notes.notes import Notes
from agentrm_plugins.context.plan.align import mark_of
from agentrm_plugins.context.plan.entry import Entry, Episode, Recalled, Replacement
from agentrm_plugins.context.plan.transcript import Transcript
from agentrm_plugins.counting.encodings import counter_for
from agentrm_plugins.counting.tokens import UNKNOWN_FACTOR, TokenCounter
from agentrm_plugins.types.message import ToolCall, from_openai

__all__ = ["FORMAT", "dumped", "loaded"]

FORMAT = 2
_MOST_SHAPES = 2_000


def dumped(session: Transcript) -> bytes:
    """Write a session's state."""
    state = {
        "format": FORMAT,
        "entries": [
            [e.seq, e.role, e.tokens, e.digest, e.at_s, list(e.calls), e.answers,
             int(e.empty), int(e.noted), int(e.looked_up)]
            for e in session.entries
        ],
        "notes": session.notes.dump(),
        "next_note": session.notes.next_id,
        "episodes": [asdict(episode) for episode in session.episodes],
        "replaced": [
            [seq, r.kind, r.text, r.tokens, *([[astuple(c) for c in r.calls]] if r.calls else [])]
            for seq, r in sorted(session.replaced.items())
        ],
        "recalls": [asdict(recalled) for recalled in session.recalls],
        "first_hot": session.first_hot,
        "shown_from": session.shown_from,
        "head": len(session.head_marks) if session.thawed is None else session.thawed,
        "pinned": session.pinned,
        "asked": session.asked,
        "owed": [session.owed, session.sent],
        "compactions": session.compactions,
        "factor": session.counter.factor,
        "model": None if session.counts.stale else session.counter.model,
        "factors": dict(session.counts.factors),
        "ceiling": session.ceiling,
        "system": [message.to_openai() for message in session.system],
        "shapes": sorted(session.shapes.most_common(_MOST_SHAPES)),
    }  # fmt: skip
    text = json.dumps(state, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
    return text.encode("utf-8", "surrogatepass")


def loaded(state: bytes, config: ContextConfig, counter: TokenCounter) -> Transcript:
    """Rebuild a session; its hot bodies are still to be read from the archive.

    Raises:
        ValueError: The bytes are no state, or of a newer format.
    """
    data: dict[str, Any] = json.loads(state.decode("utf-8", "surrogatepass"))
    if data.get("format") != FORMAT:
        raise ValueError(f"format={data.get('format')!r}: a session's state of format {FORMAT}")
    counted = data.get("model")
    if isinstance(counted, str) and config.model is None:
        counter = counter_for(counted)  # it goes on as it was counted
    factors = {name: float(one) for name, one in data.get("factors", {}).items()}
    learned = float(data["factor"])
    if counted not in {None, counter.model}:  # learned of the other model, and kept for it
        factors[counted] = learned
        learned = factors.get(counter.model, UNKNOWN_FACTOR)
    if not counter.exact:
        counter.factor = learned
    session = Transcript(config, counter)
    session.counts.stale = "model" in data and counted != counter.model
    session.counts.factors = factors
    session.entries = [
        Entry(seq, role, tokens, digest, 0, at_s, None, tuple(calls), answers,
              bool(empty), bool(noted), looked_up=bool(looked_up))
        for seq, role, tokens, digest, at_s, calls, answers, empty, noted, looked_up
        in data["entries"]
    ]  # fmt: skip
    session.notes = Notes.load(data["next_note"], data["notes"])
    session.episodes = [Episode(**episode) for episode in data["episodes"]]
    session.replaced = {seq: _replacement(*rest) for seq, *rest in data["replaced"]}
    session.recalls = [Recalled(**recalled) for recalled in data["recalls"]]
    session.first_hot = data["first_hot"]
    session.shown_from = data["shown_from"]
    session.thawed = data["head"]
    session.pinned = data["pinned"]
    session.asked = data["asked"]
    session.owed, session.sent = data.get("owed", (0, 0))
    session.compactions = data["compactions"]
    session.ceiling = data.get("ceiling")
    session.system = [from_openai(message) for message in data["system"]]
    session.system_sources = list(session.system)
    session.system_marks = [mark_of(message) for message in data["system"]]
    session.system_tokens = sum(map(counter.message, session.system))
    session.shapes = Counter(dict(map(tuple, data["shapes"])))
    return session


def _replacement(kind: str, text: str, tokens: int, calls: Any = ()) -> Replacement:
    return Replacement(kind, text, tokens, tuple(ToolCall(*call) for call in calls))

"""More sets that nobody here wrote, read by path: REALTALK, BEAM and BFCL's memory tasks.

`realtalk` reads one `Chat_*.json` of REALTALK (real messenger talks of weeks): `session_N` lists of
messages (`clean_text`, `speaker`, `dia_id`) and `qa` with the evidence's ids. `beam` reads one
conversation's folder of BEAM (`chats/100K/1`): `chat.json`, batches of turns of messages with ids,
and `probing_questions/probing_questions.json`, by ability, with `source_chat_ids`. `bfcl_memory`
reads the folder `bfcl_eval/data` of BFCL v4: one talk for each scenario, made of the conversations
that come before its questions. Their data stays where it is: only what is asked is read here. A
file of another shape is a `WrongShapeError` that names it and the field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.context.outside import Question, Talk, evidence_of, turns_of
from benchmarks.context.shape import Part

__all__ = ["beam", "bfcl_memory", "realtalk"]

_SYSTEM = {"role": "system", "content": "You are an assistant with a good memory."}
_INDEX = re.compile(r"\s*->->.*$", re.DOTALL)
_UNANSWERABLE = {"abstention"}


def realtalk(path: str) -> list[Talk]:
    """Read a talk of REALTALK. Who speaks first is the user; each turn names its speaker."""
    data = Part.read(path)
    texts, messages = turns_of(data, "clean_text", dated=True)
    asked = []
    for one in data.listed("qa"):
        evidence = evidence_of(one, texts)
        if evidence:
            asked.append(Question(one.text("question"), evidence, one.said("answer")))
    return [Talk(Path(path).stem, [_SYSTEM, *messages], asked)]


def beam(path: str) -> list[Talk]:
    """Read a conversation of BEAM. Evidence are the user's messages among its sources.

    The assistant's answers there are pages long: no prompt of a few thousand tokens holds them.
    """
    folder = Path(path)
    messages, said = [_SYSTEM], {}
    for one in _messages_in(Part.read(folder / "chat.json")):
        text = _INDEX.sub("", one.content())
        messages.append({"role": one.text("role"), "content": text})
        if one.text("role") == "user":
            said[one.data.get("id")] = text
    if len(messages) == 1:
        raise Part.read(folder / "chat.json").wrong("turns of messages with a role")
    probes = Part.read(folder / "probing_questions" / "probing_questions.json")
    asked = []
    for ability in probes.keys():  # noqa: SIM118 - a part is no mapping
        for one in probes.part(ability).parts() if ability not in _UNANSWERABLE else ():
            sources = dict.fromkeys(_numbers(one.data.get("source_chat_ids")))
            evidence = [said[number] for number in sources if number in said]
            if evidence:
                asked.append(Question(one.text("question"), evidence, one.said("answer")))
    return [Talk(f"{folder.parent.name}-{folder.name}", messages, asked)]


def _messages_in(part: Part) -> Iterator[Part]:
    """Give the messages of batches of turns, in order; plans of plans have one level more."""
    if isinstance(part.data, dict) and "role" in part.data:
        yield part
    elif isinstance(part.data, dict):
        for key in part.data:
            if isinstance(part.data[key], list | dict):
                yield from _messages_in(part.part(key))
    elif isinstance(part.data, list):
        for one in part.parts():
            yield from _messages_in(one)


def _numbers(sources: Any) -> Iterator[int]:
    if isinstance(sources, int):
        yield sources
    elif isinstance(sources, dict | list):
        for part in sources.values() if isinstance(sources, dict) else sources:
            yield from _numbers(part)


def bfcl_memory(path: str) -> list[Talk]:
    """Read BFCL's memory tasks: graded by the answer's string, for they name no evidence."""
    folder = Path(path)
    answers = {
        one.text("id"): [str(answer.data) for answer in one.part("ground_truth").parts()]
        for one in Part.rows(folder / "possible_answer" / "BFCL_v4_memory.json")
    }
    asked: dict[str, list[Question]] = {}
    for one in Part.rows(folder / "BFCL_v4_memory.json"):
        told = answers.get(one.text("id")) or [""]
        said = _messages_in(one.part("question"))
        text = " ".join(m.content() for m in said if m.text("role") == "user")
        asked.setdefault(one.text("scenario"), []).append(Question(text, [], told[0]))
    talks = []
    for scenario, questions in asked.items():
        messages = [_SYSTEM]
        for row in Part.rows(folder / "memory_prereq_conversation" / f"memory_{scenario}.json"):
            for message in _messages_in(row.part("question")):
                messages.append({"role": message.text("role"), "content": message.content()})
                if message.text("role") == "user":
                    messages.append({"role": "assistant", "content": "I will remember that."})
        talks.append(Talk(f"bfcl-{scenario}", messages, questions))
    return talks

"""More sets that nobody here wrote, read by path: REALTALK, BEAM and BFCL's memory tasks.

`realtalk` reads one `Chat_*.json` of REALTALK (real messenger talks of weeks): `session_N` lists of
messages (`clean_text`, `speaker`, `dia_id`) and `qa` with the evidence's ids. `beam` reads one
conversation's folder of BEAM (`chats/100K/1`): `chat.json`, batches of turns of messages with ids,
and `probing_questions/probing_questions.json`, by ability, with `source_chat_ids`. `bfcl_memory`
reads the folder `bfcl_eval/data` of BFCL v4: one talk for each scenario, made of the conversations
that come before its questions. Their data stays where it is: only what is asked is read here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.context.outside import Question, Talk

__all__ = ["beam", "bfcl_memory", "realtalk"]

_SYSTEM = {"role": "system", "content": "You are an assistant with a good memory."}
_INDEX = re.compile(r"\s*->->.*$", re.DOTALL)
_UNANSWERABLE = {"abstention"}


def realtalk(path: str) -> list[Talk]:
    """Read a talk of REALTALK. Who speaks first is the user; each turn names its speaker."""
    data = json.loads(Path(path).read_text(encoding="utf-8"))
    texts: dict[str, str] = {}
    messages, user = [_SYSTEM], ""
    for number in _sessions(data):
        day = str(data.get(f"session_{number}_date_time", ""))
        for at, turn in enumerate(data[f"session_{number}"]):
            text = str(turn.get("clean_text") or turn.get("text") or "")
            if not text:
                continue
            texts[turn.get("dia_id", "")] = text
            user = user or turn["speaker"]
            head = f"[{day}] " if day and not at else ""
            role = "user" if turn["speaker"] == user else "assistant"
            messages.append({"role": role, "content": f"{head}{turn['speaker']}: {text}"})
    asked = []
    for one in data.get("qa") or ():
        found = one.get("evidence") or ()
        places = re.findall(r"D\d+:\d+", found if isinstance(found, str) else " ".join(found))
        evidence = [texts[place] for place in places if place in texts]
        if evidence:
            asked.append(Question(one["question"], evidence, str(one.get("answer", ""))))
    return [Talk(Path(path).stem, messages, asked)]


def _sessions(data: dict[str, Any]) -> list[int]:
    return sorted(int(key.split("_")[1]) for key in data if re.fullmatch(r"session_\d+", key))


def beam(path: str) -> list[Talk]:
    """Read a conversation of BEAM. Evidence are the user's messages among its sources.

    The assistant's answers there are pages long: no prompt of a few thousand tokens holds them.
    """
    folder = Path(path)
    messages, said = [_SYSTEM], {}
    for one in _messages_in(json.loads((folder / "chat.json").read_text(encoding="utf-8"))):
        text = _INDEX.sub("", str(one.get("content") or ""))
        messages.append({"role": one["role"], "content": text})
        if one["role"] == "user":
            said[one.get("id")] = text
    file = folder / "probing_questions" / "probing_questions.json"
    asked = []
    for ability, questions in json.loads(file.read_text(encoding="utf-8")).items():
        for one in questions if ability not in _UNANSWERABLE else ():
            sources = dict.fromkeys(_numbers(one.get("source_chat_ids")))
            evidence = [said[number] for number in sources if number in said]
            if evidence:
                asked.append(Question(one["question"], evidence, str(one.get("answer", ""))))
    return [Talk(f"{folder.parent.name}-{folder.name}", messages, asked)]


def _messages_in(data: Any) -> Iterator[dict[str, Any]]:
    """Give the messages of batches of turns, in order; plans of plans have one level more."""
    if isinstance(data, dict) and "role" in data:
        yield data
    elif isinstance(data, dict):
        for value in data.values():
            if isinstance(value, list | dict):
                yield from _messages_in(value)
    elif isinstance(data, list):
        for part in data:
            yield from _messages_in(part)


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
        one["id"]: [str(answer) for answer in one["ground_truth"]]
        for one in _rows(folder / "possible_answer" / "BFCL_v4_memory.json")
    }
    asked: dict[str, list[Question]] = {}
    for one in _rows(folder / "BFCL_v4_memory.json"):
        told = answers.get(one["id"]) or [""]
        text = " ".join(m["content"] for m in _messages_in(one["question"]) if m["role"] == "user")
        asked.setdefault(str(one.get("scenario")), []).append(Question(text, [], told[0]))
    talks = []
    for scenario, questions in asked.items():
        messages = [_SYSTEM]
        for row in _rows(folder / "memory_prereq_conversation" / f"memory_{scenario}.json"):
            for message in _messages_in(row["question"]):
                messages.append({"role": message["role"], "content": message["content"]})
                if message["role"] == "user":
                    messages.append({"role": "assistant", "content": "I will remember that."})
        talks.append(Talk(f"bfcl-{scenario}", messages, questions))
    return talks


def _rows(path: Path) -> list[dict[str, Any]]:
    """Read a file of one JSON object a line, or of a list."""
    text = path.read_text(encoding="utf-8").strip()
    if text.startswith("["):
        listed: list[dict[str, Any]] = json.loads(text)
        return listed
    return [json.loads(line) for line in text.splitlines() if line.strip()]

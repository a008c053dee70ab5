"""Conversations that nobody here wrote, read by path: their data may not be shipped.

`locomo` reads the file of LoCoMo's repository (snap-research/LoCoMo, `data/locomo10.json`): a list
of samples with `conversation` (sessions of turns) and `qa` (question, answer, evidence). `dialogue`
reads any talk in a plain form of our own, for sets whose licence or format asks for a conversion:
``{"messages": [...], "questions": [{"question", "answer", "evidence": [place, ...]}]}``, or a list
of such. `tau_bench` reads the trajectories that tau-bench writes (`results/*.json`: a list of runs
with `traj` in OpenAI's format); `swe_agent` those of SWE-agent (`*.traj`: `history` or
`trajectory`). Of recorded agents, the questions are the argument values of later calls.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Question", "Talk", "dialogue", "locomo", "swe_agent", "tau_bench"]


@dataclass
class Question:
    """What is asked after (or in the middle of) a talk, and what has to be in the prompt then.

    Args:
        text: The question, as a user would put it; "" for the next request as it is.
        evidence: Texts that have to stand in the prompt word for word, all of them.
        answer: A string that tells the answer; "" where there is none.
        old: Values that held before; none may stand in the prompt as if it still did.
        at: How many messages of the talk come before it; None for all.
    """

    text: str
    evidence: list[str]
    answer: str = ""
    old: list[str] = field(default_factory=list)
    at: int | None = None


@dataclass
class Talk:
    """A conversation with its questions."""

    name: str
    messages: list[dict]
    questions: list[Question]


def locomo(path: str, *, dated: bool = True, without: tuple[int, ...] = (5,)) -> list[Talk]:
    """Read LoCoMo. Who speaks first is the user; each turn names its speaker.

    Args:
        path: The JSON file.
        dated: Whether the first turn of each session begins with the session's date.
        without: Categories left out; those of 5 have no answer in the talk.
    """
    talks = []
    for sample in json.loads(Path(path).read_text(encoding="utf-8")):
        talk = sample["conversation"]
        texts: dict[str, str] = {}
        user = ""
        messages = [{"role": "system", "content": "You talk with a friend."}]
        for number in sorted(
            int(key.split("_")[1]) for key in talk if re.fullmatch(r"session_\d+", key)
        ):
            date = talk.get(f"session_{number}_date_time", "")
            for at, turn in enumerate(talk[f"session_{number}"]):
                texts[turn["dia_id"]] = turn["text"]
                head = f"[{date}] " if dated and not at and date else ""
                user = user or turn["speaker"]
                role = "user" if turn["speaker"] == user else "assistant"
                said = f"{head}{turn['speaker']}: {turn['text']}"
                messages.append({"role": role, "content": said})
        asked = []
        for one in sample["qa"]:
            places = re.findall(r"D\d+:\d+", " ".join(one.get("evidence") or ()))
            evidence = [texts[place] for place in places if place in texts]
            if evidence and one["category"] not in without:
                asked.append(Question(one["question"], evidence, str(one.get("answer", ""))))
        talks.append(Talk(sample["sample_id"], messages, asked))
    return talks


def dialogue(path: str) -> list[Talk]:
    """Read talks in the plain form. `evidence` names places in `messages`, or gives texts."""
    data = json.loads(Path(path).read_text(encoding="utf-8"))
    talks = []
    for at, one in enumerate(data if isinstance(data, list) else [data]):
        messages = one["messages"]
        asked = [
            Question(
                q["question"],
                [messages[e]["content"] if isinstance(e, int) else str(e) for e in q["evidence"]],
                str(q.get("answer", "")),
                [str(value) for value in q.get("old", ())],
                q.get("at"),
            )
            for q in one["questions"]
        ]
        talks.append(Talk(str(one.get("name", at)), messages, asked))
    return talks


def tau_bench(path: str) -> list[Talk]:
    """Read tau-bench's runs; asked are values in later calls that were told or returned before."""
    talks = []
    for at, run in enumerate(json.loads(Path(path).read_text(encoding="utf-8"))):
        messages = [_plain(message) for message in run["traj"]]
        talks.append(Talk(f"{run.get('task_id', at)}", messages, argument_values(messages)))
    return talks


def swe_agent(path: str) -> list[Talk]:
    """Read one trajectory of SWE-agent: its history, thoughts and actions as messages."""
    data = json.loads(Path(path).read_text(encoding="utf-8"))
    messages = [
        {"role": step["role"], "content": _text(step.get("content"))}
        for step in data.get("history") or ()
    ]
    if not messages:
        for step in data["trajectory"]:
            said = f"{step.get('thought', '')}\n{step.get('action', '')}".strip()
            messages.append({"role": "assistant", "content": said or "(nothing)"})
            messages.append({"role": "user", "content": _text(step.get("observation"))})
    for message in messages:
        if message["role"] not in {"system", "user", "assistant"}:
            message["role"] = "user"
    return [Talk(Path(path).stem, messages, [])]


_VALUE_CHARS = 4


def argument_values(messages: list[dict]) -> list[Question]:
    """Give what an agent needs: each argument value of a call that a message before it holds."""
    asked = []
    for at, message in enumerate(messages):
        calls = message.get("tool_calls") or ()
        before = [text for m in messages[:at] if (text := _text(m.get("content")))]
        values = [v for call in calls for v in _values(call["function"]["arguments"])]
        known = [v for v in values if any(v in text for text in before)]
        asked += [Question("", [value], value, at=at) for value in dict.fromkeys(known)]
    return asked


def _values(arguments: str) -> list[str]:
    try:
        data = json.loads(arguments)
    except ValueError:
        return []
    found: list[str] = []
    todo = [data]
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            todo += one.values()
        elif isinstance(one, list):
            todo += one
        elif isinstance(one, str) and len(one) >= _VALUE_CHARS:
            found.append(one)
    return found[::-1]


def _plain(message: dict[str, Any]) -> dict[str, Any]:
    kept = {k: message[k] for k in ("role", "content", "tool_call_id", "name") if message.get(k)}
    kept.setdefault("content", "")
    if message.get("tool_calls"):
        kept["tool_calls"] = [
            {"id": c["id"], "type": "function", "function": dict(c["function"])}
            for c in message["tool_calls"]
        ]
    return kept


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "\n".join(str(b.get("text", "")) for b in content if isinstance(b, dict))
    return str(content or "")

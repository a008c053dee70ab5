"""Conversations that nobody here wrote, read by path: their data may not be shipped.

`locomo` reads the file of LoCoMo's repository (snap-research/LoCoMo, `data/locomo10.json`): a list
of samples with `conversation` (sessions of turns) and `qa` (question, answer, evidence). `dialogue`
reads any talk in a plain form of our own, for sets whose licence or format asks for a conversion:
``{"messages": [...], "questions": [{"question", "answer", "evidence": [place, ...]}]}``, or a list
of such. `tau_bench` reads the trajectories that tau-bench writes (`results/*.json`: a list of runs
with `traj` in OpenAI's format); `swe_agent` those of SWE-agent (`*.traj`: `history` or
`trajectory`). Of recorded agents, the questions are what later calls were made with: argument
values, or the files that an action names. A file of another shape is a `WrongShapeError`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.context.shape import Part

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
    for sample in Part.read(path).parts():
        texts, spoken = turns_of(sample.part("conversation"), "text", dated=dated)
        messages = [{"role": "system", "content": "You talk with a friend."}, *spoken]
        asked = []
        for one in sample.part("qa").parts():
            evidence = evidence_of(one, texts)
            if evidence and one.whole("category") not in without:
                asked.append(Question(one.text("question"), evidence, one.said("answer")))
        talks.append(Talk(sample.text("sample_id"), messages, asked))
    return talks


def turns_of(talk: Part, key: str, *, dated: bool) -> tuple[dict[str, str], list[dict]]:
    """Read sessions of turns of two speakers: their texts by id, and the messages.

    Args:
        talk: Has ``session_N`` with turns (`speaker`, `dia_id`), and ``session_N_date_time``.
        key: Of a turn's text.
        dated: Whether the first turn of each session begins with the session's date.
    """
    texts: dict[str, str] = {}
    messages: list[dict] = []
    user = ""
    numbers = sorted(int(k[8:]) for k in talk.keys() if re.fullmatch(r"session_\d+", k))  # noqa: SIM118
    if not numbers:
        raise talk.part("session_1").wrong("a list of turns")
    for number in numbers:
        date = talk.said(f"session_{number}_date_time") if dated else ""
        first = True
        for turn in talk.part(f"session_{number}").parts():
            text = turn.said(key) or turn.said("text")
            if not text:
                if not {key, "text"} & turn.data.keys():
                    raise turn.part(key).wrong("a text")
                continue  # a picture alone
            speaker = turn.text("speaker")
            texts[turn.said("dia_id")] = text
            user = user or speaker
            head = f"[{date}] " if first and date else ""
            first = False
            role = "user" if speaker == user else "assistant"
            messages.append({"role": role, "content": f"{head}{speaker}: {text}"})
    return texts, messages


def evidence_of(question: Part, texts: dict[str, str]) -> list[str]:
    """Give the texts that a question names as its evidence, as far as they are there."""
    found = question.data.get("evidence") or ()
    named = found if isinstance(found, str) else " ".join(map(str, found))
    return [texts[place] for place in re.findall(r"D\d+:\d+", named) if place in texts]


def dialogue(path: str) -> list[Talk]:
    """Read talks in the plain form. `evidence` names places in `messages`, or gives texts."""
    whole = Part.read(path)
    talks = []
    for at, one in enumerate(whole.parts() if isinstance(whole.data, list) else [whole]):
        told = one.part("messages").parts()
        messages = [m.data for m in told if m.text("role")]
        asked = []
        for q in one.part("questions").parts():
            evidence = []
            for e in q.part("evidence").parts():
                place = e.data
                if isinstance(place, int) and not 0 <= place < len(told):
                    raise e.wrong(f"a place below {len(told)}")
                evidence.append(told[place].content() if isinstance(place, int) else str(place))
            old = [str(value.data) for value in q.listed("old")]
            place = q.whole("at") if q.has("at") else None
            asked.append(Question(q.text("question"), evidence, q.said("answer"), old, place))
        talks.append(Talk(one.said("name") or str(at), messages, asked))
    return talks


def tau_bench(path: str) -> list[Talk]:
    """Read tau-bench's runs; asked are values in later calls that were told or returned before."""
    talks = []
    for at, run in enumerate(Part.read(path).parts()):
        messages = [_plain(message) for message in run.part("traj").parts()]
        talks.append(Talk(run.said("task_id") or str(at), messages, argument_values(messages)))
    return talks


def swe_agent(path: str) -> list[Talk]:
    """Read one trajectory of SWE-agent: its history, thoughts and actions as messages.

    Asked are the files that an action names and that an observation before it has told.
    """
    whole = Part.read(path)
    messages, actions = [], {}
    for step in whole.listed("history"):
        role, text = step.text("role"), step.content()
        if role == "assistant":
            actions[len(messages)] = step.said("action") or text
            if not text:
                text = step.said("action")
        known = role if role in {"system", "user", "assistant"} else "user"
        messages.append({"role": known, "content": text or "(nothing)"})
    if not messages:
        for step in whole.part("trajectory").parts():
            said = f"{step.said('thought')}\n{step.text('action')}".strip()
            actions[len(messages)] = step.said("action")
            messages.append({"role": "assistant", "content": said or "(nothing)"})
            messages.append({"role": "user", "content": step.content("observation")})
    asked = []
    for at, action in actions.items():
        before = "\n".join(m["content"] for m in messages[:at] if m["role"] == "user")
        named = dict.fromkeys(_FILES.findall(action))
        asked += [Question("", [name], name, at=at) for name in named if name in before]
    return [Talk(Path(path).stem, messages, asked)]


_VALUE_CHARS = 4
_FILES = re.compile(
    r"[\w./-]*\w/[\w./-]*\w\.\w{1,6}\b|\b[\w-]{3,}\.(?:py|md|rst|toml|cfg|json|c|h|js|ts)\b"
)


def argument_values(messages: list[dict]) -> list[Question]:
    """Give what an agent needs: each argument value of a call that a message before it holds."""
    asked = []
    for at, message in enumerate(messages):
        calls = message.get("tool_calls") or ()
        before = [m["content"] for m in messages[:at] if m.get("content")]
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


def _plain(message: Part) -> dict:
    kept: dict = {"role": message.text("role"), "content": message.content()}
    kept |= {key: message.text(key) for key in ("tool_call_id", "name") if message.has(key)}
    calls = []
    for call in message.listed("tool_calls"):
        function = call.part("function")
        told = {"name": function.text("name"), "arguments": function.text("arguments")}
        calls.append({"id": call.text("id"), "type": "function", "function": told})
    return {**kept, "tool_calls": calls} if calls else kept

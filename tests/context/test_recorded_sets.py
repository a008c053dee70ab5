"""Loaders of LoCoMo, plain dialogues, tau-bench and SWE-agent; what is wrong is named."""

from __future__ import annotations

import json

import pytest

from agentrm_plugins.config.context import ContextConfig
from benchmarks.context.asked import OUTSIDE, row
from benchmarks.context.outside import dialogue, locomo, swe_agent, tau_bench
from benchmarks.context.shape import WrongShapeError

CONFIG = ContextConfig(budget_tokens=800)
LOCOMO = [
    {
        "sample_id": "conv-0",
        "conversation": {
            "speaker_a": "Ada",
            "speaker_b": "Bo",
            "session_2": [{"speaker": "Bo", "dia_id": "D2:1", "text": "Still there?"}],
            "session_2_date_time": "2:00 pm on 9 May, 2023",
            "session_1_date_time": "1:00 pm on 8 May, 2023",
            "session_1": [
                {"speaker": "Ada", "dia_id": "D1:1", "text": "I keep bees."},
                {"speaker": "Bo", "dia_id": "D1:2", "text": "", "img_url": ["x"]},
                {"speaker": "Bo", "dia_id": "D1:3", "text": "Nice."},
            ],
        },
        "qa": [
            {"question": "What does Ada keep?", "answer": "bees", "evidence": ["D1:1"],
             "category": 4},
            {"question": "How many?", "answer": 2, "evidence": ["D1:1; D2:1"], "category": 1},
            {"question": "Who?", "adversarial_answer": "Bo", "evidence": ["D1:1"], "category": 5},
        ],
    }
]  # fmt: skip
RUNS = [
    {
        "task_id": 7,
        "reward": 1.0,
        "traj": [
            {"role": "system", "content": "Policy."},
            {"role": "user", "content": "I am mia_li_3668."},
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": "c1", "type": "function",
                 "function": {"name": "get", "arguments": '{"user_id": "mia_li_3668"}'}}]},
            {"role": "tool", "tool_call_id": "c1", "name": "get", "content": '{"pay": "card_441"}'},
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": "c2", "type": "function",
                 "function": {"name": "pay", "arguments": '{"with": ["card_441"], "for": "zzzz"}'}}
            ]},
            {"role": "tool", "tool_call_id": "c2", "name": "pay", "content": "ok"},
        ],
    }
]  # fmt: skip
STEPS = {
    "environment": "swe_main",
    "trajectory": [
        {"thought": "Look.", "action": "ls src", "observation": "src/fields.py\nREADME.md",
         "response": "", "state": "{}"},
        {"thought": "Open it.", "action": "open src/fields.py 12", "observation": "12: x = 1",
         "response": "", "state": "{}"},
    ],
}  # fmt: skip
HISTORY = {
    "trajectory": [],
    "history": [
        {"role": "system", "content": "You fix bugs.", "agent": "main"},
        {"role": "user", "content": [{"type": "text", "text": "See docs/guide.rst, please."}]},
        {"role": "assistant", "content": "", "thought": "", "action": "cat docs/guide.rst",
         "tool_calls": [{"id": "t1", "function": {"name": "bash", "arguments": "{}"}}]},
        {"role": "tool", "content": "A guide.", "tool_call_ids": ["t1"]},
    ],
}  # fmt: skip
TALK = {
    "name": "plain",
    "messages": [{"role": "user", "content": "The port is 9100."},
                 {"role": "assistant", "content": "Noted."}],
    "questions": [{"question": "Which port?", "answer": "9100", "evidence": [0, "9100"],
                   "old": [8443], "at": 2}],
}  # fmt: skip


def written(path, data):
    path.write_text(json.dumps(data), encoding="utf-8")
    return str(path)


def test_locomo_is_read_by_session_with_the_evidence_of_each_question(tmp_path):
    """Sessions go by number, pictures alone are left out, a question without an answer too."""
    (talk,) = locomo(written(tmp_path / "a.json", LOCOMO))
    assert [(m["role"], m["content"]) for m in talk.messages[1:]] == [
        ("user", "[1:00 pm on 8 May, 2023] Ada: I keep bees."),
        ("assistant", "Bo: Nice."),
        ("assistant", "[2:00 pm on 9 May, 2023] Bo: Still there?"),
    ]
    assert [(q.text, q.evidence, q.answer) for q in talk.questions] == [
        ("What does Ada keep?", ["I keep bees."], "bees"),
        ("How many?", ["I keep bees.", "Still there?"], "2"),
    ]
    assert row([(talk, [])], CONFIG)["kept"] == 100.0


def test_a_run_of_tau_bench_asks_for_the_values_of_its_later_calls(tmp_path):
    """Those that were told or returned before; what a call makes up is asked by nobody."""
    (talk,) = tau_bench(written(tmp_path / "a.json", RUNS))
    assert talk.name == "7"
    assert [(q.at, q.answer) for q in talk.questions] == [(2, "mia_li_3668"), (4, "card_441")]
    assert talk.messages[2]["tool_calls"][0]["function"]["name"] == "get"
    assert row([(talk, [])], CONFIG)["kept"] == 100.0


@pytest.mark.parametrize(
    ("data", "at", "name"), [(STEPS, 2, "src/fields.py"), (HISTORY, 2, "docs/guide.rst")]
)
def test_a_trajectory_of_swe_agent_asks_for_the_files_of_its_actions(tmp_path, data, at, name):
    """Both forms: the steps alone, and the history that its newer versions write."""
    (talk,) = swe_agent(written(tmp_path / "bug.traj", data))
    assert [(q.at, q.answer) for q in talk.questions] == [(at, name)]
    assert {m["role"] for m in talk.messages} <= {"system", "user", "assistant"}
    assert all(m["content"] for m in talk.messages)


def test_a_plain_dialogue_names_its_evidence_by_place_or_text(tmp_path):
    """One talk or a list of them."""
    for data in (TALK, [TALK]):
        (talk,) = dialogue(written(tmp_path / "a.json", data))
        (asked,) = talk.questions
        assert (talk.name, asked.evidence) == ("plain", ["The port is 9100.", "9100"])
        assert (asked.old, asked.at, asked.answer) == (["8443"], 2, "9100")


def changed(data, change):
    made = json.loads(json.dumps(data))
    change(made)
    return made


WRONG = [
    ("locomo", {"a": 1}, "the whole file: a list was expected, and it is an object"),
    ("locomo", changed(LOCOMO, lambda d: d[0].pop("qa")), "[0].qa: a list .* missing"),
    ("locomo", changed(LOCOMO, lambda d: d[0].update(conversation={"x": 1})),
     "[0].conversation.session_1: a list of turns"),
    ("locomo", changed(LOCOMO, lambda d: d[0]["qa"][1].update(category="1")),
     "[0].qa[1].category: a whole number was expected, and it is a text"),
    ("locomo", changed(LOCOMO, lambda d: d[0]["conversation"]["session_1"][0].pop("text")),
     "[0].conversation.session_1[0].text: a text"),
    ("realtalk", {"session_1": [{"clean_text": "hi"}]}, "session_1[0].speaker: a text"),
    ("realtalk", {"qa": []}, "session_1: a list of turns"),
    ("dialogue", {"messages": []}, "questions: a list"),
    ("dialogue", {**TALK, "questions": [{"question": "?", "evidence": [9]}]},
     "questions[0].evidence[0]: a place below 2 was expected, and it is a number"),
    ("tau", [{"trajectory": []}], "[0].traj: a list"),
    ("tau", changed(RUNS, lambda d: d[0]["traj"][2]["tool_calls"][0].pop("function")),
     "[0].traj[2].tool_calls[0].function: an object"),
    ("swe", {"history": "no"}, "history: a list was expected, and it is a text"),
    ("swe", {"info": {}}, "trajectory: a list was expected, and it is missing"),
    ("swe", {"trajectory": [{"thought": "x"}]}, "trajectory[0].action: a text"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "data", "said"), WRONG)
def test_a_file_of_another_shape_is_named_with_the_field(tmp_path, name, data, said):
    """Whoever converted a set sees where it went wrong, not a KeyError."""
    path = written(tmp_path / "given.json", data)
    with pytest.raises(WrongShapeError) as caught:
        OUTSIDE[name](path)
    start, *rest = said.split(".*")
    assert str(caught.value).startswith(f"{path}: {start.rstrip()}")
    assert all(part.strip() in str(caught.value) for part in rest)


@pytest.mark.parametrize("name", sorted(OUTSIDE))
def test_what_is_not_there_or_no_json_is_named(tmp_path, name):
    """Each loader names the file that it looked for."""
    with pytest.raises(WrongShapeError, match="gone"):
        OUTSIDE[name](str(tmp_path / "gone"))
    folder = tmp_path / "gone"
    folder.mkdir()
    files = {"beam": ["chat.json"], "bfcl": ["BFCL_v4_memory.json"]}.get(name, [])
    (folder / "possible_answer").mkdir()
    for file in [*files, "possible_answer/BFCL_v4_memory.json", "a.json"]:
        (folder / file).write_text("{no json", encoding="utf-8")
    given = folder if files else folder / "a.json"
    with pytest.raises(WrongShapeError, match="this is no JSON"):
        OUTSIDE[name](str(given))

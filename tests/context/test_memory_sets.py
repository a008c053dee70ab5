"""The benchmark's loaders: small made-up files in the shape of the sets that may not be shipped."""

from __future__ import annotations

import json

from agentrm_plugins.config.context import ContextConfig
from benchmarks.context.asked import row
from benchmarks.context.memory_sets import beam, bfcl_memory, realtalk

CONFIG = ContextConfig(budget_tokens=800)


def written(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data), encoding="utf-8")


def lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


def test_realtalk_is_read_with_its_days_speakers_and_evidence(tmp_path):
    """Who speaks first is the user; sessions are read by number, not as text."""
    said = [("Ada", "I keep bees."), ("Bo", "Nice."), ("Ada", "")]
    data = {
        "name": {"speaker_1": "Ada", "speaker_2": "Bo"},
        "session_1_date_time": "29.12.2025, 10:00:00",
        "session_1": [
            {"clean_text": text, "speaker": who, "dia_id": f"D1:{at}"}
            for at, (who, text) in enumerate(said, start=1)
        ],
        "events_session_1": {},
        "session_2": [{"clean_text": "Still?", "speaker": "Bo", "dia_id": "D2:1"}],
        "session_10": [{"clean_text": "Yes.", "speaker": "Ada", "dia_id": "D10:1"}],
        "qa": [
            {"question": "What does Ada keep?", "answer": "bees", "evidence": ["D1:1", "D10:1"]},
            {"question": "Whose?", "answer": "-", "evidence": ["D9:9"]},
        ],
    }
    written(tmp_path / "Chat_1.json", data)
    (talk,) = realtalk(str(tmp_path / "Chat_1.json"))
    assert [m["content"] for m in talk.messages[1:]] == [
        "[29.12.2025, 10:00:00] Ada: I keep bees.", "Bo: Nice.", "Bo: Still?", "Ada: Yes.",
    ]  # fmt: skip
    assert [m["role"] for m in talk.messages] == ["system", "user", *["assistant"] * 2, "user"]
    assert [(q.text, q.evidence, q.answer) for q in talk.questions] == [
        ("What does Ada keep?", ["I keep bees.", "Yes."], "bees")
    ]
    assert row([(talk, [])], CONFIG)["kept"] == 100.0


def test_beam_is_read_with_the_users_messages_as_evidence(tmp_path):
    """Sources may be lists or named; what cannot be answered is not asked."""
    turns = [
        {"role": "user", "id": 0, "content": "The sprint ends on 29 March. ->-> 1,1"},
        {"role": "assistant", "id": 1, "content": "Noted."},
    ]
    more = [
        {"role": "user", "id": 2, "content": "It ends on 5 April now."},
        {"role": "assistant", "id": 3, "content": "Noted again."},
    ]
    folder = tmp_path / "100K" / "1"
    written(folder / "chat.json", [{"batch_number": 1, "turns": [turns, more]}])
    probes = {
        "abstention": [{"question": "Who am I?", "ideal_response": "unknown"}],
        "information_extraction": [
            {"question": "When did it end?", "answer": "29 March", "source_chat_ids": [0, 1]}
        ],
        "knowledge_update": [
            {"question": "And now?", "answer": "5 April",
             "source_chat_ids": {"original_info": [0], "updated_info": [2]}}
        ],
        "summarization": [{"question": "Sum up.", "source_chat_ids": []}],
    }  # fmt: skip
    written(folder / "probing_questions" / "probing_questions.json", probes)
    (talk,) = beam(str(folder))
    assert talk.name == "100K-1"
    assert [q.evidence for q in talk.questions] == [
        ["The sprint ends on 29 March."],
        ["The sprint ends on 29 March.", "It ends on 5 April now."],
    ]
    assert row([(talk, [])], CONFIG)["kept"] == 100.0


def test_bfcl_is_read_by_scenario_and_graded_by_its_answers(tmp_path):
    """One talk for each scenario, made of the conversations before its questions."""
    question = [[{"role": "user", "content": "Which tea do I drink?"}]]
    lines(tmp_path / "BFCL_v4_memory.json", [
        {"id": "memory_0", "question": question, "scenario": "customer"},
        {"id": "memory_1", "question": question, "scenario": "student"},
    ])  # fmt: skip
    lines(tmp_path / "possible_answer" / "BFCL_v4_memory.json", [
        {"id": "memory_0", "ground_truth": ["oolong", "Oolong tea"]},
        {"id": "memory_1", "ground_truth": ["mint"]},
    ])  # fmt: skip
    for scenario, tea in (("customer", "oolong"), ("student", "mint")):
        said = [[{"role": "user", "content": f"I drink {tea} tea."}],
                [{"role": "user", "content": "Thanks."}]]  # fmt: skip
        lines(tmp_path / "memory_prereq_conversation" / f"memory_{scenario}.json",
              [{"id": f"prereq-{scenario}-0", "question": said}])  # fmt: skip
    talks = bfcl_memory(str(tmp_path))
    assert [talk.name for talk in talks] == ["bfcl-customer", "bfcl-student"]
    assert [len(talk.messages) for talk in talks] == [5, 5]
    assert [talk.questions[0].answer for talk in talks] == ["oolong", "mint"]
    result = row([(talk, []) for talk in talks], CONFIG)
    assert (result["asked"], result["kept"], result["answered"]) == (0, None, 100.0)

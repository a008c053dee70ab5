"""The benchmark reads recorded chats: OpenAI's format and LangChain's dumps give one session."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from langchain_core.load import dumpd
from langchain_core.messages import (
    AIMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    messages_to_dict,
)

from benchmarks.context.recorded import recorded

ROOT = str(Path(__file__).parents[2])
CALL = {"name": "look", "args": {"at": "harbour"}, "id": "call_1", "type": "tool_call"}
CHAT = [
    SystemMessage("Be brief."),
    HumanMessage("Where is berth 7?"),
    AIMessage("", tool_calls=[CALL]),
    ToolMessage("north quay", tool_call_id="call_1"),
    AIMessage("At the north quay."),
]
OPENAI = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Where is berth 7?"},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "look", "arguments": '{"at": "harbour"}'},
            }
        ],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "north quay"},
    {"role": "assistant", "content": "At the north quay."},
]
FORMS = {
    "openai": OPENAI,
    "object": {"messages": OPENAI},
    "to_dict": messages_to_dict(CHAT),
    "dumpd": [dumpd(message) for message in CHAT],
    "model_dump": [message.model_dump() for message in CHAT],
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_read(tmp_path, form):
    """The same chat in each form gives the same messages."""
    path = tmp_path / "chat.json"
    path.write_text(json.dumps(FORMS[form]), encoding="utf-8")
    assert recorded(str(path)).messages == OPENAI


def test_no_chat_is_refused(tmp_path):
    """A file without messages is an error that names it."""
    path = tmp_path / "chat.json"
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match="messages"):
        recorded(str(path))


def test_the_benchmark_plays_a_recorded_chat(tmp_path):
    """``--session FILE`` plays the chat at each budget and writes its figures."""
    path = tmp_path / "chat.json"
    path.write_text(json.dumps(FORMS["dumpd"]), encoding="utf-8")
    command = [sys.executable, "-m", "benchmarks.context", "--only-ours", "--session", str(path)]
    subprocess.run(
        [*command, "--out", str(tmp_path)], cwd=ROOT, check=True, timeout=120, capture_output=True
    )
    data = json.loads((tmp_path / "context-recorded.json").read_text(encoding="utf-8"))
    assert {r["recorded"]["calls"] for r in data["results"].values()} == {2}
    assert not any(r["recorded"]["invalid"] for r in data["results"].values())

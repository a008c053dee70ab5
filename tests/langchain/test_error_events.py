"""An `error` event in a stream of responses, through the real package."""

from __future__ import annotations

import json

import httpx
import httpx2
import pytest
from langchain_openai import ChatOpenAI

from agentrm_langchain import wrap_chat_model
from agentrm_plugins import AgentRM

RESPONSE = {
    "id": "r",
    "object": "response",
    "created_at": 1,
    "model": "m",
    "status": "in_progress",
    "output": [],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
}
CREATED = {"type": "response.created", "sequence_number": 0, "response": RESPONSE}
SAID = {"type": "response.output_text.delta", "sequence_number": 1, "item_id": "m1",
        "output_index": 0, "content_index": 0, "delta": "river", "logprobs": []}  # fmt: skip
DONE = {"type": "response.completed", "sequence_number": 2,
        "response": {**RESPONSE, "status": "completed"}}  # fmt: skip


@pytest.mark.parametrize("code", ["429", "503"])
def test_a_code_that_is_a_number_is_asked_again(code):
    """Before the first word; it was given up at once."""
    failed = {"type": "error", "sequence_number": 1, "code": code, "message": "x", "param": None}
    asked = []

    def answer(request):
        asked.append(request)
        events = [CREATED, failed] if len(asked) == 1 else [CREATED, SAID, DONE]
        body = "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in events)
        kind = {"content-type": "text/event-stream"}
        return library.Response(200, headers=kind, content=body.encode())

    for library in (httpx2, httpx):
        http = library.Client(transport=library.MockTransport(answer))
        try:
            bare = ChatOpenAI(model="m", api_key="k", use_responses_api=True, http_client=http)
            break
        except TypeError:  # of the other library
            http.close()
    with http, AgentRM() as rm:
        model = wrap_chat_model(bare, rm)
        assert "".join(chunk.text for chunk in model.stream("go")) == "river"
    assert len(asked) == 2

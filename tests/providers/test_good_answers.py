"""What looks at an answer for an error in it leaves a good one to its reader, whole."""

from __future__ import annotations

import json
from typing import Any

import pytest
import tenacity

from agentrm_langchain import wrap_chat_model
from agentrm_plugins import AgentRM, RetryPolicy
from tests.providers.models import KEY, MESSAGE, PACKAGES, good, model_of
from tests.providers.test_hidden_errors import AMAZON, WAYS, framed, text

# Google's package makes a session of aiohttp in a way that aiohttp discourages.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")
QUICK = RetryPolicy(wait=tenacity.wait_none(), stop=tenacity.stop_after_attempt(3))
EMPTY = {**MESSAGE, "content": []}
"""What Anthropic's models say when the results of their tools say it all."""
QUOTES = json.loads(json.dumps(MESSAGE).replace('"hi"', '"\\"error\\""'))
INVOKED: dict[str, tuple[str, Any, str]] = {
    "a message": ("anthropic", MESSAGE, "hi"),
    "a message of no words": ("anthropic", EMPTY, ""),
    "a message that quotes": ("anthropic", QUOTES, '"error"'),
    "another model's": ("meta", {"generation": "hi", "stop_reason": "stop"}, "hi"),
    "one with a status": ("mistral", {"outputs": [{"text": "hi"}], "status": "done"}, "hi"),
}


@pytest.fixture
def rm():
    with AgentRM(lanes=2) as core:
        yield core
        assert core.statistics().running == 0


def invoked(loopback: Any, maker: str = "anthropic", kind: str = "ChatBedrock") -> Any:
    """A model that calls `InvokeModel`, whose answer botocore gives as a stream to be read."""
    package = pytest.importorskip("langchain_aws")
    given = {
        "region_name": "us-east-1",
        "aws_access_key_id": "test-key-id",
        "aws_secret_access_key": KEY,
        "endpoint_url": loopback.url,
    }
    return getattr(package, kind)(
        **given, model_id=f"{maker}.m", provider=maker, disable_streaming=False
    )


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
@pytest.mark.parametrize("what", INVOKED)
def test_amazons_invoked_model_answers_once(loopback, rm, what, way):
    """The look took the body out of the reader's hands, and each answer was bought three times."""
    maker, body, said = INVOKED[what]
    loopback.always(200, body)
    assert text(wrap_chat_model(invoked(loopback, maker), rm, retry=QUICK), way) == said
    assert len(loopback.requests) == 1


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_amazons_invoked_stream_is_told_whole(loopback, rm, way):
    """Nobody reads ahead in it."""
    told = [
        {"type": "message_start", "message": {**EMPTY, "stop_reason": None}},
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "text", "text": ""},
        },
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 3},
        },
        {"type": "message_stop"},
    ]
    loopback.always(200, b"".join(map(framed, told)), **AMAZON)
    assert text(wrap_chat_model(invoked(loopback), rm, retry=QUICK), way) == "hi"
    assert len(loopback.requests) == 1


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, {"type": "error", "error": {"type": "ThrottlingException", "message": "no"}}),
        ({}, {"__type": "ThrottlingException", "message": "no"}),
        ({"x-amzn-errortype": "ThrottlingException"}, {}),
    ],
)
def test_an_error_of_amazons_invoked_model_is_one_still(loopback, rm, headers, body):
    """Of status 200, as a gateway tells it."""
    loopback.always(200, body, **headers)
    with pytest.raises(Exception, match="ThrottlingException"):
        text(wrap_chat_model(invoked(loopback), rm, retry=QUICK), "invoke")
    assert len(loopback.requests) == 3


@pytest.mark.parametrize("way", WAYS[:2])
@pytest.mark.parametrize("name", PACKAGES)
def test_a_good_answer_passes_once(loopback, rm, name, way):
    """Each package's, in a thread and in a task, without the lane held over."""
    loopback.always(200, good(name))
    model = wrap_chat_model(model_of(name, loopback.url), rm, retry=QUICK)
    assert text(model, way) == "hi"
    assert len(loopback.requests) == 1

"""What a refusal says outside its message: the newest SDK keeps that in the response alone."""

from __future__ import annotations

import httpx
import openai
import pytest

from agentrm_langchain.hooks import refuses_usage
from agentrm_langchain.overflow import is_overflow, share_that_fits, wants_turns
from agentrm_plugins.integration import wire

EXTRA = {"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "not permitted"}
REFUSALS = [
    (422, {"detail": [EXTRA]}),
    (422, {"object": "error", "message": {"detail": [EXTRA]}, "code": None}),
    (400, {"error": {"message": "unsupported parameter", "param": "stream_options"}}),
    (400, {"error": 'json: unknown field "stream_options"'}),
    (400, {"error": {"message": "Stream options are not supported by this model"}}),
    (400, {"error": {"message": "streamOptions is not supported"}}),
    (400, {"error": {"message": "invalid", "details": [{"field": "stream_options"}]}}),
    (422, {"errors": {"stream_options": ["is not allowed"]}}),
    (501, {"error": {"message": "include_usage is not implemented"}}),
]


def raised(status, body):
    """The real SDK's exception."""
    http = httpx.Client(
        transport=httpx.MockTransport(lambda request: httpx.Response(status, json=body))
    )
    with openai.OpenAI(api_key="k", max_retries=0, http_client=http) as client:
        with pytest.raises(openai.APIStatusError) as caught:
            client.models.list()
    return caught.value


@pytest.mark.parametrize(("status", "body"), REFUSALS)
def test_the_question_about_usage_is_found_wherever_it_is_named(status, body):
    """In a message, a path, a field: it is left out from then on."""
    assert refuses_usage(raised(status, body))


def test_another_refusal_is_none_of_that_question():
    """Nor is a limit that names it."""
    assert not refuses_usage(raised(422, {"detail": [{"loc": ["body", "tools"], "msg": "no"}]}))
    assert not refuses_usage(raised(429, {"error": {"message": "stream_options"}}))


@pytest.mark.parametrize(
    "body",
    [
        {"detail": [{"loc": ["body", "messages"], "msg": "prompt is too long: 9000 > 8000"}]},
        {"errors": {"messages": ["prompt is too long: 9000 > 8000"]}},
        {"reason": "prompt is too long: 9000 > 8000"},
    ],
)
def test_a_prompt_that_is_too_long_is_found_in_any_shape(body):
    """With how much of it would fit."""
    error = raised(400, body)
    assert is_overflow(error)
    assert share_that_fits(error) == pytest.approx(8 / 9 * 0.95)


def test_roles_that_must_take_turns_are_found_in_any_shape():
    """A validator's list of errors, not an object with a message."""
    error = raised(422, {"detail": [{"msg": "roles must alternate user/assistant"}]})
    assert wants_turns(error)


def test_an_error_without_a_response_says_its_text_and_its_body():
    """Each once."""
    error = RuntimeError("no: {'a': 1}")
    assert wire.spoken(error) == "no: {'a': 1}"
    error.body = {"a": 1}
    assert wire.spoken(error) == "no: {'a': 1}"
    error.body = {"b": 2}
    assert wire.spoken(error) == "no: {'a': 1} {'b': 2}"

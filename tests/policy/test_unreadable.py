"""Answers that are none, by the errors that libraries make of them."""

from __future__ import annotations

import json

import pytest

from agentrm_plugins.policy.endpoint.retry_class import classify
from agentrm_plugins.types.verdicts import Kind

NAMES = (
    *("APIResponseValidationError", "ResponseValidationError", "UnreadableAnswer"),
    *("ResponseParserError", "ContentTypeError", "NoResponseError"),
)


@pytest.mark.parametrize("name", NAMES)
def test_what_libraries_call_it(name):
    """OpenAI's, Anthropic's and Mistral's SDKs, botocore, aiohttp."""
    verdict = classify(type(name, (Exception,), {})("what is this?"))
    assert (verdict.kind, verdict.why) == (Kind.TRANSIENT, "unreadable")


@pytest.mark.parametrize(
    "error",
    [
        json.JSONDecodeError("Expecting value", "<html>", 0),
        ValueError("No generation chunks were returned"),
        TypeError("Received response with null value for 'choices'."),
    ],
)
def test_what_python_and_langchain_say(error):
    """The same, by their words."""
    assert classify(error).why == "unreadable"


def test_other_errors_are_not_taken_for_it():
    """A lost connection is asked again as often as ever, and a status decides before a name."""
    assert classify(ConnectionError("reset")).why == ""
    page = type("ContentTypeError", (Exception,), {"status": 502})("text/html")
    assert (classify(page).kind, classify(page).why) == (Kind.TRANSIENT, "")
    assert classify(ValueError("a value of my own")).kind is Kind.PERMANENT


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("rate_limit_exceeded: Rate limit reached", Kind.LIMIT),
        ("server_error: The model failed", Kind.TRANSIENT),
        ("invalid_prompt: no", Kind.PERMANENT),
        ("my_field: must be a number", Kind.PERMANENT),
        ("ResponseError(code='server_error', message='no')", Kind.TRANSIENT),
    ],
)
def test_langchain_openai_shows_a_code_in_its_text(text, kind):
    """An error event in a stream of responses becomes a ValueError of that form."""
    assert classify(ValueError(text)).kind is kind


@pytest.mark.parametrize(("number", "kind"), [("429", Kind.LIMIT), ("503", Kind.OVERLOADED)])
def test_a_code_that_is_a_number_counts_where_a_provider_said_it(number, kind):
    """Raised by the package that passes such events on; anybody's own error is anybody's."""
    package: dict[str, object] = {"__name__": "langchain_openai.chat_models.base"}
    exec("def fail(text):\n    raise ValueError(text)", package)  # the package's frame
    with pytest.raises(ValueError, match=number) as caught:
        package["fail"](f"{number}: x")
    assert classify(caught.value).kind is kind
    assert classify(ValueError(f"{number}: x")).kind is Kind.PERMANENT

"""An error shows the value that was given, never a secret, and never another value."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel

from agentrm_langchain import AgentRMMiddleware, manage, pressure, wrap_chat_model
from agentrm_plugins import AgentRM, ConfigError, LaneGroup
from agentrm_plugins.redaction import masked


def told(make: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        make()
    return str(caught.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"groups": "model"}, "groups='model': give a list of LaneGroup(...) objects"),
        ({"budgets": "acme"}, "budgets='acme': give a list of BudgetConfig(...) objects"),
        ({"coordination": "foo"}, "coordination='foo': use redis://"),
        ({"coordination": "redis:/x"}, "coordination='redis:/x': give a URL as redis://"),
        ({"coordination": "redis//h:1"}, "coordination='redis//h:1': use redis://"),
    ],
    ids=lambda given: str(given)[:24],
)
def test_the_core_shows_what_it_was_given(given: dict[str, Any], words: str) -> None:
    """Not its first letter, and not what was left of it."""
    assert told(lambda: AgentRM(**given)).startswith(words)


@pytest.mark.parametrize(
    "server",
    [
        "ada:hunter2@host",
        "redis:/:hunter2@host",
        "redis:host?password=hunter2",
        "http://u:hunter2@h",
    ],
)
def test_an_address_that_is_none_shows_no_password(server: str) -> None:
    """Whatever its shape."""
    assert "hunter2" not in told(lambda: AgentRM(coordination=server))


def test_the_time_to_a_first_token_is_no_secret() -> None:
    """Its name has "token" in it; the names of tokens that are secrets stay hidden."""
    with AgentRM(lanes=1) as rm:
        model = FakeListChatModel(responses=["hello"])
        doors = (
            lambda: wrap_chat_model(model, rm, first_token_timeout_s="5"),
            lambda: manage(model, rm, first_token_timeout_s="5"),
            lambda: AgentRMMiddleware(rm, first_token_timeout_s="5"),
            lambda: rm.slot(first_token_timeout_s="5"),
        )
        for door in doors:
            assert told(door).startswith("first_token_timeout_s='5': give seconds")
    assert masked("first_token_timeout_s='5'") == "first_token_timeout_s='5'"
    for name in ("token", "access_token", "token_key", "firsttoken", "first_api_key"):
        assert str(ConfigError(name, "hunter2", "x")) == f"{name}='(hidden)': x"
        assert "hunter2" not in masked(f"{name}='hunter2'")


def test_what_is_no_argument_at_all_is_a_config_error() -> None:
    """And no error of something inside, and no empty answer."""
    with AgentRM(lanes=1) as rm:
        model = FakeListChatModel(responses=["hello"])
        assert told(lambda: pressure(5)).startswith("rm (an int): give the AgentRM core")
        assert told(lambda: manage(model, rm, tell=5)).startswith("tell=5: give a function")
        assert told(lambda: rm.story("x")).startswith("ticket='x': give a whole number")
        for wrong in (1, 0, "no", None):
            words = f"keep_sdk_retries={wrong!r}: give True or False"
            assert told(lambda w=wrong: wrap_chat_model(model, rm, keep_sdk_retries=w)) == words
        assert not list(rm.story(1))
    assert AgentRM(groups=iter([LaneGroup("model", 2)])).config.groups[0].name == "model"

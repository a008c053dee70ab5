"""A replay that does not fit says which message differs, in a few lines."""

from __future__ import annotations

import asyncio
import traceback

import httpx2
import pytest
import vcr
from langchain_openai import ChatOpenAI
from openai import APIConnectionError
from vcr.errors import CannotOverwriteExistingCassetteException

from agentrm_langchain import wrap_chat_model
from agentrm_plugins import AgentRM
from agentrm_plugins.testing.cassettes import CassetteMismatch, cassette, mismatch_in, vcr_config
from agentrm_plugins.testing.provider import SimulatedProvider

pytest_plugins = ["pytester"]
SYSTEM, LONG = "You are terse.", "\n".join(f"line {n} of the task" for n in range(60))


def model(http, base_url="https://api.openai.com/v1", **changes):
    settings = {"model": "m", "api_key": "test-key", "base_url": base_url, "max_retries": 2}
    return ChatOpenAI(**settings, http_client=http, **changes)


@pytest.fixture
def recorded(tmp_path):
    """Two calls: a short one and a long one."""
    path = tmp_path / "two.yaml"
    with SimulatedProvider() as provider, httpx2.Client() as http:
        with cassette(path, record_mode="all"):
            bare = model(http, provider.base_url)
            bare.invoke([("system", SYSTEM), ("user", "hello there")])
            bare.invoke([("system", SYSTEM), ("user", LONG), ("ai", "done"), ("user", "go on")])
    return path


def words(path, messages, **changes):
    with httpx2.Client() as http, pytest.raises(CassetteMismatch) as caught, cassette(path):
        model(http, **changes).invoke(messages)
    frames = "".join(traceback.format_exception(caught.value))
    assert frames.count("\n") < 40, frames
    assert "langchain_openai" not in frames
    return str(caught.value)


def test_the_changed_message_is_named_with_its_difference(recorded):
    """Of a short text the part around, of a long one a diff by lines; the rest is not told."""
    text = words(recorded, [("system", SYSTEM), ("user", "hello thore")])
    assert "two.yaml" in text
    assert "recording 1 of 2" in text
    assert "messages[1].content:" in text
    assert "- hello there" in text
    assert "+ hello thore" in text
    assert "messages[0]" not in text
    changed = LONG.replace("line 30 of", "row 30 of")
    asked = [("system", SYSTEM), ("user", changed), ("ai", "done"), ("user", "go on")]
    text = words(recorded, asked)
    assert "recording 2 of 2" in text
    assert "-line 30 of the task" in text
    assert "+row 30 of the task" in text
    assert "line 40" not in text
    assert text.count("\n") < 12


def test_a_message_more_or_less_and_a_setting_are_named(recorded):
    """What is sent beyond the recording, what no longer is, and options that changed."""
    asked = [("system", SYSTEM), ("user", "hello there"), ("ai", "hi"), ("user", "more")]
    text = words(recorded, asked)
    assert "messages[2]: not in the recording" in text
    text = words(recorded, [("system", SYSTEM), ("user", LONG)])
    assert "messages[2]: no longer sent" in text
    text = words(recorded, [("system", SYSTEM), ("user", "hello there")], temperature=0.5)
    assert "temperature: not in the recording" in text


def test_a_call_too_many_says_that_all_were_played(recorded):
    """Nothing is compared where nothing is left."""
    first = [("system", SYSTEM), ("user", "hello there")]
    second = [("system", SYSTEM), ("user", LONG), ("ai", "done"), ("user", "go on")]
    with httpx2.Client() as http, pytest.raises(CassetteMismatch, match="All 2 recordings"):
        with cassette(recorded):
            bare = model(http)
            for messages in (first, second, first):
                bare.invoke(messages)


@pytest.mark.parametrize("managed", [False, True])
def test_a_managed_model_does_not_try_a_mismatch_again(recorded, managed):
    """It is no failure of the provider: one request, at once, in the same words."""
    with AgentRM() as rm, httpx2.Client() as http, pytest.raises(CassetteMismatch):
        with cassette(recorded):
            asked = wrap_chat_model(model(http), rm) if managed else model(http)
            asked.invoke("something else")
    if managed:
        assert rm.statistics().settled == 1


async def test_the_same_in_tasks(recorded):
    """Also out of a group of tasks, whose errors come as a group."""
    async with httpx2.AsyncClient() as http:
        bare = ChatOpenAI(model="m", api_key="test-key", http_async_client=http)

        async def both():
            async with asyncio.TaskGroup() as group:
                group.create_task(bare.ainvoke("one"))
                group.create_task(bare.ainvoke("two"))

        with pytest.raises(CassetteMismatch, match="what differs"):
            with cassette(recorded):
                await both()


def test_other_errors_pass(recorded):
    """What is no mismatch is left as it is."""
    with pytest.raises(ZeroDivisionError), cassette(recorded):
        raise ZeroDivisionError
    assert mismatch_in(ValueError()) is None


def test_a_marked_test_fails_with_the_difference(pytester, recorded):
    """The plugin turns vcrpy's error into ours, in any test, and brings the settings."""
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    pytester.makeconftest('pytest_plugins = ["agentrm_plugins.testing.fixtures"]')
    pytester.makepyfile(
        f"""
        import httpx2, vcr
        from langchain_openai import ChatOpenAI

        def test_replay(vcr_config):
            with vcr.VCR(**vcr_config).use_cassette({str(recorded)!r}, record_mode="none"):
                with httpx2.Client() as http:
                    ChatOpenAI(model="m", api_key="test-key", http_client=http).invoke("other")
        """
    )
    quiet = ("-p", "no:cacheprovider", "-p", "no:recording", "--disable-warnings")
    result = pytester.runpytest_inprocess(*quiet)
    result.assert_outcomes(failed=1)
    shown = result.stdout.str()
    assert "CassetteMismatch" in shown
    assert "messages[0]" in shown
    assert shown.count("\n") < 60, shown


def test_vcrpys_own_error_is_still_there_without_the_plugin(recorded):
    """Whoever uses vcrpy alone sees its error."""
    with vcr.VCR(**vcr_config()).use_cassette(str(recorded), record_mode="none"):
        with httpx2.Client() as http:
            with pytest.raises((CannotOverwriteExistingCassetteException, APIConnectionError)):
                model(http).invoke("other")

from __future__ import annotations

import httpx2
import openai
import pytest
import vcr
import yaml
from langchain_openai import ChatOpenAI
from vcr.errors import CannotOverwriteExistingCassetteException

from agentrm_plugins.testing.cassettes import vcr_config
from agentrm_plugins.testing.provider import SimulatedProvider
from cassettes.record import ANSWER, FOLDER, SCENARIOS, aplay, play, record, settings

NAMES = pytest.mark.parametrize("name", SCENARIOS)


def replay(name):
    path = FOLDER / f"{name}.yaml"
    return vcr.VCR(**vcr_config()).use_cassette(str(path), record_mode="none")


def model(client=None, **changes):
    there = {"http_client": client} if isinstance(client, httpx2.Client) else {}
    if isinstance(client, httpx2.AsyncClient):
        there = {"http_async_client": client}
    base_url = "https://api.openai.com/v1"
    return ChatOpenAI(**settings(base_url=base_url, api_key="test-key", **there, **changes))


def check(name, messages):
    final = messages[-1]
    tools = SCENARIOS[name].tools
    assert final.text == ("It is sunny in Paris." if tools else ANSWER)
    assert final.usage_metadata["output_tokens"] > 0
    assert len(messages) == (4 if tools else 2)
    if tools:
        assert messages[1].tool_calls[0]["args"] == {"city": "Paris"}


@NAMES
@pytest.mark.block_network
def test_each_cassette_replays_in_sync_code(name):
    """The bare ChatOpenAI plays the whole conversation from the cassette, without network."""
    with httpx2.Client() as client, replay(name) as cassette:
        check(name, play(model(client), SCENARIOS[name]))
    assert cassette.all_played


@NAMES
@pytest.mark.block_network
async def test_each_cassette_replays_in_async_code(name):
    """A cassette recorded in sync code replays in async code as well."""
    async with httpx2.AsyncClient() as client:
        with replay(name) as cassette:
            check(name, await aplay(model(client), SCENARIOS[name]))
    assert cassette.all_played


@pytest.mark.block_network
def test_a_recording_plays_once_and_in_order():
    """429 then 200 replays as just that; a further call is an error, not the first again."""
    with httpx2.Client() as client, replay("rate_limited"):
        single = model(client, max_retries=0)
        with pytest.raises(openai.RateLimitError) as refused:
            play(single, SCENARIOS["rate_limited"])
        assert refused.value.response.headers["retry-after-ms"] == "10"
        assert refused.value.response.headers["x-ratelimit-limit-requests"] == "5000"
        check("rate_limited", play(single, SCENARIOS["rate_limited"]))
        with pytest.raises(CannotOverwriteExistingCassetteException):
            play(single, SCENARIOS["rate_limited"])


@NAMES
def test_what_is_asked_today_is_what_was_recorded(name, tmp_path, monkeypatch):
    """A new recording asks the same as the one kept: the cassettes are not out of date."""
    monkeypatch.setattr("cassettes.record.FOLDER", tmp_path)
    with SimulatedProvider(rpm=5000, tpm=2_000_000, tokens_per_chunk=1) as provider:
        record(name, provider.base_url, "test-key", provider.script)
    new, kept = (
        yaml.safe_load((folder / f"{name}.yaml").read_text()) for folder in (tmp_path, FOLDER)
    )
    assert [i["request"] for i in new["interactions"]] == [
        i["request"] for i in kept["interactions"]
    ]

"""A wait that no server can mean closes nothing for long: the call goes again, in sync code too."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from agentrm_openai import manage_client
from agentrm_plugins import AgentRM
from agentrm_plugins.errors import EndpointUnavailable
from agentrm_plugins.testing.provider import Reply, SimulatedProvider, Status

SENSELESS = ["-5", "nan", "inf", "-inf", "1e400", "9" * 300, "0x10", "soon", "", "1,5"]


def ask(ai):
    answer = ai.chat.completions.create(
        model="simulated", messages=[{"role": "user", "content": "hello"}], max_tokens=9
    )
    return answer.choices[0].message.content


@pytest.mark.parametrize("text", SENSELESS, ids=ascii)
def test_the_call_goes_again_and_others_are_not_refused(text):
    """It is a refusal without a time: the back-off of half a second."""
    with SimulatedProvider() as provider, AgentRM(lanes=4) as rm:
        provider.script([Status(429, headers={"retry-after": text})] + [Reply("well")] * 20)
        with openai.OpenAI(base_url=provider.base_url, api_key="k") as client:
            ai = manage_client(client, rm)
            begun_s = time.monotonic()
            assert ask(ai) == "well"
            with ThreadPoolExecutor(10) as pool:
                assert set(pool.map(lambda _: ask(ai), range(10))) == {"well"}
            assert time.monotonic() - begun_s < 30.0


def test_a_day_is_told_to_threads_as_well():
    """The second, the tenth and ten at once are refused at once, and nothing is sent for them."""
    with SimulatedProvider() as provider, AgentRM(lanes=4) as rm:
        provider.script([Status(429, headers={"retry-after": "86400"})])
        with openai.OpenAI(base_url=provider.base_url, api_key="k") as client:
            ai = manage_client(client, rm)
            with pytest.raises(openai.RateLimitError):
                ask(ai)
            for _ in range(9):
                with pytest.raises(EndpointUnavailable, match="simulated"):
                    ask(ai)
            with ThreadPoolExecutor(10) as pool:
                calls = [pool.submit(ask, ai) for _ in range(10)]
                told = [call.exception(30) for call in calls]
            assert [type(one) for one in told] == [EndpointUnavailable] * 10
        assert provider.statistics().requests == 1

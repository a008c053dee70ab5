"""A server that asks for hours, in whatever form: nobody sleeps, and after its time all is well."""

from __future__ import annotations

import asyncio
import email.utils
import time
from datetime import UTC, datetime

import openai
import pytest
import tenacity

from agentrm_openai import manage_client
from agentrm_plugins import AgentRM, RetryPolicy
from agentrm_plugins.errors import EndpointUnavailable
from agentrm_plugins.testing.provider import Reply, SimulatedProvider, Status

ONCE = RetryPolicy(stop=tenacity.stop_after_attempt(1))
DAY_S = 86_400
FORMS = {
    "seconds": lambda s: said(str(s)),
    "milliseconds": lambda s: Status(429, headers={"retry-after-ms": str(1000 * s)}),
    "epoch": lambda s: said(str(int(time.time()) + s)),
    "epoch in milliseconds": lambda s: said(str(int(1000 * (time.time() + s)))),
    "date": lambda s: said(email.utils.formatdate(time.time() + s, usegmt=True)),
    "moment": lambda s: said(datetime.fromtimestamp(time.time() + s, UTC).isoformat()),
    "duration": lambda s: said(f"{s // 3600}h{s % 3600 // 60}m{s % 60}s"),
    "words": lambda s: Status(429, message=f"Limit reached. Please try again in {s} seconds."),
    "hours in words": lambda s: Status(429, message=f"Please try again in {s / 3600:.6f} hours."),
}


def said(text):
    return Status(429, headers={"retry-after": text})


async def ask(ai):
    answer = await ai.chat.completions.create(
        model="simulated", messages=[{"role": "user", "content": "hello"}], max_tokens=9
    )
    return answer.choices[0].message.content


@pytest.mark.parametrize("form", FORMS)
async def test_a_day_is_told_to_everybody_and_waited_for_by_nobody(form):
    """The first hears the provider; the second to the tenth, and ten at once, that it is closed."""
    with SimulatedProvider() as provider, AgentRM(lanes=4) as rm:
        provider.script([FORMS[form](DAY_S)])
        async with openai.AsyncOpenAI(base_url=provider.base_url, api_key="k") as client:
            ai = manage_client(client, rm)
            begun_s = time.monotonic()
            with pytest.raises(openai.RateLimitError):
                await ask(ai)
            for _ in range(9):
                with pytest.raises(EndpointUnavailable, match="simulated"):
                    await ask(ai)
            told = await asyncio.gather(*(ask(ai) for _ in range(10)), return_exceptions=True)
            assert [type(one) for one in told] == [EndpointUnavailable] * 10
            assert time.monotonic() - begun_s < 30.0
        (endpoint,) = rm.statistics().endpoints.values()
        assert endpoint.closed_for_s == pytest.approx(DAY_S, abs=60)
        assert provider.statistics().requests == 1


async def test_after_its_time_the_endpoint_works_again():
    """Some seconds, longer than anybody's patience here: refused till then, answered afterwards."""

    async def one(form):
        with SimulatedProvider() as provider, AgentRM(lanes=4, endpoint_wait_timeout_s=0.2) as rm:
            provider.script([FORMS[form](3)] + [Reply("well")] * 99)
            async with openai.AsyncOpenAI(base_url=provider.base_url, api_key="k") as client:
                ai = manage_client(client, rm, retry=ONCE)
                with pytest.raises(openai.RateLimitError):
                    await ask(ai)
                refused, end_s = 0, time.monotonic() + 60.0
                while time.monotonic() < end_s:
                    try:
                        return refused, await ask(ai)
                    except EndpointUnavailable:
                        refused += 1
                        await asyncio.sleep(0.1)
        return refused, "never"

    found = dict(zip(FORMS, await asyncio.gather(*map(one, FORMS)), strict=True))
    assert {form: text for form, (_, text) in found.items()} == dict.fromkeys(FORMS, "well")
    assert found["seconds"][0] > 0

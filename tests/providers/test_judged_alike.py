"""The same answer is judged alike by whoever asks: clients, models, the callback."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import openai
import pytest
import tenacity
from langchain_openai import ChatOpenAI

from agentrm_langchain import AgentRMCallbackHandler, wrap_chat_model
from agentrm_openai import manage_client
from agentrm_plugins import AgentRM, RetryPolicy, Usage
from tests.providers import answers
from tests.providers.answers import EVENTS, Said

if TYPE_CHECKING:
    from collections.abc import Iterator

CHAT: Any = {"messages": [{"role": "user", "content": "Name a river."}]}
WHOLE = ("client", "client raw", "aclient", "invoke", "ainvoke")
STREAMS = ("client stream", "aclient stream", "stream", "astream")
LIMITS = {"limit": 16, "overloaded": 5, "permanent": 1, "transient": 8, "": 1}
READABLE_AGAIN = 4


class Seen(NamedTuple):
    """What a door made of an answer."""

    kind: str
    why: str
    wait_s: float
    attempts: int
    requests: int
    tokens: tuple[int, int]
    limit_hits: int
    failures: int


def noting(judged: list[tuple[str, str, float, int]]) -> RetryPolicy:
    """The usual policy, which notes how often it would send the call, and has it sent once."""
    usual = RetryPolicy()

    def attempts(state: Any) -> int:
        if not usual.retry(state):
            return 1
        later = tenacity.RetryCallState(tenacity.Retrying(), None, (), {})
        later.verdict = state.verdict  # type: ignore[attr-defined]
        later.start_time = later.outcome_timestamp = 0.0
        later.upcoming_sleep = 0.0
        for number in range(1, 100):
            later.attempt_number = number
            if usual.stop(later):
                return number
        raise AssertionError

    def retry(state: Any) -> bool:
        verdict = state.verdict
        wait_s = round(state.upcoming_sleep, 2)
        judged.append((str(verdict.kind), verdict.why, wait_s, attempts(state)))
        return False

    return RetryPolicy(retry=retry)


def by_client(door: str, url: str, rm: AgentRM, policy: Any) -> None:
    with openai.OpenAI(base_url=url, api_key="k") as bare:
        chat = manage_client(bare, rm, retry=policy, agent=door).chat.completions
        if door.endswith("raw"):
            chat.with_raw_response.create(model=door, **CHAT).parse()
        elif door.endswith("stream"):
            list(chat.create(model=door, stream=True, **CHAT))
        else:
            chat.create(model=door, **CHAT)


async def by_async_client(door: str, url: str, rm: AgentRM, policy: Any) -> None:
    async with openai.AsyncOpenAI(base_url=url, api_key="k") as bare:
        chat = manage_client(bare, rm, retry=policy, agent=door).chat.completions
        if door.endswith("stream"):
            async for _ in await chat.create(model=door, stream=True, **CHAT):
                pass
        else:
            await chat.create(model=door, **CHAT)


def use(model: Any, way: str, config: Any = None) -> None:
    async def inside() -> None:
        if way == "ainvoke":
            await model.ainvoke("Name a river.", config)
        else:
            async for _ in model.astream("Name a river.", config):
                pass

    if way.startswith("a"):
        asyncio.run(inside())
    elif way == "stream":
        list(model.stream("Name a river.", config))
    else:
        model.invoke("Name a river.", config)


def knock(door: str, url: str, rm: AgentRM, policy: Any) -> None:
    if door.startswith("aclient"):
        asyncio.run(by_async_client(door, url, rm, policy))
    elif door.startswith("client"):
        by_client(door, url, rm, policy)
    else:
        made = ChatOpenAI(base_url=url, api_key="k", model=door, max_retries=0)  # type: ignore[arg-type]
        way = door.rpartition(" ")[2]
        if door.startswith("callback"):
            use(made, way, {"callbacks": [AgentRMCallbackHandler(rm, agent=door)]})
        else:
            use(wrap_chat_model(made, rm, retry=policy, agent=door), way)


@pytest.fixture
def rm() -> Iterator[AgentRM]:
    with AgentRM(lanes=2) as core:
        yield core
        assert core.statistics().running == 0


def seen(server: Any, rm: AgentRM, door: str, answer: Said, events: dict[str, str]) -> Seen:
    """What this door makes of the answer; each has an endpoint and an agent of its own."""
    headers = {**events, **answer.headers}
    server.answer = lambda *_: (answer.status, headers, answer.body)
    judged: list[tuple[str, str, float, int]] = []
    before = len(server.requests)
    with suppress(Exception) if answer.kind else nullcontext():  # what the package makes of it
        knock(door, f"{server.url}/v1", rm, noting(judged))
    statistics = rm.statistics()
    agent = statistics.agents[door]
    (place,) = [one for name, one in statistics.endpoints.items() if f"/{door}#" in name]
    kind, why, wait_s, attempts = judged[-1] if judged else ("", "", 0.0, 1)
    return Seen(
        kind, why, wait_s, attempts, len(server.requests) - before,
        (agent.input_tokens, agent.output_tokens), place.limit_hits, place.failures,
    )  # fmt: skip


def expected(answer: Said, tokens: tuple[int, int]) -> Seen:
    attempts = READABLE_AGAIN if answer.why == "unreadable" else LIMITS[answer.kind]
    limited, failing = answer.kind == "limit", answer.kind in {"overloaded", "transient"}
    wait_s = answer.wait_s if answer.kind else 0.0
    return Seen(answer.kind, answer.why, wait_s, attempts, 1, tokens, int(limited), int(failing))


def alike(
    server: Any, rm: AgentRM, answer: Said, doors: tuple[str, ...], events: dict[str, str]
) -> None:
    found = {door: seen(server, rm, door, answer, events) for door in doors}
    tokens = answer.tokens or found[doors[0]].tokens
    assert found == dict.fromkeys(doors, expected(answer, tokens))


@pytest.mark.parametrize("what", answers.STATUSES)
def test_a_status(loopback: Any, rm: AgentRM, what: str) -> None:
    """By all doors, its words and its wait included; what is refused costs nothing."""
    answer = answers.STATUSES[what]._replace(tokens=(0, 0))
    alike(loopback, rm, answer, WHOLE + STREAMS, {})


@pytest.mark.parametrize("what", answers.DOCUMENTS)
def test_a_document(loopback: Any, rm: AgentRM, what: str) -> None:
    """Of status 200, in the place of an answer or of a stream."""
    alike(loopback, rm, answers.DOCUMENTS[what], WHOLE + STREAMS, {})


@pytest.mark.parametrize("what", answers.CHOICES)
def test_a_choice_that_failed(loopback: Any, rm: AgentRM, what: str) -> None:
    """It is no answer, whatever else stands around it."""
    alike(loopback, rm, answers.CHOICES[what], WHOLE, {})


@pytest.mark.parametrize("what", answers.STREAMS)
def test_a_stream_that_says_nothing(loopback: Any, rm: AgentRM, what: str) -> None:
    """An error that comes before the first word."""
    alike(loopback, rm, answers.STREAMS[what], STREAMS, EVENTS)


@pytest.mark.parametrize("what", answers.WORDED)
def test_a_wait_in_words(loopback: Any, rm: AgentRM, what: str) -> None:
    """In other languages and digits; what is counted per time is no wait."""
    alike(loopback, rm, answers.WORDED[what], ("client", "stream"), {})


@pytest.mark.parametrize("what", answers.USED)
def test_what_an_answer_used(loopback: Any, rm: AgentRM, what: str) -> None:
    """The same tokens are booked, by the callback too."""
    alike(loopback, rm, answers.USED[what], (*WHOLE, "callback invoke"), {})


@pytest.mark.parametrize("what", answers.COUNTED)
def test_what_a_stream_used(loopback: Any, rm: AgentRM, what: str) -> None:
    """However its reports are cut."""
    alike(loopback, rm, answers.COUNTED[what], (*STREAMS, "callback stream"), EVENTS)


@pytest.mark.parametrize("door", ["callback invoke", "callback stream"])
@pytest.mark.parametrize("what", answers.STATUSES)
def test_the_callback_books_and_learns_the_same(
    loopback: Any, rm: AgentRM, what: str, door: str
) -> None:
    """It judges nothing that goes again; its endpoint and its agent are told of the same."""
    answer = answers.STATUSES[what]
    learnt, wanted = seen(loopback, rm, door, answer, {}), expected(answer, (0, 0))
    assert learnt[4:] == wanted[4:]


@pytest.mark.parametrize("what", answers.STREAMS)
def test_the_callback_takes_no_failed_stream_for_an_answer(
    loopback: Any, rm: AgentRM, what: str
) -> None:
    """LangChain makes an empty message of some of them."""
    learnt = seen(loopback, rm, "callback stream", answers.STREAMS[what], EVENTS)
    assert learnt.tokens[1] == 0
    assert learnt.limit_hits + learnt.failures == 1 or answers.STREAMS[what].kind == "permanent"


def test_a_closed_cores_callback_is_not_in_the_way(loopback: Any, rm: AgentRM) -> None:
    """LangChain's models share their HTTP clients, which the next core is shown too."""
    with AgentRM() as first:
        seen(loopback, first, "callback invoke", answers.USED["as usual"], {})
    limits = {"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "59"}
    answer = answers.USED["as usual"]._replace(headers=limits)
    seen(loopback, rm, "callback invoke", answer, {})
    (place,) = rm.statistics().endpoints.values()
    assert place.rates["requests"].limit_per_min == 60
    assert rm.statistics().agents["callback invoke"].tokens == Usage(10, 5).total_tokens

from __future__ import annotations

import asyncio
import json

import httpx2
import openai
import pytest
from langchain.agents import create_agent
from langchain.agents.structured_output import ToolStrategy
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

from agentrm_plugins.testing.provider import ModelConfig, Reply, Status, ToolCall, key_fingerprint


class Person(BaseModel):
    """A person."""

    name: str
    age: int
    tags: list[str]


@tool
def look_up(city: str, days: int = 3) -> str:
    """The weather of a city."""
    return f"sunny in {city} for {days} days"


@tool
def book(city: str) -> str:
    """Book a hotel."""
    return f"booked in {city}"


def joined(chunks):
    whole = None
    for chunk in chunks:
        whole = chunk if whole is None else whole + chunk
    return whole


APIS = pytest.mark.parametrize("responses", [False, True], ids=["chat", "responses"])


@APIS
def test_a_plain_call_echoes_and_counts(start, chat, responses):
    """The reply echoes the user, has the drawn length, and usage, log and counts agree."""
    provider = start(output_tokens=20)
    message = chat(provider, use_responses_api=responses).invoke("hello there")
    assert message.text.startswith("You said: hello there")
    assert len(message.text) == 80
    usage = message.usage_metadata
    assert usage["output_tokens"] == 20
    statistics = provider.statistics()
    assert (statistics.requests, statistics.ok) == (1, 1)
    assert statistics.input_tokens == usage["input_tokens"] == provider.log[0].input_tokens
    assert statistics.output_tokens == 20 == provider.log[0].output_tokens
    assert statistics.by_model == {"simulated": 1}
    assert statistics.by_key == {key_fingerprint("test-key"): 1}


@APIS
def test_a_stream_says_the_same_as_the_whole(start, chat, responses):
    """The chunks of a stream join to the text and the usage of the plain call."""
    provider = start(output_tokens=20, tokens_per_chunk=3)
    model = chat(provider, use_responses_api=responses)
    plain = model.invoke("hello")
    chunks = list(model.stream("hello"))
    whole = joined(chunks)
    assert whole.text == plain.text
    assert whole.usage_metadata["output_tokens"] == plain.usage_metadata["output_tokens"] == 20
    assert len([c for c in chunks if c.text]) == 7
    assert provider.log[1].stream


@APIS
def test_parallel_tool_calls_plain_and_streamed(start, chat, responses):
    """Each offered tool is called in turn with arguments that fit its schema."""
    provider = start(tool_calls_per_round=2)
    model = chat(provider, use_responses_api=responses).bind_tools([look_up, book])
    for message in (model.invoke("Rome"), joined(model.stream("Rome"))):
        calls = [(call["name"], call["args"]) for call in message.tool_calls]
        assert calls == [("look_up", {"city": "Rome", "days": 3}), ("book", {"city": "Rome"})]
        assert len({call["id"] for call in message.tool_calls}) == 2
    single = chat(provider, use_responses_api=responses).bind_tools(
        [look_up, book], parallel_tool_calls=False
    )
    assert len(single.invoke("Rome").tool_calls) == 1


def test_tool_choice_is_obeyed(start, chat):
    """A choice of none answers, a name calls that tool, required calls even at the end."""
    provider = start(agent_rounds=0)
    model = chat(provider)
    tools = [look_up, book]
    assert not model.bind_tools(tools).invoke("x").tool_calls
    assert not model.bind_tools(tools, tool_choice="none").invoke("x").tool_calls
    forced = model.bind_tools(tools, tool_choice="look_up").invoke("x")
    assert [call["name"] for call in forced.tool_calls] == ["look_up"]
    must = model.bind_tools(tools, tool_choice="required").invoke("x")
    assert [call["name"] for call in must.tool_calls] == ["book"]


@APIS
@pytest.mark.parametrize("rounds", [1, 3])
def test_an_agent_runs_its_whole_loop(start, chat, responses, rounds):
    """A LangChain agent calls tools for the configured rounds and then gets its final answer."""
    provider = start(agent_rounds=rounds)
    agent = create_agent(chat(provider, use_responses_api=responses), [look_up])
    messages = agent.invoke({"messages": [("user", "Rome")]})["messages"]
    kinds = [type(message) for message in messages]
    assert kinds == [HumanMessage, *[AIMessage, ToolMessage] * rounds, AIMessage]
    assert messages[2].text == "sunny in Rome for 3 days"
    again = agent.invoke({"messages": [*messages, ("user", "Oslo")]})["messages"]
    assert len(again) == len(messages) * 2


@APIS
@pytest.mark.parametrize("wrapped", [False, True], ids=["native", "tool"])
def test_an_agent_with_a_structured_answer(start, chat, responses, wrapped):
    """Both of LangChain's strategies end in a valid object."""
    provider = start()
    wanted = ToolStrategy(Person) if wrapped else Person
    model = chat(provider, use_responses_api=responses)
    agent = create_agent(model, [look_up], response_format=wanted)
    answer = agent.invoke({"messages": [("user", "Rome")]})["structured_response"]
    assert answer == Person(name="Rome", age=1, tags=["Rome"])


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output(start, chat, method):
    """A model asked for a structure gives one that its schema accepts."""
    model = chat(start()).with_structured_output(Person, method=method)
    assert model.invoke("Ada") == Person(name="Ada", age=1, tags=["Ada"])


def test_json_mode_n_and_length(start):
    """json_object gives an object, n gives n choices, and the maximum ends with "length"."""
    provider = start(output_tokens=50)
    with openai.OpenAI(base_url=provider.base_url, api_key="test-key") as client:
        ask = client.chat.completions.create
        messages = [{"role": "user", "content": "hi"}]
        made = ask(model="m", messages=messages, response_format={"type": "json_object"})
        assert json.loads(made.choices[0].message.content) == {"answer": "hi"}
        three = ask(model="m", messages=messages, n=3, max_tokens=7)
        assert [choice.index for choice in three.choices] == [0, 1, 2]
        assert three.choices[0].finish_reason == "length"
        assert three.usage.completion_tokens == 21
        stream = ask(model="m", messages=messages, n=2, max_tokens=7, stream=True)
        ends = [c.choices[0].finish_reason for c in stream if c.choices[0].finish_reason]
        assert ends == ["length", "length"]


def test_responses_by_the_sdk(start):
    """The SDK's own accumulation of a streamed response ends complete, or cut with its reason."""
    provider = start(output_tokens=50)
    with openai.OpenAI(base_url=provider.base_url, api_key="test-key") as client:
        with client.responses.stream(model="m", input="hi") as stream:
            kinds = [event.type for event in stream]
            final = stream.get_final_response()
        assert kinds[0] == "response.created"
        assert kinds[-1] == "response.completed"
        assert final.output_text.startswith("You said: hi")
        assert final.usage.output_tokens == 50
        cut = client.responses.create(model="m", input="hi", max_output_tokens=16)
        assert cut.status == "incomplete"
        assert cut.incomplete_details.reason == "max_output_tokens"


def test_usage_factor_is_a_share_of_the_maximum(start, chat):
    """With a usage factor the real usage is that share of what was allowed."""
    provider = start(usage_factor=1 / 3)
    message = chat(provider, max_tokens=300).invoke("hello")
    assert message.usage_metadata["output_tokens"] == 100
    assert provider.log[0].reserved_tokens == provider.log[0].input_tokens + 300


def test_cached_input_is_reported(start, chat):
    """The cached share of the input shows in the usage."""
    message = chat(start(cached_share=0.5)).invoke("a" * 400)
    details = message.usage_metadata["input_token_details"]
    assert details["cache_read"] == message.usage_metadata["input_tokens"] // 2


def test_embeddings_are_unit_vectors_of_their_text(start):
    """Same text, same vector; both encodings agree; the length is as asked."""
    provider = start(embedding_dimensions=32)
    with httpx2.Client() as client:
        model = OpenAIEmbeddings(
            base_url=provider.base_url,
            api_key="test-key",
            model="e",
            check_embedding_ctx_length=False,
            http_client=client,
        )
        first, second = model.embed_documents(["a", "b"])
        assert model.embed_query("a") == pytest.approx(first)
        assert first != second
        assert sum(value * value for value in first) == pytest.approx(1.0, abs=1e-5)
    with openai.OpenAI(base_url=provider.base_url, api_key="test-key") as client:
        plain = client.embeddings.create(model="e", input="a", encoding_format="float")
        assert plain.data[0].embedding == pytest.approx(first, abs=1e-6)
        small = client.embeddings.create(model="e", input=[[1, 2, 3]], dimensions=8)
        assert len(small.data[0].embedding) == 8
        assert small.usage.prompt_tokens == 3


def test_models_and_bad_requests(start):
    """Models are listed; keys, paths, models, bodies and sizes are refused as OpenAI does."""
    provider = start(
        models={"small": ModelConfig(context_window=50)},
        only_listed_models=True,
        accepted_keys=frozenset({key_fingerprint("test-key")}),
    )
    messages = [{"role": "user", "content": "hi"}]
    with openai.OpenAI(base_url=provider.base_url, api_key="other-key") as client:
        with pytest.raises(openai.AuthenticationError) as refused:
            client.models.list()
        assert refused.value.code == "invalid_api_key"
    with openai.OpenAI(base_url=provider.base_url, api_key="test-key") as client:
        ask = client.chat.completions.create
        assert [model.id for model in client.models.list()] == ["small"]
        with pytest.raises(openai.NotFoundError) as refused:
            ask(model="large", messages=messages)
        assert refused.value.code == "model_not_found"
        with pytest.raises(openai.BadRequestError) as refused:
            ask(model="small", messages=messages, max_tokens=100)
        assert refused.value.code == "context_length_exceeded"
        with pytest.raises(openai.BadRequestError, match="non-empty"):
            ask(model="small", messages=[])
        with pytest.raises(openai.BadRequestError, match="max_tokens"):
            ask(model="small", messages=messages, max_tokens=0)
        orphan = [*messages, {"role": "tool", "tool_call_id": "x", "content": "y"}]
        with pytest.raises(openai.BadRequestError, match="preceding message"):
            ask(model="small", messages=orphan)
        with pytest.raises(openai.BadRequestError, match="No tool call found"):
            item = {"type": "function_call_output", "call_id": "x", "output": "y"}
            client.responses.create(model="small", input=[item])
        with pytest.raises(openai.NotFoundError):
            client.get("/nowhere", cast_to=object)
        with pytest.raises(openai.BadRequestError, match="parse"):
            client.post("/chat/completions", content=b"{", cast_to=object)
    assert provider.statistics().by_cause["body"] == 5


def test_an_unanswered_tool_call_is_a_400(start, chat):
    """A conversation that lost a tool's result is refused, as OpenAI refuses it."""
    call = {"name": "look_up", "args": {}, "id": "c1"}
    broken = [HumanMessage("x"), AIMessage("", tool_calls=[call]), HumanMessage("y")]
    with pytest.raises(openai.BadRequestError, match="c1"):
        chat(start()).invoke(broken)
    with pytest.raises(openai.BadRequestError, match="c1"):
        chat(start()).invoke(broken[:2])


def test_a_script_is_played_in_order(start, chat):
    """Scripted steps answer the next requests exactly, of anybody or of one agent."""
    provider = start()
    model = chat(provider)
    calls = [ToolCall("look_up", {"city": "Oslo"}), ToolCall("book", {"city": "Oslo"}, id="mine")]
    provider.script(["first", Reply("second", output_tokens=500), calls, ToolCall("book")])
    provider.script(["for a"], agent="a")
    named = chat(provider, default_headers={"x-agentrm-agent": "a"})
    assert named.invoke("x").text == "for a"
    assert model.invoke("x").text == "first"
    assert model.invoke("x").usage_metadata["output_tokens"] == 500
    made = model.invoke("x").tool_calls
    assert [call["name"] for call in made] == ["look_up", "book"]
    assert made[1]["id"] == "mine"
    assert model.invoke("x").tool_calls[0]["args"] == {}
    assert model.invoke("x").text.startswith("You said: x")
    assert provider.log[0].agent == "a"
    with pytest.raises(ValueError, match="step"):
        provider.script([42])


def test_a_responder_decides(start, chat):
    """The user's function sees the request and may answer anything, or leave it to the default."""

    def responder(request):
        if request.user_text == "fail":
            return Status(400, code="content_filter")
        if request.user_text == "raise":
            raise KeyError("mine")
        return "custom" if request.user_text == "custom" else None

    provider = start(responder=responder)
    model = chat(provider)
    assert model.invoke("custom").text == "custom"
    assert model.invoke("other").text.startswith("You said: other")
    with pytest.raises(openai.BadRequestError) as refused:
        model.invoke("fail")
    assert refused.value.code == "content_filter"
    with pytest.raises(openai.InternalServerError, match="KeyError"):
        model.invoke("raise")
    assert isinstance(provider.errors[0], KeyError)


async def test_three_hundred_at_once(start):
    """Hundreds of concurrent connections are served; the peak is the server's own view."""
    provider = start(time_to_first_token_s=0.3, token_time_s=0.001)
    limits = httpx2.Limits(max_connections=None)
    async with httpx2.AsyncClient(timeout=30, limits=limits) as client:
        model = ChatOpenAI(
            base_url=provider.base_url, api_key="test-key", model="m", http_async_client=client
        )
        answers = await asyncio.gather(*(model.ainvoke(f"question {i}") for i in range(300)))
        streamed = [chunk async for chunk in model.astream("more")]
    assert [answer.text[:22].rstrip() for answer in answers[:2]] == [
        "You said: question 0 t",
        "You said: question 1 t",
    ]
    assert joined(streamed).text.startswith("You said: more")
    statistics = provider.statistics()
    assert statistics.ok == 301
    assert 30 < statistics.peak_concurrency <= 300
    assert statistics.in_flight == 0

"""A schema or a tool costs the same for the reservation and for the context's budget."""

from __future__ import annotations

import pytest

pytest.importorskip("langchain")
from langchain.agents import create_agent
from langchain.agents.structured_output import AutoStrategy, ProviderStrategy, ToolStrategy
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage, HumanMessage
from langchain_openai import ChatOpenAI
from openai.lib._parsing._completions import type_to_response_format_param
from pydantic import Field, create_model
from typing_extensions import TypedDict

from agentrm_langchain import AgentRMMiddleware, wrap_chat_model
from agentrm_langchain.messages import form_in, input_tokens
from agentrm_plugins import ContextConfig, ContextLifecycle
from agentrm_plugins.counting.encodings import counter_for
from agentrm_plugins.counting.requests import request_tokens
from agentrm_plugins.events import Prepared, Submitted

BUDGET = 2_500
CLAUDE = "claude-opus-4-7"
ABOUT = "a rather long description of what this field means " * 3
Big = create_model("Big", **{f"field_{i}": (str, Field(description=ABOUT)) for i in range(20)})


class Pair(TypedDict):
    one: str
    other: int


SCHEMA = Big.model_json_schema()
JSON_SCHEMA = {"type": "json_schema", "json_schema": {"name": "Big", "schema": SCHEMA}}
TALK = [
    said
    for day in range(30)
    for said in (
        HumanMessage(f"Day {day}: " + "walked along the river " * 20),
        AIMessage("fine, I see. " * 10),
    )
] + [HumanMessage("what now?")]
THREAD = {"configurable": {"thread_id": "t"}, "recursion_limit": 5}
UNREACHABLE = "http://127.0.0.1:9/v1"

WAYS = {
    "pydantic": lambda m: m.with_structured_output(Big),
    "strict": lambda m: m.with_structured_output(Big, strict=True),
    "typed dict": lambda m: m.with_structured_output(Pair),
    "json schema": lambda m: m.with_structured_output(JSON_SCHEMA["json_schema"]),
    "as a tool": lambda m: m.with_structured_output(Big, method="function_calling"),
    "json mode": lambda m: m.with_structured_output(Big, method="json_mode"),
    "tools": lambda m: m.bind_tools([Big, {"type": "web_search"}], strict=True),
    "bound class": lambda m: m.bind(response_format=Big),
    "bound schema": lambda m: m.bind(response_format=JSON_SCHEMA),
    "functions": lambda m: m.bind(functions=[{"name": "Big", "parameters": SCHEMA}]),
}


def chat(**fields):
    given = {"model": "gpt-4o", "base_url": UNREACHABLE, "api_key": "k", "max_retries": 0}
    return ChatOpenAI(**given, **fields)


def counted(rm, run):
    """What is reserved for a call and what its prompt takes, whatever becomes of the call."""
    with ContextLifecycle(ContextConfig(budget_tokens=BUDGET)) as context:
        events = rm.events()
        with pytest.raises(Exception, match=r"(?i)connect|unexpected keyword argument 'functions'"):
            run(context)
        seen = events.drain()
    reserved = next(e.estimate_tokens for e in seen if isinstance(e, Submitted))
    return reserved, next(e.used_tokens for e in seen if isinstance(e, Prepared))


@pytest.mark.parametrize("responses", [False, True], ids=["chat", "responses"])
@pytest.mark.parametrize("way", WAYS)
def test_a_prompt_leaves_room_for_every_form_that_is_reserved(rm, way, responses):
    def run(context):
        model = wrap_chat_model(chat(use_responses_api=responses), rm, context=context, retry=None)
        WAYS[way](model).invoke(TALK, THREAD)

    reserved, prepared = counted(rm, run)
    assert reserved == prepared <= BUDGET


@pytest.mark.parametrize("form", [None, Big, AutoStrategy(Big), ToolStrategy(Big),
                                  ToolStrategy(Big | Pair), ProviderStrategy(Big)])  # fmt: skip
@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
def test_an_agent_prepares_what_it_reserves(rm, form, vendor):
    def look_up(word: str) -> str:
        """Look a word up."""
        return word

    url = UNREACHABLE.removesuffix("/v1")
    claude = {"model": CLAUDE, "base_url": url, "api_key": "k", "max_retries": 0}

    def run(context):
        model = chat() if vendor == "openai" else ChatAnthropic(**claude)
        middleware = AgentRMMiddleware(rm, context=context, retry=None)
        agent = create_agent(model, [look_up], response_format=form, middleware=[middleware])
        agent.invoke({"messages": TALK}, THREAD)

    reserved, prepared = counted(rm, run)
    assert reserved == prepared <= BUDGET


@pytest.mark.parametrize("called", [{"model": "gpt-4"}, {}])
def test_the_budget_is_counted_for_the_model_that_is_called(rm, called):
    """Settings without a model: the wrapped one's, or the one that this call names."""

    def run(context):
        model = ChatAnthropic(model=CLAUDE, base_url=UNREACHABLE, api_key="k", max_retries=0)
        wrapped = wrap_chat_model(model, rm, context=context, retry=None)
        wrapped.bind(**called).invoke([HumanMessage("好的，没问题 " * 60)], THREAD)

    reserved, prepared = counted(rm, run)
    name = called.get("model", CLAUDE)
    assert reserved == prepared == input_tokens([HumanMessage("好的，没问题 " * 60)], {}, name)


def test_a_class_costs_about_what_the_sdk_makes_of_it():
    messages = [{"role": "user", "content": "hi"}]
    plain = request_tokens({"messages": messages}, "gpt-4o")
    sent = {"messages": messages, "response_format": type_to_response_format_param(Big)}
    exact = request_tokens(sent, "gpt-4o") - plain
    for name in ("response_format", "text_format"):
        told = request_tokens({"messages": messages, name: Big}, "gpt-4o") - plain
        assert told == pytest.approx(exact, rel=0.1)


@pytest.mark.parametrize(
    "options",
    [
        {"output_config": {"format": SCHEMA}}, {"output_format": SCHEMA}, {"format": SCHEMA},
        {"response_schema": SCHEMA}, {"response_json_schema": SCHEMA}, {"text": JSON_SCHEMA},
        {"response_schema": Big}, {"tools": [Big]}, {"tools": [Pair]}, {"functions": [SCHEMA]},
    ],
    ids=lambda options: next(iter(options)),
)  # fmt: skip
def test_a_form_counts_under_the_names_of_all_providers(options):
    assert counter_for("gpt-4o").tools(form_in(options)) > 40


def test_a_tool_without_a_schema_counts_by_its_name():
    """Whatever is raised while its schema is made: the call tells it, the count does not."""

    class Bare:
        pass

    def refused(given: Bare):
        """Look."""

    def unknown(given: Nowhere):  # noqa: F821 - as with a name for the type checker alone
        """Look."""

    for tool in (refused, unknown):
        assert input_tokens([HumanMessage("hi")], {"tools": [tool]}, "gpt-4o") > 0


@pytest.mark.parametrize(
    "options", [{"format": "json"}, {"response_format": None}, {"text": "said"}, {"tools": None}]
)
def test_what_is_no_schema_costs_nothing(options):
    assert form_in(options) == []

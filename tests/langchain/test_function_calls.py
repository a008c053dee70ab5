"""Calls of the form before `tool_calls`: `function_call` and its FunctionMessage, as one pair."""

from __future__ import annotations

import json

import pytest
from langchain_core.messages import AIMessage, FunctionMessage, HumanMessage

from agentrm_langchain import wrap_chat_model
from agentrm_langchain.messages import from_message, input_tokens, to_message, to_messages
from agentrm_plugins import ContextConfig, ContextLifecycle, MemoryStore
from agentrm_plugins.context.live import counter_for
from tests.langchain.test_contextual import Listening

pytestmark = pytest.mark.lowest
THREAD = {"configurable": {"thread_id": "t"}}
NEXT = HumanMessage("what is the secret?")


def pair(said="the secret is 4711", **arguments):
    call = {"name": "look", "arguments": json.dumps(arguments)}
    return [
        AIMessage("", additional_kwargs={"function_call": call}, id="asked"),
        FunctionMessage(name="look", content=said, id="told"),
    ]


def sent_of(rm, messages, budget=800, store=None):
    """What is sent, and what is looked at after each turn: the session."""
    model = Listening()
    with ContextLifecycle(ContextConfig(budget_tokens=budget), store=store) as context:
        wrap_chat_model(model, rm, context=context).invoke(messages, THREAD)
    return model.sent[0]


def test_a_pair_under_the_budget_is_sent_as_it_is(rm):
    messages = [HumanMessage("look"), *pair(), NEXT]
    sent = sent_of(rm, messages)
    assert all(one is other for one, other in zip(sent, messages, strict=True))


def test_a_pair_is_read_and_given_back_without_a_loss():
    for message in pair(q="x"):
        again = from_message(to_message(message))
        assert again == message
        assert type(again) is type(message)


def test_a_pair_costs_the_same_at_all_doors():
    listed = [HumanMessage("look"), *pair("4711 " * 50, q="a question"), NEXT]
    read = to_messages(listed)
    counted = counter_for("gpt-4o").messages(read)
    assert counted == input_tokens(listed, {}, "gpt-4o")
    plain = counter_for("gpt-4o").messages(to_messages([listed[0], NEXT]))
    assert counted > plain + 100


@pytest.mark.parametrize("large", ["result", "arguments"])
def test_a_pair_larger_than_the_budget_is_shortened_and_stays_a_pair(rm, large):
    long = "a long line of what was seen there. " * 400
    both = pair(long) if large == "result" else pair("done", text=long)
    sent = sent_of(rm, [NEXT, *both])
    asked, told = sent[-2:]
    assert isinstance(told, FunctionMessage)
    assert told.name == asked.additional_kwargs["function_call"]["name"] == "look"
    assert not asked.tool_calls
    json.loads(asked.additional_kwargs["function_call"]["arguments"])
    assert input_tokens(sent, {}, "gpt-4o") <= 800


def test_old_pairs_leave_together_and_are_woken_together(rm):
    messages = [HumanMessage("begin")]
    for turn in range(12):
        messages += [*pair(f"value {turn}: " + "seen there " * 60, at=turn), HumanMessage("more")]
    store = MemoryStore()
    for _ in range(2):  # the second time read from the archive
        sent = sent_of(rm, messages, store=store)
        calls = [m for m in sent if "function_call" in m.additional_kwargs]
        results = [m for m in sent if isinstance(m, FunctionMessage)]
        assert 0 < len(calls) == len(results) < 12
        assert input_tokens(sent, {}, "gpt-4o") <= 800


def test_a_call_without_a_result_gets_one_that_says_so(rm):
    sent = sent_of(rm, [HumanMessage("look"), pair()[0], NEXT])
    assert [type(m).__name__ for m in sent] == [
        "HumanMessage", "AIMessage", "FunctionMessage", "HumanMessage",
    ]  # fmt: skip
    assert "no result" in sent[2].content


def test_a_shortened_call_in_plain_messages_keeps_its_form():
    call = {"name": "look", "arguments": json.dumps({"text": "seen there " * 900})}
    history = [
        {"role": "user", "content": "look"},
        {"role": "assistant", "content": None, "function_call": call},
        {"role": "function", "name": "look", "content": "done"},
    ]
    with ContextLifecycle(ContextConfig(budget_tokens=400)) as context:
        view = context.session("s").prepare(history)
    asked, told = view.messages[-2:]
    assert asked["function_call"]["name"] == told["name"] == "look"
    assert "tool_calls" not in asked
    assert told["role"] == "function"


@pytest.mark.parametrize("empty", [{}, {"name": "", "arguments": ""}, {"name": None}, None])
def test_an_empty_call_is_none(rm, empty):
    """Gateways send one along with a plain answer: nothing waits for its result."""
    said = AIMessage("fine", additional_kwargs={"function_call": empty})
    assert to_message(said).tool_calls == ()
    assert [one.type for one in sent_of(rm, [HumanMessage("look"), said, NEXT])] == [
        "human", "ai", "human",
    ]  # fmt: skip

"""What cannot work is refused at construction: field, value and way out; and nothing leaks."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import threading
from typing import Any

import pytest
from langchain_core.language_models import FakeListLLM
from langchain_core.load import dumps
from pydantic import SecretStr

from agentrm_langchain import AgentRMCallbackHandler, AgentRMChatModel, wrap_chat_model
from agentrm_plugins import AgentRM, Call, CallRefused, ClosedError, ConfigError
from agentrm_plugins.config.endpoints import EndpointConfig
from agentrm_plugins.integration import core_of
from tests.langchain.fakes import FakeChat

pytestmark = pytest.mark.lowest
FAST = {"*": EndpointConfig(rpm=1e9)}  # Else slow start alone keeps calls apart.


@pytest.mark.parametrize(
    ("make", "field", "way"),
    [
        (lambda rm: AgentRMCallbackHandler(), "rm", "AgentRM(lanes=8)"),
        (lambda rm: AgentRMCallbackHandler("core"), "rm", "AgentRM(lanes=8)"),
        (lambda rm: AgentRMCallbackHandler(rm, group="tools"), "group", "'model'"),
        (lambda rm: AgentRMCallbackHandler(rm, priority="urgent"), "priority", "'interactive'"),
        (lambda rm: AgentRMCallbackHandler(rm, agent=""), "agent", "not empty"),
        (lambda rm: AgentRMCallbackHandler(rm, max_runs=-1), "max_runs", "0 or more"),
        (lambda rm: AgentRMCallbackHandler(rm, wait_timeout_s=-1), "wait_timeout_s", "0 or more"),
        (lambda rm: wrap_chat_model("gpt", rm), "model", "BaseChatModel"),
        (lambda rm: wrap_chat_model(FakeListLLM(responses=["x"]), rm), "model", "BaseChatModel"),
        (lambda rm: wrap_chat_model(FakeChat().bind(stop=["x"]), rm), "model", "wrap the model"),
        (lambda rm: wrap_chat_model(None, rm), "model", "BaseChatModel"),
        (lambda rm: AgentRMChatModel(FakeChat()), "rm", "AgentRM(lanes=8)"),
        (lambda rm: wrap_chat_model(FakeChat(), rm, tenant=7), "tenant", "not empty"),
        (lambda rm: wrap_chat_model(FakeChat(), rm, priority="x"), "priority", "'batch'"),
        (lambda rm: wrap_chat_model(FakeChat(), rm, group="x"), "group", "'model'"),
        (lambda rm: wrap_chat_model(FakeChat(), rm, lanes=3), "lanes", "no such argument"),
        (
            lambda rm: wrap_chat_model(FakeChat(), rm, silence_timeout_s=0),
            "silence_timeout_s",
            "more than 0",
        ),
    ],
)
def test_a_bad_value_is_refused_at_construction(make, field, way, rm):
    """The error names the field and the way out."""
    with pytest.raises(ConfigError) as error:
        make(rm)
    assert error.value.field == field
    assert way in error.value.remedy


def test_a_closed_core_is_refused_at_construction():
    """And not only at the first call."""
    rm = AgentRM()
    rm.close()
    with pytest.raises(ClosedError, match="make a new AgentRM"):
        AgentRMCallbackHandler(rm)
    with pytest.raises(ClosedError, match="make a new AgentRM"):
        wrap_chat_model(FakeChat(), rm)


@pytest.mark.parametrize("way", ["invoke", "stream", "batch", "generate"])
def test_a_refusal_aborts_in_sync_code(way, managed, core):
    """The caller gets our error, and the model is never called."""
    rm = core(max_waiting=0)
    this = managed(rm)
    lease = core_of(rm).admit(Call("other"))
    with pytest.raises(CallRefused) as refused:
        if way == "batch":
            this.model.batch(["a", "b"], this.config)
        elif way == "generate":
            this.model.generate([[]], callbacks=this.callbacks)
        else:
            list(getattr(this.model, way)("go", this.config))
    lease.settle()
    assert refused.value.cause == "queue_full"
    assert this.bare.calls == []


# LangChain leaves the events of further handlers unawaited when the first one aborts the call.
@pytest.mark.filterwarnings("ignore:coroutine 'ahandle_event' was never awaited")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("way", ["ainvoke", "astream", "invoke"])
async def test_a_refusal_aborts_in_a_running_loop(way, managed, core):
    """Async calls, and sync calls in a notebook, are refused alike."""
    rm = core(wait_timeout_s=0)
    this = managed(rm)
    lease = core_of(rm).admit(Call("other"))
    with pytest.raises(CallRefused) as refused:
        if way == "astream":
            async for _ in this.model.astream("go", this.config):
                pass
        elif way == "invoke":
            this.model.invoke("go", this.config)
        else:
            await this.model.ainvoke("go", this.config)
    lease.settle()
    assert refused.value.cause == "wait_timeout"
    assert this.bare.calls == []
    del refused
    gc.collect()


class Secretive(FakeChat):
    api_key: SecretStr = SecretStr("a-very-secret-value")
    default_headers: Any = (("Authorization", "a-very-secret-value"),)


def test_no_form_of_the_model_shows_a_secret(rm):
    """repr, str, dumps, model_dump, pickle's error and the traced form show none."""
    model = wrap_chat_model(Secretive(), rm)
    forms = [repr(model), str(model), dumps(model), str(model.model_dump()), str(model._serialized)]
    with pytest.raises(TypeError, match="pickle the inner model") as error:
        pickle.dumps(model)
    forms.append(str(error.value))
    assert not [form for form in forms if "a-very-secret-value" in form]
    assert "fake-1" in repr(model)


def test_copies_share_the_core(rm):
    """`copy`, `deepcopy` and `model_copy` give models that the same core manages."""
    model = wrap_chat_model(FakeChat(), rm, agent="writer")
    for same in (copy.copy(model), model.model_copy(update={"agent": "reader"})):
        assert same.rm is rm
        same.invoke("go")
    assert set(rm.statistics().agents) == {"writer", "reader"}
    assert AgentRMCallbackHandler(rm).__deepcopy__({}).rm is rm


def test_setting_a_field_of_the_inner_model_leaves_the_users_own_alone(rm):
    """`model.temperature = 1` acts on a copy of the inner model."""
    bare = FakeChat()
    model = wrap_chat_model(bare, rm)
    model.temperature = 1.0
    assert (model.temperature, model.inner.temperature, bare.temperature) == (1.0, 1.0, 0.0)
    assert AgentRMChatModel(bare, rm, temperature=2.0).temperature == 2.0


def test_a_method_that_would_slip_past_is_not_forwarded(rm):
    """A provider's own method would call the bare model; the error names the way to it."""

    class Extra(FakeChat):
        def ask(self):
            return self.invoke("go")

    model = wrap_chat_model(Extra(), rm)
    assert model.model_name == "fake-1"
    with pytest.raises(AttributeError, match=r"model\.inner\.ask"):
        model.ask()
    with pytest.raises(AttributeError):
        _ = model.nothing_of_the_kind


def test_a_model_that_hides_itself_is_refused(rm):
    """If `bind_tools` gives something without a model in it, calls would pass unmanaged."""
    from langchain_core.runnables import RunnableLambda

    class Hiding(FakeChat):
        def bind_tools(self, tools, *, tool_choice=None, **kwargs):
            return RunnableLambda(lambda x: self.invoke(x))

    with pytest.raises(ConfigError, match="no chat model that could be managed"):
        wrap_chat_model(Hiding(), rm).bind_tools([])


def test_wrapped_twice_is_managed_once(rm, core):
    """The same core wraps no model twice; another one is refused while it is open."""
    other = core()
    once = wrap_chat_model(FakeChat(), rm, agent="writer")
    twice = wrap_chat_model(once, rm, tenant="gold")
    assert not isinstance(twice.inner, AgentRMChatModel)
    assert (twice.agent, twice.tenant) == ("writer", "gold")
    twice.invoke("go")
    with pytest.raises(ConfigError, match="another core already"):
        wrap_chat_model(once, other)
    assert (rm.statistics().settled, other.statistics().settled) == (1, 0)


def test_several_loops_one_after_the_other(managed, rm):
    """Nothing is bound to a loop: each `asyncio.run` works."""
    this = managed(rm)
    for _ in range(3):
        assert asyncio.run(this.model.ainvoke("go", this.config)).text == "one two three"
    assert rm.statistics().settled == 3


async def test_hundreds_of_concurrent_calls(managed, core):
    """400 calls at once over 3 lanes: no executor thread is used, so none can starve."""
    rm = core(lanes=3, endpoints=FAST)
    this = managed(rm)
    calls = (this.model.ainvoke("go", this.config) for _ in range(400))
    answers = await asyncio.gather(*calls)
    assert len(answers) == 400
    statistics = rm.statistics()
    assert (statistics.settled, statistics.lanes_peak) == (400, 3)
    assert asyncio.get_running_loop()._default_executor is None


def test_loops_in_threads_share_the_lanes(managed, core):
    """Two loops and a thread at once over two lanes: never more than two calls run."""
    rm = core(lanes=2, endpoints=FAST)
    this = managed(rm)

    async def many():
        await asyncio.gather(*(this.model.ainvoke("go", this.config) for _ in range(40)))

    work = [lambda: asyncio.run(many()), lambda: asyncio.run(many())]
    work.append(lambda: this.model.batch(["go"] * 40, this.config))
    threads = [threading.Thread(target=each) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statistics = rm.statistics()
    assert (statistics.settled, statistics.lanes_peak) == (120, 2)


def test_older_text_models_are_gated_by_the_callback(rm):
    """`on_llm_start`: two prompts, one lane, each counted; streaming and async as well."""
    config = {"callbacks": [AgentRMCallbackHandler(rm)]}
    model = FakeListLLM(responses=["x"])
    model.invoke("go", config)
    model.generate(["a", "b"], callbacks=config["callbacks"])
    asyncio.run(model.ainvoke("go", config))
    assert (rm.statistics().settled, rm.statistics().running) == (4, 0)

"""Each way to call a model is one call to the core, and gives what the bare model gives."""

from __future__ import annotations

import asyncio

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.messages import HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.rate_limiters import BaseRateLimiter
from langchain_core.runnables import ConfigurableField, RunnableLambda, RunnableParallel
from langchain_core.tracers.base import BaseTracer
from pydantic import BaseModel

from agentrm_langchain import wrap_chat_model
from tests.langchain.fakes import FakeChat

pytestmark = [
    pytest.mark.lowest,
    pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning"),
]

TEXT = "one two three"
ASK = [HumanMessage("go")]


class Said(BaseModel):
    """What was said."""

    text: str


def said(text: str) -> str:
    """Say it.

    Args:
        text: What.
    """
    return text


def text_of(chunks):
    return "".join(chunk.text for chunk in chunks)


def failing(_):
    raise ValueError("first")


SYNC = {
    "invoke": (1, lambda m, c: m.invoke("go", c).text),
    "invoke messages": (1, lambda m, c: m.invoke(ASK, c).text),
    "stream": (1, lambda m, c: text_of(m.stream("go", c))),
    "invoke as stream": (1, lambda m, c: m.invoke("go", c, stream=True).text),
    "batch": (3, lambda m, c: m.batch(["a", "b", "c"], c)[2].text),
    "batch of one": (1, lambda m, c: m.batch(["a"], c)[0].text),
    "batch as completed": (2, lambda m, c: dict(m.batch_as_completed(["a", "b"], c))[1].text),
    "generate": (
        2,
        lambda m, c: m.generate([ASK, ASK], callbacks=c["callbacks"]).generations[1][0].text,
    ),
    "generate prompt": (
        1,
        lambda m, c: (
            m.generate_prompt([m._convert_input("go")], callbacks=c["callbacks"])
            .generations[0][0]
            .text
        ),
    ),
    "events v3": (1, lambda m, c: m.stream_events("go", c, version="v3").output.text),
    "transform": (1, lambda m, c: text_of(m.transform(iter(["go"]), c))),
    "bind": (1, lambda m, c: m.bind(stop=["x"]).invoke("go", c).text),
    "bind tools": (1, lambda m, c: m.bind_tools([said]).invoke("go", c).text),
    "bind tools, stream": (1, lambda m, c: text_of(m.bind_tools([said]).stream("go", c))),
    "with config": (1, lambda m, c: m.with_config(tags=["x"]).invoke("go", c).text),
    "with retry": (1, lambda m, c: m.with_retry().invoke("go", c).text),
    "with fallbacks": (
        1,
        lambda m, c: RunnableLambda(failing).with_fallbacks([m]).invoke("", c).text,
    ),
    "pipe": (
        1,
        lambda m, c: (ChatPromptTemplate.from_template("{x}") | m | StrOutputParser()).invoke(
            {"x": "go"}, c
        ),
    ),
    "pipe, stream": (1, lambda m, c: "".join((m | StrOutputParser()).stream("go", c))),
    "parallel": (2, lambda m, c: RunnableParallel(a=m, b=m).invoke("go", c)["b"].text),
    "in a lambda": (1, lambda m, c: RunnableLambda(lambda x: m.invoke(x)).invoke("go", c).text),
    "map": (2, lambda m, c: m.map().invoke(["a", "b"], c)[1].text),
    "a copy": (1, lambda m, c: m.model_copy().invoke("go", c).text),
    "configurable alternatives": (
        1,
        lambda m, c: (
            m.configurable_alternatives(ConfigurableField("llm"), other=m)
            .with_config(configurable={"llm": "other"})
            .invoke("go", c)
            .text
        ),
    ),
    "structured": (1, lambda m, c: m.with_structured_output(Said).invoke("go", c)),
    "structured, raw": (
        1,
        lambda m, c: m.with_structured_output(Said, include_raw=True).invoke("go", c)["parsed"],
    ),
    "structured, stream": (
        1,
        lambda m, c: list(m.with_structured_output(Said).stream("go", c))[-1],
    ),
}


async def acollect(stream):
    return [item async for item in stream]


async def aevents_v2(m, c):
    events = await acollect(m.astream_events("go", c, version="v2"))
    return next(e["data"]["output"].text for e in events if e["event"] == "on_chat_model_end")


async def aevents_v3(m, c):
    stream = await m.astream_events("go", c, version="v3")
    text = (await stream.output).text
    for _ in range(20):  # the end event comes after the output, in the producer's task
        await asyncio.sleep(0)
    return text


async def abatch_as_completed(m, c):
    return dict(await acollect(m.abatch_as_completed(["a", "b"], c)))[1].text


async def in_alambda(m, c):
    async def inside(x):
        return await m.ainvoke(x)

    return (await RunnableLambda(inside).ainvoke("go", c)).text


async def agenerated(m, c):
    result = await m.agenerate([ASK, ASK, ASK], callbacks=c["callbacks"])
    return result.generations[2][0].text


async def atransformed(m, c):
    async def once():
        yield "go"

    return text_of(await acollect(m.atransform(once(), c)))


async def value(awaitable, get=lambda found: found.text):
    return get(await awaitable)


ASYNC = {
    "ainvoke": (1, lambda m, c: value(m.ainvoke("go", c))),
    "astream": (1, lambda m, c: value(acollect(m.astream("go", c)), text_of)),
    "abatch": (3, lambda m, c: value(m.abatch(["a", "b", "c"], c), lambda all_: all_[2].text)),
    "abatch as completed": (2, abatch_as_completed),
    "agenerate": (3, agenerated),
    "events v2": (1, aevents_v2),
    "events v3": (1, aevents_v3),
    "atransform": (1, atransformed),
    "bind tools": (1, lambda m, c: value(m.bind_tools([said]).ainvoke("go", c))),
    "structured": (
        1,
        lambda m, c: value(m.with_structured_output(Said).ainvoke("go", c), lambda found: found),
    ),
    "with retry": (1, lambda m, c: value(m.with_retry().ainvoke("go", c))),
    "with fallbacks": (
        1,
        lambda m, c: value(RunnableLambda(failing).with_fallbacks([m]).ainvoke("", c)),
    ),
    "pipe": (1, lambda m, c: value((m | StrOutputParser()).ainvoke("go", c), str)),
    "pipe, stream": (
        1,
        lambda m, c: value(acollect((m | StrOutputParser()).astream("go", c)), "".join),
    ),
    "parallel": (
        2,
        lambda m, c: value(RunnableParallel(a=m, b=m).ainvoke("go", c), lambda d: d["a"].text),
    ),
    "in a lambda": (1, in_alambda),
}


def check(rm, managed, count, answer):
    assert answer == TEXT or answer == Said(text="x")
    assert len(managed.bare.calls) == count
    statistics = rm.statistics()
    assert (statistics.submitted, statistics.settled) == (count, count)
    assert (statistics.reaped, statistics.running, statistics.lanes_in_use) == (0, 0, 0)
    assert (statistics.input_tokens, statistics.output_tokens) == (7 * count, 3 * count)


@pytest.mark.parametrize("way", SYNC)
def test_each_sync_way_is_counted_once(way, managed, rm):
    """With one lane: each call is admitted and settled once, with its real usage."""
    count, call = SYNC[way]
    this = managed(rm)
    check(rm, this, count, call(this.model, this.config))


@pytest.mark.parametrize("way", ASYNC)
async def test_each_async_way_is_counted_once(way, managed, rm):
    """The same in async code, on the caller's loop."""
    count, call = ASYNC[way]
    this = managed(rm)
    check(rm, this, count, await call(this.model, this.config))


@pytest.mark.parametrize("way", SYNC)
async def test_sync_calls_in_a_running_loop(way, managed, rm):
    """In a notebook the loop runs already: sync calls there are gated as well."""
    count, call = SYNC[way]
    this = managed(rm)
    check(rm, this, count, call(this.model, this.config))


@pytest.mark.parametrize("way", SYNC)
def test_without_a_worker_thread_too(way, rm):
    """`abandon_hung=False` runs the model in the caller's own thread, counted alike."""
    count, call = SYNC[way]
    bare = FakeChat()
    answer = call(wrap_chat_model(bare, rm, abandon_hung=False), {"callbacks": []})
    assert answer == TEXT if isinstance(answer, str) else answer == Said(text="x")
    assert rm.statistics().settled == count == len(bare.calls)


def test_a_cache_hit_needs_no_lane(rm):
    """The second call is answered from the cache that the bare model would use, and not counted."""
    cache = InMemoryCache()
    bare = FakeChat(cache=cache)
    bare.invoke("go")
    model = wrap_chat_model(bare, rm)
    assert model.invoke("go").text == TEXT
    assert model.invoke("other").text == TEXT
    assert model.invoke("other").text == TEXT
    assert bare.calls == ["generate", "generate"]
    assert rm.statistics().submitted == 1


def test_two_models_do_not_share_answers(rm):
    """The cache key is the inner model's: another temperature is another answer."""
    cache = InMemoryCache()
    first, second = FakeChat(cache=cache), FakeChat(cache=cache, temperature=1.0)
    wrap_chat_model(first, rm).invoke("go")
    wrap_chat_model(second, rm).invoke("go")
    assert len(first.calls) == len(second.calls) == 1


class CountingLimiter(BaseRateLimiter):
    def __init__(self):
        self.count = 0

    def acquire(self, *, blocking=True):
        self.count += 1
        return True

    async def aacquire(self, *, blocking=True):
        return self.acquire()


async def test_a_rate_limiter_is_asked_once_for_each_call(rm):
    """The inner model's limiter works on, and is not asked twice."""
    limiter = CountingLimiter()
    model = wrap_chat_model(FakeChat(rate_limiter=limiter), rm)
    model.invoke("go")
    list(model.stream("go"))
    await model.ainvoke("go")
    assert limiter.count == 3


class Tracer(BaseTracer):
    def __init__(self):
        super().__init__()
        self.seen = []

    def _persist_run(self, run):
        def walk(run):
            self.seen.append((run.run_type, run.name))
            for child in run.child_runs:
                walk(child)

        walk(run)


@pytest.mark.parametrize("own", [False, True])
def test_traces_look_like_the_bare_models(rm, own):
    """A tracer sees the same runs with the same names, each once, wherever it is attached."""
    traces = []
    for wrapped in (False, True):
        tracer = Tracer()
        bare = FakeChat(callbacks=[tracer] if own else None)
        model = wrap_chat_model(bare, rm) if wrapped else bare
        config = None if own else {"callbacks": [tracer]}
        chain = RunnableLambda(lambda x: x) | model
        chain.invoke("go", config)
        list(chain.stream("go", config))
        traces.append(tracer.seen)
    assert traces[0] == traces[1]
    assert [name for _, name in traces[0]].count("FakeChat") == 2


def test_configurable_fields_of_the_inner_model(rm):
    """A config changes the inner model's temperature on a copy; the call is still managed."""
    bare = FakeChat()
    model = wrap_chat_model(bare, rm).configurable_fields(
        temperature=ConfigurableField(id="heat", name="Heat")
    )
    assert model.with_config(configurable={"heat": 0.5}).invoke("go").text == TEXT
    assert model.invoke("go").text == TEXT
    assert rm.statistics().settled == 2
    assert bare.temperature == 0.0
    assert [spec.id for spec in model.config_specs] == ["heat"]

"""How far a call goes through the code: what `benchmarks.walks` counts does not grow unseen."""

from __future__ import annotations

from langchain_openai import ChatOpenAI

from agentrm_langchain import wrap_chat_model
from agentrm_plugins import AgentRM
from agentrm_plugins.testing.provider import SimulatedProvider, Status
from benchmarks.walks.count import counting
from benchmarks.walks.ways import WAYS

MOST_CALLS, MOST_FILES = 270, 55


def test_an_uncontended_call_stays_short() -> None:
    """A wrapped `ainvoke` takes so many Python calls in so many files."""
    walk = WAYS["a"].walk()
    assert 100 < len(walk.calls) <= MOST_CALLS
    assert walk.files <= MOST_FILES


def test_an_error_is_judged_once() -> None:
    """A refusal is read, judged and searched for limits once, whoever asks what it means."""
    with SimulatedProvider(seed=1) as provider, AgentRM(lanes=4) as rm:
        provider.script(["one", Status(429), "two"])
        chat = ChatOpenAI(base_url=provider.base_url, api_key="test-key", model="simulated")
        model = wrap_chat_model(chat, rm)
        model.invoke("hi")
        with counting() as walk:
            model.invoke("hi")
    calls = [*walk.calls, *walk.elsewhere]
    for function in ("judgement.py:judge", "retry_class.py:examine", "evidence.py:evidence_of"):
        assert sum(call.endswith(function) for call in calls) == 1

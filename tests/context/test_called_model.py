"""A session's counts are those of the model that is called, where the settings name none."""

from __future__ import annotations

import pytest

from agentrm_plugins import ConfigError, ContextConfig, ContextLifecycle, MemoryStore, fit
from agentrm_plugins.counting.encodings import counter_for
from agentrm_plugins.types.message import from_openai, read_openai

pytestmark = pytest.mark.lowest
CLAUDE, GPT = "claude-opus-4-7", "gpt-4o"
TOOL = {"type": "function", "function": {"name": "look", "description": "Looks. " * 20}}


def talk(turns):
    said = [{"role": "system", "content": "Be brief."}]
    for turn in range(turns):
        said.append({"role": "user", "content": f"Day {turn}: " + "along the river " * 12})
        call = {"name": "look", "arguments": "{}"}
        said.append({
            "role": "assistant", "content": "fine",
            "tool_calls": [{"id": f"c{turn}", "type": "function", "function": call}],
        })  # fmt: skip
        said.append({"role": "tool", "tool_call_id": f"c{turn}", "content": "seen it. " * 120})
    return [*said, {"role": "user", "content": "what now?"}]


def counted(view, model, tools=()):
    return counter_for(model).messages([read_openai(m) for m in view.messages], tools)


@pytest.mark.parametrize("turns", [1, 12])
def test_each_turn_is_counted_for_the_model_that_it_calls(turns):
    """Models take turns in one session, under the budget and beyond it: each count is its own."""
    with ContextLifecycle(ContextConfig(budget_tokens=900)) as manager:
        session, history = manager.session("s"), talk(turns)
        for step, model in enumerate([GPT, CLAUDE, GPT, "gpt-4", CLAUDE, CLAUDE, ""]):
            view = session.prepare(history, tools=[TOOL], model=model)
            assert view.tokens == counted(view, model, [TOOL]) <= 900
            session.maintain()
            history = [*history, {"role": "assistant", "content": "so"},
                       {"role": "user", "content": f"and then, {step}? " * 9}]  # fmt: skip


def test_a_model_that_is_named_in_the_settings_wins():
    with ContextLifecycle(ContextConfig(budget_tokens=900, model=GPT)) as manager:
        view = manager.session("s").prepare(talk(1), model=CLAUDE)
        assert view.tokens == counted(view, GPT)


def test_where_no_model_is_told_it_is_the_usual_one_or_the_one_before():
    with ContextLifecycle(ContextConfig(budget_tokens=900)) as manager:
        session = manager.session("s")
        view = session.prepare(talk(1))
        assert view.tokens == counted(view, GPT)
        session.prepare(talk(1), model=CLAUDE)
        view = session.prepare(talk(1))
        assert view.tokens == counted(view, CLAUDE)


@pytest.mark.parametrize("after", [CLAUDE, GPT, None])
@pytest.mark.parametrize("configured", [None, "gpt-4"])
def test_a_woken_session_is_counted_for_the_model_that_is_called_then(after, configured):
    store, history = MemoryStore(), talk(12)
    with ContextLifecycle(ContextConfig(budget_tokens=900), store=store) as manager:
        session = manager.session("s")
        session.prepare(history, model=CLAUDE)
        session.maintain()
        before = session.dump()
    config = ContextConfig(budget_tokens=900, model=configured)
    with ContextLifecycle(config, store=store) as manager:
        session = manager.session("s")
        if configured is None:
            assert session.dump() == before
        view = session.prepare(history, model=after)
        assert view.tokens == counted(view, configured or after or CLAUDE) <= 900


def test_what_a_provider_counted_corrects_its_own_models_counts_alone():
    with ContextLifecycle(ContextConfig(budget_tokens=9_000)) as manager:
        session = manager.session("s")
        plain = session.prepare(talk(1), model=CLAUDE).tokens
        session.report_usage(2 * plain, model=CLAUDE)
        session.report_usage(9 * plain, model=GPT)  # not the model of the last view
        raised = session.prepare(talk(1), model=CLAUDE).tokens
        assert plain < raised < 3 * plain
        session.prepare(talk(1), model=GPT)
        assert session.prepare(talk(1), model=CLAUDE).tokens == raised


def test_a_list_that_is_refused_leaves_counts_that_the_next_turn_makes_anew():
    with ContextLifecycle(ContextConfig(budget_tokens=900)) as manager:
        session = manager.session("s")
        session.prepare(talk(12), model=GPT)
        with pytest.raises(Exception, match="role"):
            session.prepare([*talk(12), {"role": "nobody"}], model=CLAUDE)
        view = session.prepare(talk(12), model=CLAUDE)
        assert view.tokens == counted(view, CLAUDE) <= 900


def test_once_without_a_session():
    messages = [from_openai(m) for m in talk(1)]
    for model in (CLAUDE, "", GPT):
        view = fit(messages, 2_000, model=model)
        assert view.tokens == counter_for(model).messages(view.messages)
    assert fit(messages, 2_000).tokens == counter_for(GPT).messages(messages)


def test_a_name_is_a_text():
    with pytest.raises(ConfigError, match="model"):
        ContextConfig(model=3)


@pytest.mark.parametrize("name", [5, ["a"], b"gpt-4o", {}])
@pytest.mark.parametrize("configured", [None, GPT])
def test_a_called_models_name_is_a_text(name, configured):
    with ContextLifecycle(ContextConfig(budget_tokens=900, model=configured)) as manager:
        session = manager.session("s")
        with pytest.raises(ConfigError, match="model"):
            session.prepare(talk(1), model=name)
        assert session.prepare(talk(1)).tokens > 0


@pytest.mark.parametrize("reported", [1, 3])
def test_what_was_learned_of_one_model_does_not_hold_for_another_that_is_configured(reported):
    """An exact count, or one that a provider corrected; the woken session's model is another."""
    store, before = MemoryStore(), GPT if reported == 1 else "mistral-large"
    with ContextLifecycle(ContextConfig(budget_tokens=900), store=store) as manager:
        session = manager.session("s")
        tokens = session.prepare(talk(1), model=before).tokens
        session.report_usage(reported * tokens, model=before)
        session.prepare(talk(1))
    config = ContextConfig(budget_tokens=900, model=CLAUDE)
    with ContextLifecycle(config, store=store) as manager:
        view = manager.session("s").prepare(talk(12))
        assert view.tokens == counted(view, CLAUDE) <= 900


def test_models_that_count_alike_take_turns_without_a_new_count():
    """A plan that was made meanwhile holds; an image costs each model something else."""
    picture = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    with ContextLifecycle(ContextConfig(budget_tokens=90_000)) as manager:
        session, history = manager.session("s"), talk(2)
        session.prepare(history, model=GPT)
        before = session._shared.transcript.generation
        for model in ("gpt-4o-mini", GPT, "gpt-4.1"):
            view = session.prepare(history, model=model)
            assert view.tokens == counted(view, model)
        assert session._shared.transcript.generation == before
        history = [*history[:-1], {"role": "user", "content": [picture]}]
        for model in (GPT, "gpt-4o-mini", GPT):
            view = session.prepare(history, model=model)
            assert view.tokens == counted(view, model)

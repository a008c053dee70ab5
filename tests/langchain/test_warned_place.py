"""A warning is blamed on the line of the user's program, not on one of a library's."""

from __future__ import annotations

import warnings

import pytest

from agentrm_langchain import AgentRMCallbackHandler
from agentrm_plugins import AgentRMWarning
from agentrm_plugins.testing.provider import Reply


def test_a_callbacks_warning_names_the_call_that_was_made(provider, core, chat):
    """Between the handler and the program are frames of LangChain alone; it is said once."""
    rm = core()
    provider.script([Reply("one"), Reply("two")])
    model = chat(provider, max_retries=2)
    config = {"callbacks": [AgentRMCallbackHandler(rm)]}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.invoke("go", config)
        model.invoke("go", config)
    [warning] = [one for one in caught if issubclass(one.category, AgentRMWarning)]
    assert warning.filename == __file__
    assert "holds its lane meanwhile" in str(warning.message)
    assert "hides" not in str(warning.message)  # the core is shown what these retries meet


def test_an_unreached_models_warning_names_the_line_of_manage(core):
    """The same where the core is the one who was asked."""
    from langchain_core.language_models import FakeListChatModel

    from agentrm_langchain import manage

    class Slotted:
        __slots__ = ("model",)

        def __init__(self):
            self.model = FakeListChatModel(responses=["x"])

    holder, bare = Slotted(), FakeListChatModel(responses=["x"])
    rm = core()
    with pytest.warns(AgentRMWarning, match="not managed") as caught:
        manage({"a": bare, "b": holder}, rm)
    assert caught[0].filename == __file__

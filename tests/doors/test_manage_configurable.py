"""Models with configurable fields: what `with_config` said of them holds when they are managed."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import FakeListChatModel
from langchain_core.runnables import (
    ConfigurableField,
    ConfigurableFieldMultiOption,
    ConfigurableFieldSingleOption,
    RunnableLambda,
)

from agentrm_langchain import manage
from agentrm_plugins import AgentRM

FIELD = ConfigurableField(id="said", name="Said", description="what it says")
ONE = ConfigurableFieldSingleOption(id="x", options={"q": ["Q"], "z": ["Z"]}, default="q")
SEVERAL = ConfigurableFieldMultiOption(id="x", options={"q": "Q", "z": "Z"}, default=["q"])


class Heard(BaseCallbackHandler):
    """Writes down what a model's start was called, and its tags and metadata."""

    def __init__(self) -> None:
        self.starts: list[Any] = []

    def on_chat_model_start(self, *_: Any, **told: Any) -> None:
        tags = [tag for tag in told["tags"] or [] if not tag.startswith("seq")]
        self.starts.append((told["name"], tags, (told["metadata"] or {}).get("whose")))


def model(field: Any = FIELD) -> Any:
    return FakeListChatModel(responses=["plain"]).configurable_fields(responses=field)


def told(heard: Heard) -> Any:
    config: Any = {"tags": ["mine"], "metadata": {"whose": "me"}, "run_name": "named"}
    return model().with_config(configurable={"said": ["asked"]}, callbacks=[heard], **config)


@pytest.mark.parametrize("chained", [False, True])
@pytest.mark.parametrize("way", ["invoke", "stream", "batch"])
def test_a_config_given_before_is_kept(way: str, chained: bool) -> None:
    """Its fields, tags, metadata, callbacks and name, alone and within a chain."""

    def run(managed: bool) -> Any:
        heard = Heard()
        runnable: Any = told(heard)
        if chained:
            runnable = RunnableLambda(lambda given: given) | runnable
        with AgentRM() as rm:
            if managed:
                runnable = manage(runnable, rm)
            found = getattr(runnable, way)(["go"] if way == "batch" else "go")
            said = "".join(one.text for one in (found if way != "invoke" else [found]))
            assert rm.statistics().settled == int(managed)
        return said, heard.starts

    assert run(managed=True) == run(managed=False) == ("asked", [("named", ["mine"], "me")])


@pytest.mark.parametrize("field", [FIELD, ONE, SEVERAL, ConfigurableField(id="said")])
def test_what_may_be_configured_is_told_alike(field: Any) -> None:
    """A server asks for these schemas at its start; options raised a KeyError."""
    with AgentRM() as rm:
        bare = model(field)
        managed: Any = manage(bare, rm)
        assert [one[:5] for one in managed.config_specs] == [one[:5] for one in bare.config_specs]
        chain = RunnableLambda(lambda given: given) | managed
        assert chain.config_schema().model_json_schema()["properties"]
        assert manage(bare.with_config(tags=["t"]), rm).config_specs[0].id == field.id


def test_what_was_made_of_it_is_managed_too() -> None:
    """An option that a call picks, and a second config on top."""
    with AgentRM() as rm:
        managed: Any = manage(model(ONE), rm)
        assert managed.invoke("go", {"configurable": {"x": "z"}}).text == "Z"
        assert managed.with_config(configurable={"x": "z"}).invoke("go").text == "Z"
        assert rm.statistics().settled == 2

"""No method of `BaseChatModel` slips past the wrapper unnoticed."""

from __future__ import annotations

import inspect

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.load.serializable import Serializable
from langchain_core.runnables import Runnable
from pydantic import BaseModel

from agentrm_langchain import AgentRMChatModel, wrap_chat_model
from agentrm_langchain.delegate import FORWARDED, GATED, INHERITED
from tests.langchain.fakes import FakeChat

pytestmark = pytest.mark.lowest

# Fields are copied up; these names are pydantic's own.
PYDANTIC = set(dir(BaseModel)) | {"model_config", "lc_kwargs"}


def methods():
    """Every public method, property and hook that langchain-core defines for a chat model."""
    found = set()
    for kind in BaseChatModel.__mro__:
        if not kind.__module__.startswith("langchain_core"):
            continue
        for name, member in vars(kind).items():
            if name.startswith("__") or name in PYDANTIC or name in BaseChatModel.model_fields:
                continue
            if name.startswith("_abc"):
                continue
            if (
                callable(member)
                or isinstance(member, (property, classmethod, staticmethod))
                or inspect.isdatadescriptor(member)
                or hasattr(member, "func")
            ):
                found.add(name)
    return found


def test_every_method_is_gated_forwarded_or_inherited():
    """A method that langchain-core adds must be looked at before this test passes again."""
    listed = GATED | FORWARDED | INHERITED
    assert not methods() - listed, "new in langchain-core: gate, forward or inherit each"


def test_the_lists_do_not_overlap_and_hold_what_they_say():
    """Gated and forwarded methods are overridden by us; inherited ones are LangChain's own."""
    assert not GATED & FORWARDED
    assert not (GATED | FORWARDED) & INHERITED
    own = {
        name
        for kind in AgentRMChatModel.__mro__
        if kind.__module__.startswith("agentrm_langchain")
        for name in vars(kind)
    }
    assert own >= GATED | FORWARDED
    noted = {"invoke", "ainvoke", "stream", "astream"}
    noted |= {"_generate_with_cache", "_agenerate_with_cache"}
    native = {"_stream_chat_model_events", "_astream_chat_model_events"}
    methods_of_ours = {n for n in own if n in methods()} - GATED - FORWARDED - native
    assert methods_of_ours <= noted | {"model_post_init"}


def test_every_field_is_copied_up(rm):
    """What the public path acts on is the outer model's: no field stays dead on the inner one."""
    bare = FakeChat(
        cache=False,
        tags=["t"],
        metadata={"m": 1},
        disable_streaming=True,
        output_version="v1",
        name="named",
        profile={"max_input_tokens": 7},
        verbose=False,
    )
    model = wrap_chat_model(bare, rm)
    for name in BaseChatModel.model_fields:
        assert getattr(model, name) == getattr(bare, name), name
    assert model.metadata is not bare.metadata
    assert model._llm_type == bare._llm_type
    assert model.get_name() == bare.get_name() == "named"
    assert model._get_ls_params(model="x") == bare._get_ls_params(model="x")
    assert model.asdict() == bare.asdict()


def test_output_version_acts_on_both(rm):
    """Providers read their own field, the public layer the outer one."""
    model = AgentRMChatModel(FakeChat(), rm, output_version="v1")
    assert (model.output_version, model.inner.output_version) == ("v1", "v1")
    model.output_version = "v0"
    assert (model.output_version, model.inner.output_version) == ("v0", "v0")


def test_streaming_is_what_the_inner_model_can(rm):
    """A model that cannot stream, or must not, is not said to stream."""
    from tests.langchain.fakes import SyncOnly

    only = wrap_chat_model(SyncOnly(), rm)
    assert len(list(only.stream("go"))) == 1
    off = wrap_chat_model(FakeChat(disable_streaming=True), rm)
    assert [chunk.text for chunk in off.stream("go")] == ["one two three"]
    assert off.inner.calls == ["generate"]
    assert isinstance(only, Runnable)
    assert isinstance(only, Serializable)

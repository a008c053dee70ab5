"""All that a chat model says of itself, asked of the inner model.

`FORWARDED`, `GATED` and `INHERITED` below name every method of `BaseChatModel`; a test compares
them with the installed langchain-core, so that a method which appears there is looked at before it
can slip past.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Self

from langchain_core.language_models import BaseChatModel
from pydantic import Field, SkipValidation

from agentrm_langchain.swap import swap
from agentrm_plugins.integration import no_such_argument

if TYPE_CHECKING:
    from langchain_core.language_models import LanguageModelInput
    from langchain_core.language_models.model_profile import ModelProfile
    from langchain_core.messages import AIMessage, BaseMessage
    from langchain_core.runnables import Runnable, RunnableSerializable

__all__ = ["FORWARDED", "GATED", "INHERITED", "Delegate"]

# A call passes the core here.
GATED = frozenset({"_generate", "_agenerate", "_stream", "_astream"})

# The inner model answers, or its answer is used.
FORWARDED = frozenset(
    {
        *("_llm_type", "_identifying_params", "_get_ls_params", "_get_ls_params_with_defaults"),
        *("_get_invocation_params", "_get_llm_string", "_combine_llm_outputs", "_convert_input"),
        *("_convert_cached_generations", "_resolve_model_profile", "_should_stream"),
        *("_should_use_protocol_streaming", "_streaming_disabled", "_dict_for_compat", "asdict"),
        *("bind_tools", "with_structured_output", "configurable_fields", "get_name"),
        *("get_token_ids", "get_num_tokens", "get_num_tokens_from_messages"),
        *("_serialized", "is_lc_serializable"),
    }
)

# LangChain's own code runs on the managed model and ends in the gated hooks, or touches only
# fields. `invoke`, `stream` and their async twins note the thread id, the streams and the
# `_with_cache` pair note the run on the way; they change nothing.
INHERITED = frozenset(
    {
        *(
            "invoke",
            "ainvoke",
            "stream",
            "astream",
            "stream_events",
            "astream_events",
            "astream_log",
        ),
        *(
            "batch",
            "abatch",
            "batch_as_completed",
            "abatch_as_completed",
            "transform",
            "atransform",
        ),
        *("generate", "agenerate", "generate_prompt", "agenerate_prompt", "_call_async"),
        *("_generate_with_cache", "_agenerate_with_cache", "_iter_v2_events", "_aiter_v2_events"),
        *("_chat_model_stream_v3", "_achat_model_stream_v3", "_replay_v2_events_for_cache_hit"),
        *("_astream_events_v1_v2", "_astream_events_v3_unsupported"),
        *("_areplay_v2_events_for_cache_hit", "dict", "bind", "set_verbose", "model_post_init"),
        *("_set_model_profile", "_check_profile_keys", "_add_version", "InputType", "OutputType"),
        # Runnable's combinators, which hold the managed model itself.
        *("pipe", "pick", "assign", "map", "with_config", "with_listeners", "with_alisteners"),
        *("with_types", "with_retry", "with_fallbacks", "configurable_alternatives", "as_tool"),
        *(
            "input_schema",
            "output_schema",
            "get_input_schema",
            "get_output_schema",
            "config_schema",
        ),
        *("get_input_jsonschema", "get_output_jsonschema", "get_config_jsonschema", "config_specs"),
        *("get_graph", "get_prompts", "_call_with_config", "_acall_with_config"),
        *("_batch_with_config", "_abatch_with_config", "_transform_stream_with_config"),
        *("_atransform_stream_with_config",),
        # Serializable's: a managed model dumps as "not implemented", without any field.
        *("to_json", "to_json_not_implemented", "lc_id", "get_lc_namespace", "lc_secrets"),
        *("lc_attributes", "_is_field_useful"),
    }
)

_BASE_FIELDS = frozenset(BaseChatModel.model_fields)
_BOTH = ("output_version",)  # read by the public path and by providers
_CACHED = ("_core", "_facts", "_register", "_serialized", "_views")


class Delegate(BaseChatModel):
    """A chat model that is another one in all that it says of itself."""

    inner: SkipValidation[BaseChatModel] = Field(exclude=True)

    def __init__(self, *, inner: BaseChatModel, **fields: Any) -> None:
        own, inner_fields = type(self).model_fields, type(inner).model_fields
        changes = {name: fields.pop(name) for name in list(fields) if name not in own}
        for name, value in changes.items():
            if name not in inner_fields:
                raise no_such_argument(name, value, {*own, *inner_fields} - {"inner", "rm"})
        if changes:  # as LangChain's own configurable fields do it
            kept = {k: v for k, v in inner.__dict__.items() if k in inner_fields}
            inner = type(inner)(**{**kept, **changes})
        # The public path acts on the outer model's fields: what stays on the inner one is dead.
        for name in _BASE_FIELDS - fields.keys():
            value = getattr(inner, name)
            fields[name] = dict(value) if name == "metadata" and value is not None else value
        if fields["output_version"] != inner.output_version:  # providers read their own as well
            inner = inner.model_copy(update={"output_version": fields["output_version"]})
        super().__init__(**{"inner": inner, **fields})

    # -- attributes -------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        """A field or property that only the inner model has, such as `model_name`."""
        inner = self.__dict__.get("inner")
        if inner is None or name.startswith("_"):
            return super().__getattr__(name)  # type: ignore[misc]
        kind = type(inner)
        found = getattr(kind, name, None)
        if name in kind.model_fields or name in inner.__dict__ or not callable(found):
            return getattr(inner, name)
        msg = (
            f"{type(self).__name__} has no method {name!r}: calls that {kind.__name__}.{name} "
            f"makes would pass unmanaged; if that is meant, use model.inner.{name}"
        )
        raise AttributeError(msg)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set a field; one of the inner model's on a copy of it, never on the user's own."""
        own = name in type(self).model_fields
        if not name.startswith("_") and (not own or name == "output_version"):
            inner = self.__dict__.get("inner")
            if inner is not None and name in type(inner).model_fields:
                self.__dict__["inner"] = inner.model_copy(update={name: value})
                self.__dict__.pop("_serialized", None)
                if not own:
                    return
        super().__setattr__(name, value)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy; a field that only the inner model has is changed on a copy of that one."""
        if deep:
            return deepcopy(self).model_copy(update=update)
        own, changes = type(self).model_fields, dict(update or {})
        theirs = {
            name: value
            for name, value in changes.items()
            if name in type(self.inner).model_fields and (name not in own or name in _BOTH)
        }
        if theirs:
            changes = {name: value for name, value in changes.items() if name in own}
            changes["inner"] = changes.get("inner", self.inner).model_copy(update=theirs)
        copied = super().model_copy(update=changes)
        for name in _CACHED:
            copied.__dict__.pop(name, None)
        return copied

    def __repr_args__(self) -> Any:
        """What identifies the model, and nothing that could be a secret."""
        yield None, type(self.inner).__name__
        for name in ("model_name", "model"):
            value = getattr(self.inner, name, None)
            if isinstance(value, str):
                yield "model", value
                return

    # -- the model's description ------------------------------------------------------------

    @property
    def _llm_type(self) -> str:
        return self.inner._llm_type

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        return self.inner._identifying_params

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        return self.inner._get_ls_params(stop=stop, **kwargs)

    def _get_ls_params_with_defaults(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        return self.inner._get_ls_params_with_defaults(stop=stop, **kwargs)

    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        return self.inner._get_invocation_params(stop=stop, **kwargs)

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        return self.inner._get_llm_string(stop=stop, **kwargs)

    def _combine_llm_outputs(self, llm_outputs: Any, /) -> Any:
        return self.inner._combine_llm_outputs(llm_outputs)

    def _convert_input(self, model_input: Any) -> Any:
        return self.inner._convert_input(model_input)

    def _convert_cached_generations(self, cache_val: Any) -> Any:
        return self.inner._convert_cached_generations(cache_val)

    def _dict_for_compat(self) -> Any:
        return self.inner._dict_for_compat()

    def asdict(self) -> Any:
        """The inner model's parameters."""
        return self.inner.asdict()

    def _resolve_model_profile(self) -> ModelProfile | None:
        return self.inner.profile

    def get_name(self, suffix: str | None = None, *, name: str | None = None) -> str:
        """The name in traces: the inner model's, so that managing a model renames nothing."""
        return self.inner.get_name(suffix, name=name or self.name)

    def get_token_ids(self, text: str) -> list[int]:
        """The inner model's tokens of a text."""
        return self.inner.get_token_ids(text)

    def get_num_tokens(self, text: str) -> int:
        """The inner model's count of a text's tokens."""
        return self.inner.get_num_tokens(text)

    def get_num_tokens_from_messages(
        self, messages: list[BaseMessage], tools: Sequence[Any] | None = None, **kwargs: Any
    ) -> int:
        """The inner model's count of the messages' tokens."""
        return self.inner.get_num_tokens_from_messages(messages, tools=tools, **kwargs)

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """No: what is loaded from a dump would be an unmanaged model."""
        return False

    # -- streaming --------------------------------------------------------------------------

    def _streaming_disabled(self, **kwargs: Any) -> bool:
        return super()._streaming_disabled(**kwargs) or self.inner._streaming_disabled(**kwargs)

    def _should_stream(self, *, async_api: bool, run_manager: Any = None, **kwargs: Any) -> bool:
        asked = self.inner._should_stream(async_api=async_api, run_manager=run_manager, **kwargs)
        return asked and not self._streaming_disabled(**kwargs)

    def _should_use_protocol_streaming(
        self, *, async_api: bool, run_manager: Any = None, **kwargs: Any
    ) -> bool:
        asked = self.inner._should_use_protocol_streaming(
            async_api=async_api, run_manager=run_manager, **kwargs
        )
        return asked and not self._streaming_disabled(**kwargs)

    # -- models built from this one ---------------------------------------------------------

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | Any],
        *,
        tool_choice: Any = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools as the inner model does; calls to the result are managed.

        Raises:
            ConfigError: The inner model returned something in which it cannot be found.
        """
        if tool_choice is not None:
            kwargs["tool_choice"] = tool_choice
        bound = self.inner.bind_tools(tools, **kwargs)
        found: Runnable[LanguageModelInput, AIMessage] = swap(bound, self.around, "bind_tools")
        return found

    def with_structured_output(
        self, schema: Any = None, *, include_raw: bool = False, **kwargs: Any
    ) -> Runnable[LanguageModelInput, Any]:
        """Structured output as the inner model does it; calls to the result are managed.

        Raises:
            ConfigError: The inner model returned something in which it cannot be found.
        """
        built = self.inner.with_structured_output(schema, include_raw=include_raw, **kwargs)
        found: Runnable[LanguageModelInput, Any] = swap(
            built, self.around, "with_structured_output"
        )
        return found

    def around(self, inner: BaseChatModel) -> BaseChatModel:
        """This model around another inner one; itself if that is the one it has."""
        if inner is self.inner or isinstance(inner, Delegate):
            return self if inner is self.inner else inner
        return self.model_copy(update={"inner": inner})

    def configurable_fields(
        self, **kwargs: Any
    ) -> RunnableSerializable[LanguageModelInput, AIMessage]:
        """Fields of this model or of the inner one that a config may change.

        Raises:
            ValueError: Neither has such a field.
        """
        from agentrm_langchain.configurable import managed_fields

        inner_only = type(self.inner).model_fields.keys() - type(self).model_fields.keys()
        super().configurable_fields(**{k: v for k, v in kwargs.items() if k not in inner_only})
        return managed_fields(self, kwargs)

"""The provider SDK inside a model, under management: its own retries off, its traffic seen.

Retries of an SDK hide refusals from the core and multiply with its own. Four kinds of switch are
known, and each is turned in a copy: the user's own model and clients stay as they are.

- *clients that make copies of themselves* (OpenAI's, Anthropic's, Groq's and all that are made by
  the same generator: ``with_options(max_retries=0)``). Where `agentrm_openai` is installed, the
  copies' HTTP transports show the core every header, on success too;
- *a field that is read at each call* (Mistral, Gemini, LiteLLM, Cohere, Fireworks). Where such a
  model holds a plain HTTP client (Mistral), a twin of that one shows the core its headers;
- *a client that the model builds from its fields* (OpenRouter);
- *botocore's handler* (Bedrock): a copy of the client without it.

Of models of any other kind nothing is known: give them their SDK's equivalent of ``max_retries=0``
yourself. Requests are counted for each in `tests/providers/test_sdk_retries.py`.
"""

from __future__ import annotations

import copy
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

from agentrm_langchain.hidden_errors import told_by_botocore, told_by_google
from agentrm_plugins import ConfigError
from agentrm_plugins.integration import core_of

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from agentrm_plugins import AgentRM

__all__ = [
    "reads_one_request",
    "retries_of",
    "under_management",
    "warn_of_retries",
    "watch_clients",
]

# The value that means a single request; 0 is "the SDK's own default" to Google's.
_FIELDS = {
    "ChatMistralAI": 1,
    "ChatGoogleGenerativeAI": 1,
    "ChatVertexAI": 1,
    "ChatLiteLLM": 1,
    "ChatCohere": 1,
    "ChatFireworks": 0,
}
RETRIES = "sdk retries"
# Packages whose streams wait for the answer of their one request, and for nothing else.
_PLAIN_READERS = frozenset({"langchain_openai", "langchain_anthropic"})
# SDKs that raise an error in an event of a stream, and make nothing of a document in its place.
_TOLD_AS_EVENTS = frozenset({"openai", "groq", "anthropic"})
_PLAIN = ("client", "async_client")
_OWNED = (("root_client", "client"), ("root_async_client", "async_client"))


def under_management(model: BaseChatModel, rm: AgentRM, keep_retries: bool) -> BaseChatModel:
    """The model with its SDK clients under management; itself if it has none that are known.

    Args:
        model: The chat model. It is not changed.
        rm: The core that is shown the headers.
        keep_retries: Whether the SDK goes on to retry by itself.
    """
    changes = _clients(model, rm, keep_retries)
    if not keep_retries:
        changes |= _switches(model, changes)
    if keep_retries or not changes:
        warn_of_retries(model, rm, strict=True)
    changes |= _plain_clients(model, rm)
    if not changes:
        return model
    twin = model.model_copy()
    twin.__dict__.update(changes)
    return twin


def _clients(model: BaseChatModel, rm: AgentRM, keep_retries: bool) -> dict[str, Any]:
    """Copies of the clients that can make some, by the fields that hold them."""
    changes: dict[str, Any] = {}
    for root, resource in _OWNED:
        # What is asked is the resource; Groq's models have no root, xAI's another one. A resource
        # without an owner was given by the user (a mock).
        owner, client = _owner(model.__dict__.get(resource)), model.__dict__.get(root)
        managed = None if owner is None else _managed(owner, rm, keep_retries)
        if managed is None:
            continue
        changes[resource] = managed.chat.completions
        if client is not None:
            changes[root] = managed if owner is client else _managed(client, rm, keep_retries)
    for name in ("_client", "_async_client"):
        if isinstance(getattr(type(model), name, None), cached_property):
            managed = _managed(getattr(model, name), rm, keep_retries)
            if managed is not None:
                changes[name] = managed
    return changes


def _plain_clients(model: BaseChatModel, rm: AgentRM) -> dict[str, Any]:
    """Twins of the HTTP clients that a model holds without an SDK between."""
    found = ((name, model.__dict__.get(name)) for name in _PLAIN)
    twins = {
        name: _observed(one, rm, tells_errors="statuses")
        for name, one in found
        if hasattr(one, "_transport")
    }
    return {name: twin for name, twin in twins.items() if twin is not None}


def _switches(model: BaseChatModel, changed: dict[str, Any]) -> dict[str, Any]:
    """What turns retries off where no client could be copied."""
    kinds = [kind.__name__ for kind in type(model).__mro__]
    changes: dict[str, Any] = {}
    for kind in kinds:
        if kind in _FIELDS and "max_retries" in model.__dict__ and not changed:
            changes["max_retries"] = _FIELDS[kind]
    client = model.__dict__.get("client")
    if "ChatOpenRouter" in kinds and client is not None:
        changes |= _rebuilt(model, client)
    elif hasattr(type(client), "_make_api_call"):
        changes["client"] = _without_botocore_retries(client)
    elif "ChatGoogleGenerativeAI" in kinds and client is not None:
        changes["client"] = told_by_google(client)
    return changes


def _rebuilt(model: BaseChatModel, client: Any) -> dict[str, Any]:
    """The client that the model would have built with no retries, on the same connections."""
    build = getattr(model, "_build_client", None)
    before = getattr(client, "sdk_configuration", None)
    if build is None or before is None:
        return {}
    bare = model.model_copy(update={"max_retries": 0})
    made = bare._build_client()  # type: ignore[attr-defined]
    made.sdk_configuration.retry_config = None
    for name in ("client", "async_client"):
        setattr(made.sdk_configuration, name, getattr(before, name))
    return {"max_retries": 0, "client": made}


def _without_botocore_retries(client: Any) -> Any:
    """A copy of a botocore client that asks nobody whether to send a request again."""
    twin = object.__new__(type(client))  # its `__getattr__` does not stand a plain copy
    twin.__dict__.update(client.__dict__)
    twin._endpoint = copy.copy(client._endpoint)
    events = copy.copy(client._endpoint._event_emitter)
    name = client.meta.service_model.service_id.hyphenize()
    events.unregister(f"needs-retry.{name}", unique_id=f"retry-config-{name}")
    told_by_botocore(twin, events, name)
    twin._endpoint._event_emitter = events
    return twin


def reads_one_request(stream: Any) -> bool:
    """Whether a model's hook is known to wait for its own request only, and so is each chunk."""
    hook = getattr(stream, "func", stream)
    return str(getattr(hook, "__module__", "")).partition(".")[0] in _PLAIN_READERS


def _owner(resource: Any) -> Any:
    return getattr(resource, "_client", None)


def _managed(client: Any, rm: AgentRM, keep_retries: bool) -> Any:
    """A copy of an SDK's client; None if it is of no known kind."""
    if not hasattr(type(client), "with_options") or not hasattr(client, "max_retries"):
        return None
    options: dict[str, Any] = {} if keep_retries else {"max_retries": 0}
    told = any(
        kind.__module__.partition(".")[0] in _TOLD_AS_EVENTS for kind in type(client).__mro__
    )
    style = "events" if told else ""
    seen = _observed(getattr(client, "_client", None), rm, tells_errors=style)
    if seen is not None:
        options["http_client"] = seen
    return client.with_options(**options) if options else client


def _observed(http: Any, rm: AgentRM, *, tells_errors: str = "") -> Any:
    try:
        adapter = import_module("agentrm_openai")
    except ImportError:  # neither the SDK nor its HTTP library is installed
        return None
    return adapter.observed_twin(http, rm, tells_errors=tells_errors)


def retries_of(model: BaseChatModel) -> int:
    """How often the SDK in a bare model sends a request again by itself, as far as is known."""
    clients = [model.__dict__.get(root) for root, _ in _OWNED]
    for client in (*clients, model.__dict__.get("_client"), model):
        found = getattr(client, "max_retries", None)
        if isinstance(found, int) and not isinstance(found, bool):
            one = next(
                (_FIELDS[k.__name__] for k in type(model).__mro__ if k.__name__ in _FIELDS), 0
            )
            return max(0, found - one)
    return 0


def warn_of_retries(
    model: BaseChatModel, rm: AgentRM, *, watched: bool = False, strict: bool = False
) -> None:
    """Say once that an SDK retries by itself under management.

    Args:
        model: The bare model.
        rm: The core.
        watched: Whether the core sees what these retries meet, as a callback does at a known SDK.
        strict: Whether it is raised where warnings are errors.
    """
    core = core_of(rm)
    count = retries_of(model)
    if RETRIES in core.warned or not count:
        return
    said = f"the SDK in {type(model).__name__} goes on to retry by itself (max_retries={count})"
    if watched:
        text = (
            f"{said}, and holds its lane meanwhile; what it gives up is lost. manage or "
            "wrap_chat_model, in the callback's place, tries again without a lane"
        )
    else:
        text = (
            f"{said}: it hides refusals from the core, and both multiply. "
            "Use wrap_chat_model or manage without keep_sdk_retries, or max_retries=0"
        )
    core.warned.once(RETRIES, text, strict=strict)


def watch_clients(model: BaseChatModel, rm: AgentRM) -> bool:
    """Let the core see what passes through a bare model's own clients, which go on as they did.

    A callback cannot put other clients in their place. What is seen are the headers of each
    response and each refusal, those that the SDK's own retries meet among them.

    Returns:
        Whether the core is shown what this model's clients meet.
    """
    try:
        adapter = import_module("agentrm_openai")
    except ImportError:
        return False
    seen = False
    for http in _http_clients(model):
        observer = getattr(getattr(http, "_transport", None), "observer", None)
        other = getattr(observer, "rm", None)
        if observer is None or (other is not None and other is not rm and other.closed):
            try:
                adapter.observe_client(http, rm)
            except ConfigError:  # of no HTTP library that we know: a mock
                continue
        elif other is not rm:
            continue  # another core's
        seen = True
    return seen


def _http_clients(model: BaseChatModel) -> list[Any]:
    later = [
        getattr(model, name)
        for name in ("_client", "_async_client")
        if isinstance(getattr(type(model), name, None), cached_property)
    ]
    clients = [*(model.__dict__.get(root) for root, _ in _OWNED), *later]
    plain = [one for name in _PLAIN if hasattr(one := model.__dict__.get(name), "_transport")]
    return [
        *(http for one in clients if (http := getattr(one, "_client", None)) is not None),
        *plain,
    ]

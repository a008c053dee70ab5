"""What a chat model's own fields say of a call: where it goes, how long it waits, how much it says.

The fields are read anew only when one of them has changed: by identity, and the mutable ones by
what is in them.

An endpoint is the provider's host, the model and a fingerprint of the key, never the key. The name
is the one that `agentrm_openai` reads from the requests themselves, so that a wrapped
model, a managed client and the transports share one endpoint. Where a model tells no host, its
provider's name stands for it; where it tells nothing, the endpoint is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from operator import is_
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import SecretStr

from agentrm_plugins.integration import Endpoint, key_fingerprint, wire

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

__all__ = [
    "CLIENT",
    "Facts",
    "ModelFacts",
    "clients_of",
    "endpoint_of",
    "host_in",
    "host_of_model",
    "max_output_of",
    "model_in",
    "model_of",
    "most_in",
    "name_of",
]

_MODELS = ("model_name", "model", "model_id", "deployment_name", "azure_deployment")
_HOSTS = (
    *("openai_api_base", "anthropic_api_url", "azure_endpoint", "base_url", "api_base"),
    *("endpoint_url", "endpoint", "server_url", "host"),
)
_KEYS = ("api_key", "_api_key", "api_token", "_access_token", "apikey")
_MOST = ("max_completion_tokens", "max_output_tokens", "max_tokens", "num_predict")
_CLIENTS = ("root_client", "root_async_client")

_host = lru_cache(maxsize=256)(wire.host_of)


def model_of(model: BaseChatModel, kwargs: Mapping[str, Any]) -> str:
    """The name of the model that this call asks; "" if it is not known."""
    named = model_in(kwargs) if kwargs else ""
    return named or model_in(model.__dict__, _known(model.__class__).models)


class _Known(NamedTuple):
    """Which of the fields that we look for a class of models has at all."""

    models: tuple[str, ...]
    hosts: tuple[str, ...]
    keys: tuple[str, ...]
    most: tuple[str, ...]
    clients: tuple[str, ...]


@lru_cache(maxsize=256)
def _known(kind: type[BaseChatModel]) -> _Known:
    fields = kind.model_fields

    def among(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if name in fields or hasattr(kind, name))

    keys = tuple(name for name in fields if name.endswith(_KEYS))
    return _Known(among(_MODELS), among(_HOSTS), keys, among(_MOST), among(_CLIENTS))


def model_in(fields: Mapping[str, Any], names: tuple[str, ...] = _MODELS) -> str:
    """The name of a model among these fields; "" if there is none."""
    for name in names:
        value = fields.get(name)
        if isinstance(value, str) and value:
            return value
    return ""


def host_in(fields: Mapping[str, Any], names: tuple[str, ...] = _HOSTS) -> str:
    """The host of a base URL among these fields; "" if there is none."""
    for name in names:
        value = fields.get(name)
        if isinstance(value, str) and (host := _host(value)):
            return host
    return ""


def endpoint_of(
    model: BaseChatModel,
    metadata: Mapping[str, Any],
    kwargs: Mapping[str, Any],
    name: str | None = None,
) -> str | None:
    """The endpoint of a call of this model, or None if nothing is known of it.

    Args:
        model: The chat model.
        metadata: The run's metadata, where LangChain names the provider and the model.
        kwargs: The call's own arguments.
        name: What `model_of` says of them, if that is known already.
    """
    if name is None:
        name = model_of(model, kwargs)
    host, key = _client_of(model)
    if not host:
        host = host_in(model.__dict__, _known(model.__class__).hosts)
    if not key:
        key = _key_of(model)
    if not host or not name:
        provider, called = metadata.get("ls_provider"), metadata.get("ls_model_name")
        if provider is None and called is None:  # a stream: its metadata is the config's alone
            params = model._get_ls_params(**kwargs)
            provider, called = params.get("ls_provider"), params.get("ls_model_name")
        host, name = host or provider or "", name or called or ""
    return name_of(host, name, key)


def host_of_model(model: BaseChatModel) -> str:
    """The host that a model asks; "" if it is not known."""
    return _client_of(model)[0] or host_in(model.__dict__, _known(model.__class__).hosts)


def name_of(host: str, model: str, key: str = "") -> str | None:
    """The endpoint's name; None unless host (or provider) and model are both known.

    A model in this process has no host: nobody limits it, so nothing is to be found out.
    """
    return _name(host, model, key_fingerprint(key)) if host and model else None


@lru_cache(maxsize=256)
def _name(host: str, model: str, fingerprint: str) -> str:
    return Endpoint(host, model, fingerprint).name


def clients_of(model: BaseChatModel) -> tuple[Any, Any]:
    """URL and key as the model's own SDK client has them: what was resolved from everything."""
    for field in _known(model.__class__).clients:
        client = model.__dict__.get(field)
        url = getattr(client, "base_url", None)
        if url is not None:
            return url, getattr(client, "api_key", "")
    return None, ""


def _client_of(model: BaseChatModel) -> tuple[str, str]:
    """Its host and its key."""
    url, key = clients_of(model)
    return "" if url is None else _host(str(url)), key if isinstance(key, str) else ""


def _key_of(model: BaseChatModel) -> str:
    for field in _known(model.__class__).keys:
        value = model.__dict__.get(field)
        if isinstance(value, SecretStr):
            return value.get_secret_value()
    return ""


def max_output_of(model: BaseChatModel, kwargs: Mapping[str, Any]) -> int | None:
    """The most that a call may put out, all its answers (`n`) together; None: it names no bound."""
    extra = model.__dict__.get("model_kwargs")
    own = {name: model.__dict__.get(name) for name in (*_known(model.__class__).most, "n")}
    if not kwargs and not extra:
        return most_in((own,))
    return most_in((kwargs, extra if isinstance(extra, dict) else {}, own))


def most_in(holders: tuple[Mapping[str, Any], ...]) -> int | None:
    """The bound on the output among these fields, the first one's first; None if there is none."""
    for holder in holders:
        for name in _MOST:
            most = holder.get(name)
            if isinstance(most, int) and not isinstance(most, bool) and most > 0:
                return most * _answers(holders)
    return None


def _answers(holders: tuple[Mapping[str, Any], ...]) -> int:
    for holder in holders:
        wanted = holder.get("n")
        if isinstance(wanted, int) and not isinstance(wanted, bool) and wanted > 0:
            return wanted
    return 1


CLIENT = "the client's timeout"
_TIMEOUTS = ("request_timeout", "default_request_timeout", "timeout")


class Facts(NamedTuple):
    """What is known of a call before it is made.

    Args:
        name: The model's name; "" if it is not known.
        endpoint: Where it goes; None if that is not known.
        timeout_s: Seconds that the model's own client would wait; None where the user set none.
        most_output: The most tokens that it may put out; None: it names no bound.
        may_hedge: Whether a second request would do nothing at the provider but answer.
        acts: Whether a request has something done there besides; a stored answer is nothing done.
    """

    name: str
    endpoint: str | None
    timeout_s: float | None
    most_output: int | None
    may_hedge: bool
    acts: bool


class ModelFacts:
    """The facts of one model, as they were found last."""

    __slots__ = ("_before", "_facts", "_mutable", "_seen", "_told")

    def __init__(self) -> None:
        self._facts: Facts | None = None
        self._seen: tuple[Any, ...] = ()
        self._mutable: list[Any] = []
        self._before: list[Any] = []
        self._told: tuple[Any, ...] = ()

    def of(
        self, model: BaseChatModel, metadata: Mapping[str, Any], kwargs: Mapping[str, Any]
    ) -> Facts:
        """The facts of a call of this model.

        Args:
            model: The provider's chat model.
            metadata: The run's, where LangChain names the provider and the model.
            kwargs: The call's own arguments, which come before the model's fields.
        """
        if kwargs:
            return _found(model, metadata, kwargs)
        fields = model.__dict__.values()
        told = *clients_of(model), metadata.get("ls_provider"), metadata.get("ls_model_name")
        facts = self._facts
        if facts is not None and told == self._told and self._stands(fields):
            return facts
        self._facts = facts = _found(model, metadata, kwargs)
        self._seen, self._told = tuple(fields), told
        self._mutable = [value for value in fields if value.__class__ in {dict, list}]
        self._before = [value.copy() for value in self._mutable]
        return facts

    def _stands(self, fields: Any) -> bool:
        """Whether the fields are what they were."""
        same = len(fields) == len(self._seen) and all(map(is_, self._seen, fields))
        return same and self._mutable == self._before


def _found(model: BaseChatModel, metadata: Mapping[str, Any], kwargs: Mapping[str, Any]) -> Facts:
    name = model_of(model, kwargs)
    return Facts(
        name,
        endpoint_of(model, metadata, kwargs, name),
        _timeout_s(model, kwargs),
        max_output_of(model, kwargs),
        *_sending(model, kwargs),
    )


def _timeout_s(model: BaseChatModel, kwargs: Mapping[str, Any]) -> float | None:
    """What the user gave the model, or this one call, as its timeout."""
    given = kwargs.get("timeout")
    for name in _TIMEOUTS:
        if given is None:
            given = model.__dict__.get(name)
    return wire.client_timeout_s(given)


def _sending(model: BaseChatModel, kwargs: Mapping[str, Any]) -> tuple[bool, bool]:
    """Whether a second request may be sent beside the first, and whether one acts."""
    fields = model.__dict__
    extra = fields.get("model_kwargs"), fields.get("extra_body"), kwargs.get("extra_body")
    body: dict[str, Any] = {}
    for given in (*extra, kwargs):
        if isinstance(given, Mapping):
            body |= given
    for name in ("store", "background"):
        body.setdefault(name, fields.get(name))
    decide = getattr(model, "_use_responses_api", None)
    responses = fields.get("use_responses_api")
    if responses is None and decide is not None:
        responses = decide(dict(body))
    return not wire.is_sent_once(body, responses=bool(responses)), wire.acts(body)

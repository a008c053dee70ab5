"""What a chat model's own fields say of a call: where it goes, how long it waits, how much it says.

The fields are read anew only when one of them has changed: by identity, and the mutable ones by
what is in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import is_
from typing import TYPE_CHECKING, Any, NamedTuple

from agentrm_langchain.endpoint import clients_of, endpoint_of, max_output_of, model_of
from agentrm_plugins.integration import client_timeout_s, is_sent_once

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

__all__ = ["CLIENT", "Facts", "ModelFacts"]

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
    """

    name: str
    endpoint: str | None
    timeout_s: float | None
    most_output: int | None
    may_hedge: bool


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
        _may_hedge(model, kwargs),
    )


def _timeout_s(model: BaseChatModel, kwargs: Mapping[str, Any]) -> float | None:
    """What the user gave the model, or this one call, as its timeout."""
    given = kwargs.get("timeout")
    for name in _TIMEOUTS:
        if given is None:
            given = model.__dict__.get(name)
    return client_timeout_s(given)


def _may_hedge(model: BaseChatModel, kwargs: Mapping[str, Any]) -> bool:
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
    return not is_sent_once(body, responses=bool(responses))

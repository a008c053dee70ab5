"""The arguments that a type checker sees by name are those that are taken, at each such door."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import httpx2
import pytest

import agentrm_openai.clients
from agentrm_langchain import summaries, wrap_chat_model
from agentrm_plugins import AgentRM
from agentrm_plugins.settings.core_arguments import CoreArguments
from agentrm_plugins.testing.provider import ProviderConfig
from agentrm_plugins.testing.provider.arguments import ProviderArguments


def _taken(function: Any, *apart: str) -> dict[str, str]:
    """Name and annotation of each argument, as they are written."""
    found = inspect.signature(function).parameters
    return {name: str(one.annotation) for name, one in found.items() if name not in apart}


def _typed(shape: type) -> dict[str, str]:
    bare = {}
    for name, annotation in shape.__annotations__.items():
        bare[name] = getattr(annotation, "__forward_arg__", str(annotation))
    return bare


DOORS: list[tuple[str, type, Mapping[str, str]]] = [
    ("AgentRM.from_config", CoreArguments, _taken(AgentRM, "config")),
    (
        "SimulatedProvider",
        ProviderArguments,
        {field.name: str(field.type) for field in fields(ProviderConfig)},
    ),
    (
        "chat_summariser",
        summaries._ModelArguments,
        _taken(wrap_chat_model, "model", "rm", "agent", "tenant", "context"),
    ),
]
CLIENTS = [
    (agentrm_openai.clients._SyncArguments, httpx2.Client),
    (agentrm_openai.clients._AsyncArguments, httpx2.AsyncClient),
]


@pytest.mark.parametrize(("door", "typed", "taken"), DOORS)
def test_what_is_typed_is_what_is_taken(door: str, typed: type, taken: Mapping[str, str]) -> None:
    """The same names, with the same annotations."""
    assert _typed(typed) == dict(taken), door


@pytest.mark.parametrize(("typed", "client"), CLIENTS)
def test_a_managed_http_client_is_typed_as_its_kind(typed: type, client: type) -> None:
    """The same names as the HTTP library's own client takes."""
    assert set(_typed(typed)) == set(inspect.signature(client).parameters)

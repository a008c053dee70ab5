"""What a request holds beside its messages: tools, and the form that its answer is to have.

Whoever reserves and whoever keeps a budget ask `form_of` with the same options, and count what it
gives by `TokenCounter.tools`. A grammar that only steers the server (`guided_json`, `extra_body`)
is not written into the prompt, so it costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

__all__ = ["described", "form_of"]

_LISTS = ("tools", "functions")
_FORMATS = (
    "response_format", "text", "text_format",  # OpenAI
    "output_config", "output_format",  # Anthropic
    "response_schema", "response_json_schema",  # Gemini
    "format",  # Ollama
)  # fmt: skip

_written: WeakKeyDictionary[type, Mapping[str, Any]] = WeakKeyDictionary()


def form_of(options: Mapping[str, Any]) -> list[Any]:
    """What describes tools and the form of the answer, of a call's options in any API.

    Args:
        options: A request's JSON, or the arguments of a call.

    Returns:
        Mappings, and classes as they were given.
    """
    found: list[Any] = []
    for name in _LISTS:
        given = options.get(name)
        if isinstance(given, list | tuple):
            found += given
    for name in _FORMATS:
        given = options.get(name)
        if isinstance(given, Mapping | type):
            found.append(given)
    return found


def described(given: Any) -> Mapping[str, Any]:
    """Give the JSON that stands for a tool or a form: itself, a class's schema, or a name."""
    if isinstance(given, Mapping):
        return given
    if isinstance(given, type):
        known = _written.get(given)
        if known is None:
            known = _written[given] = _schema_of(given)
        return known
    return {"name": str(given)}


def _schema_of(kind: type) -> Mapping[str, Any]:
    """As the SDKs send a pydantic class; one without a schema counts by its name."""
    try:
        schema = kind.model_json_schema()  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001 - a count never raises: who sends it will be told
        return {"name": str(kind)}
    told = {"name": kind.__name__, "strict": True, "schema": schema}
    return {"type": "json_schema", "json_schema": told}

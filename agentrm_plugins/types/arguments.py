"""Arguments that do not exist are told with the name that was probably meant."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any, ParamSpec, TypeVar

from agentrm_plugins.errors import ConfigError

__all__ = ["no_such_argument", "suggesting", "suggesting_fields"]

P = ParamSpec("P")
T = TypeVar("T")
_MEANT = {
    **dict.fromkeys(
        ("concurrency", "max_concurrency", "max_concurrent", "max_workers", "slots", "limit"),
        ("lanes", "concurrency"),
    ),
    **dict.fromkeys(("core", "manager", "agentrm"), ("rm",)),
    **dict.fromkeys(("name", "agent_name", "thread_id", "session"), ("agent", "session_id")),
    **dict.fromkeys(("user", "user_id", "customer"), ("tenant",)),
    **dict.fromkeys(("max_retries", "retries"), ("retry",)),
    **dict.fromkeys(("timeout", "timeout_s", "request_timeout"), ("total_timeout_s",)),
    **dict.fromkeys(("max_tokens", "budget", "token_limit"), ("budget_tokens", "budgets")),
}
"""Names that other libraries have, and what is meant here, if it is taken: from trying it out."""
_LIMITS = {"rpm", "tpm", "input_tpm", "output_tpm"}
_OF_AN_ENDPOINT = "it is an endpoint's: endpoints={'api.openai.com/*': EndpointConfig(%s=...)}"


def no_such_argument(name: str, value: object, known: Iterable[str]) -> ConfigError:
    """The error for an argument that nobody takes. The value is not shown: it may be a secret.

    Args:
        name: As it was given.
        value: Only its type is told.
        known: What would be taken.
    """
    names = sorted(known)
    near = [one for one in _MEANT.get(name, ()) if one in names]
    near = near or get_close_matches(name, names, 1)
    way = f"did you mean {near[0]!r}?" if near else f"it can be {', '.join(names)}"
    if name in _LIMITS and "endpoints" in names:
        way = _OF_AN_ENDPOINT % name
    return ConfigError.of_kind(name, value, f"there is no such argument; {way}")


def suggesting(function: Callable[P, T]) -> Callable[P, T]:
    """Let a function answer an unknown keyword with `no_such_argument`.

    Python's own `TypeError` names no alternative before 3.13. It costs nothing where all is well.
    """
    kinds = inspect.signature(function).parameters.values()
    known = {kind.name for kind in kinds if kind.kind is not inspect.Parameter.VAR_POSITIONAL}
    known.discard("self")

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except TypeError:
            unknown = kwargs.keys() - known
            if not unknown:
                raise
            name = min(unknown)
            error = no_such_argument(name, kwargs[name], known)
        raise error

    return checked


def suggesting_fields(kind: type[T]) -> type[T]:
    """Let a dataclass answer an unknown field as `suggesting` does."""
    made: Any = kind
    made.__init__ = suggesting(made.__init__)
    return kind

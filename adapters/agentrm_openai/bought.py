"""Answers that a strict client refuses: whole, paid for, and of another shape than the SDK's.

The caller gets the SDK's error, as without us; the answer is charged by what it says of its usage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openai import APIResponseValidationError

from agentrm_openai.usage import usage_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentrm_plugins.integration import Attempt

__all__ = ["charging", "charging_async"]


def charging(one: Attempt, send: Callable[[], Any]) -> Callable[[], Any]:
    """`send`, of which a refused answer is charged."""

    def sent() -> Any:
        try:
            return send()
        except APIResponseValidationError as error:
            _charge(one, error)
            raise

    return sent


def charging_async(
    one: Attempt, send: Callable[[], Awaitable[Any]]
) -> Callable[[], Awaitable[Any]]:
    """The same of one to await."""

    async def sent() -> Any:
        try:
            return await send()
        except APIResponseValidationError as error:
            _charge(one, error)
            raise

    return sent


def _charge(one: Attempt, error: APIResponseValidationError) -> None:
    used = usage_of(error.body) if isinstance(error.body, dict) else None
    if used is not None:
        one.lease.fail(error, used)

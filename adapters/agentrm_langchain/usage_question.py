"""Whether a stream's usage is asked for: not of a server that refuses just that question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentrm_langchain.hooks import refuses_usage
from agentrm_langchain.model_facts import host_of_model
from agentrm_plugins.integration import wire

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator

    from langchain_core.language_models import BaseChatModel

__all__ = ["UsageQuestion"]


class UsageQuestion:
    """A model that asks for the usage of its streams because we do, not the user.

    Args:
        model: The model, as it asks.
        silent: The hosts that are known to refuse the question; one more if its server does.
    """

    def __init__(self, model: BaseChatModel, silent: set[str]) -> None:
        self._model = model
        self._silent = silent

    def asked(self, stream: Callable[[Any], Iterator[Any]]) -> Iterator[Any]:
        """The chunks that `stream` has of a model; once more without the question if need be."""
        begun, again = False, True
        while again:
            again = False
            try:
                for chunk in stream(self._asking()):
                    begun = True
                    yield chunk
            except Exception as error:
                if begun or not self._is_refused(error):
                    raise
                again = True

    async def asked_async(
        self, stream: Callable[[Any], AsyncGenerator[Any, None]]
    ) -> AsyncIterator[Any]:
        """The same in async code."""
        begun, again = False, True
        while again:
            again = False
            try:
                async with wire.Shutting(chunks := stream(self._asking())):
                    async for chunk in chunks:
                        begun = True
                        yield chunk
            except Exception as error:
                if begun or not self._is_refused(error):
                    raise
                again = True

    def _asking(self) -> BaseChatModel:
        """The model, which asks only while its server takes the question."""
        if self._silent and host_of_model(self._model) in self._silent:
            return self._model.model_copy(update={"stream_usage": False})
        return self._model

    def _is_refused(self, error: Exception) -> bool:
        """Whether the server refused just that; it is not asked again then."""
        host = host_of_model(self._model)
        if host in self._silent or not refuses_usage(error):
            return False
        self._silent.add(host)
        return True

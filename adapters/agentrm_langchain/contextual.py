"""The managed chat model with the context lifecycle: what is sent fits the window.

Per session (tenant and thread id, see `agentrm_langchain.views`) the messages of each call are
taken for the whole history, archived, and sent within the budget. The caller's list and messages
stay as they are. This is done before the call waits for a lane, so it is queued, reserved and
charged by what is really sent.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, SkipValidation

from agentrm_langchain.answers import Tally, usage_of_generations
from agentrm_langchain.chat_model import AgentRMChatModel
from agentrm_langchain.identity import Options
from agentrm_langchain.messages import form_in
from agentrm_langchain.model_facts import model_of
from agentrm_langchain.noting import run_of
from agentrm_langchain.views import (
    PREPARED,
    Asked,
    Fitted,
    Views,
    check_manager,
    conversation_of,
)
from agentrm_plugins import ContextLifecycle, Usage
from agentrm_plugins.integration import asking, wire

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage
    from langchain_core.outputs import ChatResult

__all__ = ["ContextChatModel"]


class ContextChatModel(AgentRMChatModel):
    """A managed chat model whose prompts are kept within a budget, and whose threads are archived.

    Use it for the conversation itself. A side prompt in the same thread (a router, a judge) is no
    part of it: make it with the metadata ``{"agentrm_session": False}``, or with another model.

    Args:
        inner: The chat model to manage; one with a context keeps it unless another is given.
        rm: The core that manages it.
        context: Keeps the sessions.
        fields: The other arguments of `AgentRMChatModel`.

    Raises:
        ConfigError: A value that cannot be.
        ClosedError: The core is closed.
    """

    context: SkipValidation[ContextLifecycle] = Field(exclude=True, repr=False)

    _with_context = True

    def __init__(self, inner: Any = None, rm: Any = None, **fields: Any) -> None:
        if fields.get("context") is None:
            fields["context"] = getattr(inner, "context", None)
        check_manager(fields["context"])
        super().__init__(inner, rm, **fields)

    def __deepcopy__(self, memo: Any = None) -> Self:
        """A copy shares the sessions."""
        memo = {} if memo is None else memo
        memo[id(self.context)] = self.context
        return super().__deepcopy__(memo)

    @cached_property
    def _views(self) -> Views:
        return Views(self.context, self.rm)

    @property
    def _own(self) -> Options:
        """What this model was given for all its calls."""
        return Options(asking.Said(self.agent, self.tenant, self.priority), self.group)

    def _asked(
        self, messages: list[BaseMessage], run_manager: Any, kwargs: dict[str, Any]
    ) -> Asked | None:
        """Whose call it is and what is sent; None if its messages were fitted already."""
        if PREPARED.get() is self.context:
            return None
        place = conversation_of(self.rm, self._own, run_of(run_manager).metadata)
        return Asked(place, messages, form_in(kwargs), model_of(self.inner, kwargs))

    def _fitted(
        self, messages: list[BaseMessage], run_manager: Any, kwargs: dict[str, Any]
    ) -> Fitted | None:
        asked = self._asked(messages, run_manager, kwargs)
        return None if asked is None else self._views.fitted(*asked)

    async def _afitted(
        self, messages: list[BaseMessage], run_manager: Any, kwargs: dict[str, Any]
    ) -> Fitted | None:
        asked = self._asked(messages, run_manager, kwargs)
        return None if asked is None else await self._views.afitted(*asked)

    def _again(
        self,
        refused: Fitted | None,
        error: Exception,
        messages: list[BaseMessage],
        run_manager: Any,
        kwargs: dict[str, Any],
    ) -> tuple[Fitted | None, Exception, Asked]:
        """The arguments of `Views.again`."""
        asked = self._asked(messages, run_manager, kwargs) or Asked(None, messages)
        return refused, error, asked

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        fitted = self._fitted(messages, run_manager, kwargs)
        sent = messages if fitted is None else fitted.all
        try:
            result = super()._generate(sent, stop, run_manager, **kwargs)
        except Exception as error:  # noqa: BLE001 - raised again unless it is an overflow
            refused = self._again(fitted, error, messages, run_manager, kwargs)
            fitted = self._views.again(*refused)
            result = super()._generate(fitted.all, stop, run_manager, **kwargs)
        _report(fitted, result)
        return result

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        fitted = await self._afitted(messages, run_manager, kwargs)
        sent = messages if fitted is None else fitted.all
        try:
            result = await super()._agenerate(sent, stop, run_manager, **kwargs)
        except Exception as error:  # noqa: BLE001 - raised again unless it is an overflow
            refused = self._again(fitted, error, messages, run_manager, kwargs)
            fitted = await self._views.aagain(*refused)
            result = await super()._agenerate(fitted.all, stop, run_manager, **kwargs)
        _report(fitted, result)
        return result

    def _stream_of(
        self, hook: Any, messages: Any, stop: Any, run_manager: Any, kwargs: Any
    ) -> Iterator[Any]:
        fitted = self._fitted(messages, run_manager, kwargs)
        tally, begun, refused = Tally(Usage()), False, False
        while True:
            sent = messages if fitted is None else fitted.all
            chunks = super()._stream_of(hook, sent, stop, run_manager, kwargs)
            try:
                with wire.Shutting(chunks):
                    for chunk in chunks:
                        begun = True
                        tally.add(chunk)
                        yield chunk
                break
            except Exception as error:
                if begun or refused:
                    raise
                refused = True
                known = self._again(fitted, error, messages, run_manager, kwargs)
                fitted = self._views.again(*known)
        if fitted is not None:
            fitted.used((tally.usage() or Usage()).input_tokens)

    async def _astream_of(
        self, hook: Any, messages: Any, stop: Any, run_manager: Any, kwargs: Any
    ) -> AsyncGenerator[Any, None]:
        fitted = await self._afitted(messages, run_manager, kwargs)
        tally, begun, refused = Tally(Usage()), False, False
        while True:
            sent = messages if fitted is None else fitted.all
            chunks = super()._astream_of(hook, sent, stop, run_manager, kwargs)
            try:
                async with wire.Shutting(chunks):
                    async for chunk in chunks:
                        begun = True
                        tally.add(chunk)
                        yield chunk
                break
            except Exception as error:
                if begun or refused:
                    raise
                refused = True
                known = self._again(fitted, error, messages, run_manager, kwargs)
                fitted = await self._views.aagain(*known)
        if fitted is not None:
            fitted.used((tally.usage() or Usage()).input_tokens)


def _report(fitted: Fitted | None, result: ChatResult) -> None:
    usage = usage_of_generations(result.generations, result.llm_output)
    if fitted is not None and usage is not None:
        fitted.used(usage.input_tokens)

"""The context lifecycle on LangChain's messages: whose session it is, and what to send.

A session belongs to a tenant and a thread id. A graph inside a node of another one, such as an
agent that a tool calls, has messages of its own under the same thread id: its session is named by
its place as well. Metadata ``agentrm_session`` names a session outright; False there is for side
prompts that are no part of the conversation. Where there is no session, nothing is kept: the
messages are fitted into the budget once.
"""

from __future__ import annotations

import asyncio
import json
import weakref
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_core.messages import AIMessage, BaseMessage, FunctionMessage, ToolMessage
from langchain_core.runnables.config import ensure_config

from agentrm_langchain.identity import Options
from agentrm_langchain.messages import from_message, sent_as, to_message
from agentrm_langchain.noting import thread_of
from agentrm_langchain.overflow import is_overflow, share_that_fits, wants_turns
from agentrm_plugins import (
    AgentRM,
    BudgetTooSmall,
    ConfigError,
    ContextLifecycle,
    ContextSession,
    fit,
)
from agentrm_plugins.integration import asking, contexts, core_of

if TYPE_CHECKING:
    from agentrm_plugins import Pressure, SessionKey, View
    from agentrm_plugins.integration import Message

__all__ = [
    "PREPARED",
    "Asked",
    "Conversation",
    "Fitted",
    "Views",
    "check_manager",
    "conversation_of",
    "pressure",
]

PREPARED: ContextVar[object] = ContextVar("agentrm_langchain_prepared", default=None)
"""The manager that has fitted the messages of the call being made: it is not asked again."""

_MANAGERS: weakref.WeakKeyDictionary[AgentRM, weakref.WeakSet[ContextLifecycle]]
_MANAGERS = weakref.WeakKeyDictionary()


class Conversation(NamedTuple):
    """Whose conversation it is."""

    tenant: str
    session: str


class Asked(NamedTuple):
    """What is to be fitted: the arguments of `Views.fitted`."""

    place: Conversation | None
    messages: Sequence[BaseMessage]
    tools: Sequence[Any] = ()
    model: str | None = None


class Fitted(NamedTuple):
    """What to send.

    Args:
        head: Its leading system messages, the caller's own objects.
        messages: The rest: the caller's own objects where unchanged, new ones elsewhere.
        session: Whose they are; None where nothing is kept.
        view: What the context lifecycle says of it.
        model: For whom it was counted.
    """

    head: list[BaseMessage]
    messages: list[BaseMessage]
    session: ContextSession | None
    view: View
    model: str | None = None

    @property
    def all(self) -> list[BaseMessage]:
        """The whole list."""
        return [*self.head, *self.messages]

    def shortened(self, error: BaseException) -> None:
        """Tell that the provider refused it as too long: what is fitted next is smaller."""
        if self.session is not None:
            self.session.overflowed(share_that_fits(error) or contexts.OVERFLOW_SHARE)

    def used(self, input_tokens: int) -> None:
        """Tell what the provider counted; an estimating counter learns from it."""
        if self.session is not None and input_tokens > 0:
            self.session.report_usage(input_tokens, model=self.model)


class _Seen:
    """What is remembered of one session, so that a turn costs only its new messages."""

    __slots__ = ("read", "tools", "tools_text")

    def __init__(self) -> None:
        self.read: dict[int, tuple[BaseMessage, Any, Message]] = {}
        self.tools: list[Any] = []
        self.tools_text = "[]"


def check_manager(context: Any) -> None:
    """Refuse what is no context lifecycle.

    Raises:
        ConfigError: It is none.
    """
    if not isinstance(context, ContextLifecycle):
        way = "give an agentrm_plugins.ContextLifecycle(...), or leave it out"
        raise ConfigError.of_kind("context", context, way)


def conversation_of(
    rm: AgentRM | None, own: Options, metadata: Mapping[str, Any] | None = None
) -> Conversation | None:
    """Say whose conversation the code that runs now is part of; None where there is no thread.

    Args:
        rm: The core, whose identity rules name the tenant; None: metadata and `rm.identity` alone.
        own: What the handler or the model was given.
        metadata: Of the run; None: that of the runnable that runs now.
    """
    metadata = {**(ensure_config().get("metadata") or {}), **(metadata or {})}
    named, thread = metadata.get("agentrm_session"), thread_of(metadata)
    if named is False or (not named and thread is None):
        return None
    who = asking.resolve(
        0 if rm is None else core_of(rm).number, own=own.said, run=asking.RunInfo(metadata, thread)
    )
    tenant = who.tenant or "default"
    if named:
        return Conversation(tenant, asking.whole_text(str(named)))
    above = str(metadata.get("langgraph_checkpoint_ns") or "").rpartition("|")[0]
    return Conversation(tenant, asking.whole_text(f"{thread}/{above}" if above else str(thread)))


def pressure(rm: AgentRM) -> dict[SessionKey, Pressure]:
    """How full the window of each live session is, for all managers that work with this core.

    It stands beside `rm.statistics()`: ``pressure(rm)[key].utilisation`` is a share, 0 to 1.

    Raises:
        ConfigError: `rm` is no core.
    """
    if not isinstance(rm, AgentRM):
        raise ConfigError.of_kind("rm", rm, "give the AgentRM core that the managers work with")
    found: dict[SessionKey, Pressure] = {}
    for manager in list(_MANAGERS.get(rm, ())):
        found.update(manager.statistics())
    return found


class Views:
    """One manager's sessions, for messages of LangChain.

    Args:
        manager: Whose sessions.
        rm: The core that it works with, if any: `pressure` tells of it there.
    """

    def __init__(self, manager: ContextLifecycle, rm: AgentRM | None = None) -> None:
        check_manager(manager)
        self.manager = manager
        self._turns = False
        self._seen: weakref.WeakKeyDictionary[ContextSession, _Seen] = weakref.WeakKeyDictionary()
        if rm is not None:
            _MANAGERS.setdefault(rm, weakref.WeakSet()).add(manager)
            core_of(rm).watch(manager, rm)

    def again(
        self,
        refused: Fitted | None,
        error: Exception,
        asked: Asked,
    ) -> Fitted:
        """Fit anew what a provider refused: harder if it was too long, or in turns.

        Args:
            refused: What was sent.
            error: What the provider said. It is raised when it says something else, or when the
                system prompt, the tools and the newest user message are too long by themselves.
            asked: The arguments of `fitted`.
        """
        if refused is None:
            raise error
        place, messages, tools, model = asked
        if wants_turns(error):
            return self._in_turns(refused, error, asked)
        if not is_overflow(error):
            raise error
        try:
            if refused.session is not None:
                refused.shortened(error)
                return self.fitted(place, messages, tools, model)
            share = share_that_fits(error) or contexts.OVERFLOW_SHARE
            most = max(contexts.LEAST_BUDGET, int(refused.view.tokens * share))
            return self._once(messages, tools, most, model)
        except (BudgetTooSmall, ConfigError):
            raise error from None

    def _in_turns(
        self,
        refused: Fitted,
        error: Exception,
        asked: Asked,
    ) -> Fitted:
        """Join what was added with what follows it, from now on; raise if that changes nothing."""
        place, messages, tools, model = asked
        if refused.session is not None:
            refused.session.take_turns()
        self._turns = True
        fitted = self.fitted(place, messages, tools, model)
        if len(fitted.all) == len(refused.all):
            raise error
        return fitted

    def _once(
        self,
        messages: Sequence[BaseMessage],
        tools: Sequence[Any],
        budget: int,
        model: str | None,
    ) -> Fitted:
        config = self.manager.config
        view = fit(
            [to_message(message, at) for at, message in enumerate(messages)],
            budget,
            model=model if config.model is None else None,
            tools=[sent_as(tool) for tool in tools],
            config=replace(config, alternate=True) if self._turns else config,
        )
        return _result(view, messages, None, model)

    def fitted(
        self,
        place: Conversation | None,
        messages: Sequence[BaseMessage],
        tools: Sequence[Any] = (),
        model: str | None = None,
    ) -> Fitted:
        """Give what to send in place of the whole history. Nothing of the caller's is changed.

        Args:
            place: Whose conversation; None keeps nothing.
            messages: The whole history, leading system messages included.
            tools: Tools and schemas that are sent along, of any kind that LangChain takes.
            model: The name of the model that is called, "" if that is not known; None: as before.

        Raises:
            BudgetTooSmall: System prompt, tools and newest user message do not fit.
            BadMessage: A message that no provider would take.
            StoreError: The archive refused, and the manager is to raise.
        """
        if place is None:
            return self._once(messages, tools, self.manager.config.budget_tokens, model)
        session = self.manager.session(place.session, tenant=place.tenant)
        if self._turns:
            session.take_turns()
        sources, schemas = self._read(session, messages, tools)
        view = session.prepare(sources, tools=schemas, model=model)
        return _result(view, messages, session, model)

    async def afitted(
        self,
        place: Conversation | None,
        messages: Sequence[BaseMessage],
        tools: Sequence[Any] = (),
        model: str | None = None,
    ) -> Fitted:
        """The same without blocking the event loop."""
        if place is None:
            return await asyncio.to_thread(self.fitted, None, messages, tools, model)
        session = await asyncio.to_thread(self.manager.session, place.session, tenant=place.tenant)
        if self._turns:
            session.take_turns()
        sources, schemas = self._read(session, messages, tools)
        view = await session.aprepare(sources, tools=schemas, model=model)
        return _result(view, messages, session, model)

    async def aagain(
        self,
        refused: Fitted | None,
        error: Exception,
        asked: Asked,
    ) -> Fitted:
        """Do as `again` does, without blocking the event loop."""
        return await asyncio.to_thread(self.again, refused, error, asked)

    def session(self, place: Conversation | None) -> ContextSession | None:
        """The session of this place."""
        return place and self.manager.session(place.session, tenant=place.tenant)

    def _read(
        self, session: ContextSession, messages: Sequence[BaseMessage], tools: Sequence[Any]
    ) -> tuple[list[Message], list[Any]]:
        seen = self._seen.get(session)
        if seen is None:
            seen = self._seen[session] = _Seen()
        known, now = seen.read, {}
        sources = []
        for at, message in enumerate(messages):
            # The same object with the same content: read before. (Changing a message's blocks in
            # place is not seen; LangGraph gives a changed message a new object.)
            found = known.get(id(message))
            if found is None or found[0] is not message or found[1] is not message.content:
                found = (message, message.content, to_message(message, at))
            now[id(message)] = found
            sources.append(found[2])
        seen.read = now
        schemas = [sent_as(tool) for tool in tools]
        text = json.dumps(schemas, default=str)
        if text != seen.tools_text:
            # The session remembers its count by the objects, so equal schemas stay the same ones.
            seen.tools_text, seen.tools = text, schemas
        return sources, seen.tools


def _result_of(
    index: int | None, messages: Sequence[BaseMessage]
) -> ToolMessage | FunctionMessage | None:
    """The tool result that is shortened; None when it is none, or no longer shown to us."""
    if index is None or not 0 <= index < len(messages):
        return None
    found = messages[index]
    return found if isinstance(found, ToolMessage | FunctionMessage) else None


def _result(
    view: View, messages: Sequence[BaseMessage], session: ContextSession | None, model: str | None
) -> Fitted:
    head: list[BaseMessage] = []
    rest: list[BaseMessage] = []
    for item in view.items:
        if item.source is not None and item.index is not None:
            made = messages[item.index]
        elif item.message is None:  # pragma: no cover - an item is one or the other
            continue
        elif (theirs := _result_of(item.index, messages)) is not None:
            made = theirs.model_copy(update={"content": item.message.content})
        else:
            made = from_message(item.message)
            if item.kind != "hot" and not isinstance(made, AIMessage):
                made.additional_kwargs = {**made.additional_kwargs, "agentrm": item.kind}
        (head if item.kind == "system" else rest).append(made)
    return Fitted(head, rest, session, view, model)

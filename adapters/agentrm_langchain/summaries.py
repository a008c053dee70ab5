"""Summaries: ours for LangChain's middleware, and LangChain's models for our context."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextvars import Context
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from agentrm_langchain.chat_model import AgentRMChatModel
from agentrm_langchain.messages import to_messages
from agentrm_plugins import AgentRM, ConfigError, LLMSummariser
from agentrm_plugins.integration import contexts, counting, extractive_summary

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage

    from agentrm_plugins import RetryPolicy
    from agentrm_plugins.integration import Priority, PriorityName

__all__ = ["chat_summariser", "extractive_summarizer"]

# No callback of the run around it: a summary is no part of the answer that is being streamed.
_ASIDE: dict[str, Any] = {
    "callbacks": [],
    "tags": ["nostream"],
    "metadata": {"lc_source": "summarization", "agentrm_session": False},
}


def extractive_summarizer(
    max_tokens: int = 1_000, *, model: str = "gpt-4o"
) -> Callable[[Sequence[BaseMessage]], str]:
    """Make a `summarizer` for `langchain.agents.middleware.SummarizationMiddleware`.

    It asks no model: exact strings stay exact, what was corrected is left out, and it is
    deterministic. Give the middleware ``trim_tokens_to_summarize=None`` too, or it cuts what it
    hands over to 4,000 tokens.

    Args:
        max_tokens: Of the summary; 8 or more.
        model: For the count.

    Raises:
        ConfigError: `max_tokens` is below 8.
    """
    if not isinstance(max_tokens, int) or isinstance(max_tokens, bool) or max_tokens < 8:  # noqa: PLR2004 - a note
        raise ConfigError("max_tokens", max_tokens, "give a whole number of tokens, 8 or more")
    count = counting.counter_for(model).text

    def summarize(messages: Sequence[BaseMessage]) -> str:
        return extractive_summary(to_messages(messages), max_tokens, count)

    return summarize


class _ModelArguments(TypedDict, total=False):
    """The arguments of `AgentRMChatModel` that are passed on, under their names there."""

    priority: Priority | PriorityName | None
    group: str
    wait_timeout_s: float | None
    first_token_timeout_s: float | None
    silence_timeout_s: float | None
    total_timeout_s: float | None
    abandon_hung: bool
    hedge: bool
    adaptive: bool | None
    on_stall: Literal["error", "restart"]
    retry: RetryPolicy | Literal["default"] | None
    keep_sdk_retries: bool


def chat_summariser(
    model: BaseChatModel,
    rm: AgentRM,
    *,
    agent: str = "context",
    tenant: str | None = None,
    max_input_tokens: int = 8_000,
    prompt: str = contexts.PROMPT,
    **options: Unpack[_ModelArguments],
) -> LLMSummariser:
    """Make a `summariser` for `ContextLifecycle` of any chat model, through the core's gate.

    Its calls are background work: they wait behind every other, and their failure ends no turn,
    for the notes stand in.

    Args:
        model: The chat model.
        rm: The core.
        agent: For whom the calls are made.
        tenant: Who pays; None: the default tenant.
        max_input_tokens: Of one prompt; longer episodes are told in parts.
        prompt: With the places {words} and {text}.
        options: The other arguments of `AgentRMChatModel`.

    Raises:
        ConfigError: A value that cannot be.
        ClosedError: The core is closed.
    """
    options.setdefault("priority", "background")
    managed = AgentRMChatModel(model, rm, agent=agent, tenant=tenant, **options)
    name = getattr(model, "model_name", None) or getattr(model, "model", None)

    def call(text: str) -> str:
        return Context().run(lambda: managed.invoke(text, _config())).text

    async def acall(text: str) -> str:
        # In a context of its own: it is not nested in the call during which it came up.
        loop = asyncio.get_running_loop()
        task = loop.create_task(managed.ainvoke(text, _config()), context=Context())
        try:
            return (await task).text
        finally:
            task.cancel()

    count = counting.counter_for(name if isinstance(name, str) and name else "gpt-4o").text
    return LLMSummariser(call, acall, count=count, max_input_tokens=max_input_tokens, prompt=prompt)


def _config() -> Any:
    return {**_ASIDE, "metadata": dict(_ASIDE["metadata"])}

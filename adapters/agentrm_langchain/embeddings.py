"""Embeddings through the core: each call takes a lane, counts its tokens and keeps to the limits.

>>> from langchain_core.embeddings import DeterministicFakeEmbedding
>>> from agentrm_langchain import ManagedEmbeddings
>>> from agentrm_plugins import AgentRM
>>> with AgentRM(lanes=2) as rm:
...     made = ManagedEmbeddings(DeterministicFakeEmbedding(size=3), rm)
...     vectors = made.embed_documents(["one", "two"])
...     len(vectors), rm.statistics().agent("context").calls
(2, 1)
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from langchain_core.embeddings import Embeddings
from pydantic import SecretStr

from agentrm_langchain.model_facts import host_in, model_in, name_of
from agentrm_plugins import Call, ConfigError, Usage
from agentrm_plugins.integration import (
    Attempt,
    Priority,
    check_one_core,
    checked,
    core_of,
    counting,
    suggesting,
    wire,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentrm_plugins import AgentRM, RetryPolicy
    from agentrm_plugins.integration import HostLease

__all__ = ["ManagedEmbeddings"]

T = TypeVar("T")
_NOBODY = "text-embedding-3-small"
"""By whose encoding texts are counted where the model's name is not known."""


class ManagedEmbeddings(Embeddings):
    """LangChain's `Embeddings` whose calls are managed calls: for `ContextConfig(embeddings=...)`.

    Passages are embedded with the priority "background", behind whatever a user waits for, a
    question with "interactive". A call that met a rate limit, an overload or a broken connection
    goes again, holding nothing meanwhile. Input tokens are counted here and charged: LangChain's
    embeddings tell no usage.

    Args:
        inner: The embeddings to manage; not changed.
        rm: The core.
        agent: For whom the calls are made.
        tenant: Who pays; None: the default tenant.
        group: The group of lanes.
        endpoint: Whose limits they count for; None: the model, host and key that `inner` names, so
            that a chat model of the same key and another name has limits of its own.
        priority: Of `embed_documents`.
        retry: A `RetryPolicy`; "default": the default one; None: none goes again.

    Raises:
        ConfigError: `inner` embeds nothing, `rm` is no core, or an argument has a bad value.
        ClosedError: The core is closed.
    """

    @suggesting
    def __init__(
        self,
        inner: Embeddings,
        rm: AgentRM,
        *,
        agent: str = "context",
        tenant: str | None = None,
        group: str = "model",
        endpoint: str | None = None,
        priority: str = "background",
        retry: RetryPolicy | str | None = "default",
    ) -> None:
        given = {"agent": agent, "tenant": tenant, "priority": priority, "group": group}
        said = checked(rm, {**given, "retry": retry})
        if not callable(getattr(inner, "embed_documents", None)):
            way = "give LangChain Embeddings, such as OpenAIEmbeddings()"
            raise ConfigError.of_kind("inner", inner, way)
        if isinstance(inner, ManagedEmbeddings):
            check_one_core(rm, inner._rm)
            inner = inner.inner  # managed twice is managed once, or its core is closed
        fields = getattr(inner, "__dict__", {})
        self._rm: AgentRM = rm
        self.inner: Embeddings = inner
        self.model = model_in(fields)
        self._core = core_of(rm)
        self._counter = counting.counter_for(self.model or _NOBODY)
        self._priority = said.priority
        self._retry = core_of(rm).policy(retry)
        self._who = {
            "agent": agent,
            "tenant": tenant or "default",
            "group": group,
            "endpoint": endpoint or name_of(_host(fields), self.model, _key(fields)),
        }
        self._call(["check"], self._priority)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed passages."""
        call = self._call(texts, self._priority)
        return self._run(call, partial(self.inner.embed_documents, texts))

    def embed_query(self, text: str) -> list[float]:
        """Embed a question: somebody waits for it."""
        call = self._call([text], Priority.INTERACTIVE)
        return self._run(call, partial(self.inner.embed_query, text))

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed passages."""
        call = self._call(texts, self._priority)
        return await self._run_async(call, partial(self.inner.aembed_documents, texts))

    async def aembed_query(self, text: str) -> list[float]:
        """Embed a question: somebody waits for it."""
        call = self._call([text], Priority.INTERACTIVE)
        return await self._run_async(call, partial(self.inner.aembed_query, text))

    def _call(self, texts: list[str], priority: Priority | None) -> Call:
        tokens = sum(map(self._counter.text, texts))
        who: dict[str, Any] = self._who
        return Call(**who, priority=priority, estimate=Usage(tokens), label="embedding")

    def _run(self, call: Call, work: Callable[[], T]) -> T:
        def make(lease: HostLease) -> T:
            return Attempt(self._core.number, lease, _settle).here(work)

        return self._core.call(call, make, retry=self._retry)

    async def _run_async(self, call: Call, work: Callable[[], Awaitable[T]]) -> T:
        def make(lease: HostLease) -> Awaitable[T]:
            return Attempt(self._core.number, lease, _settle).in_task(work)

        return await self._core.call_async(call, make, retry=self._retry)


def _settle(lease: HostLease, _vectors: Any) -> None:
    lease.settle(lease.call.estimate)


def _host(fields: dict[str, Any]) -> str:
    """The host among the fields, or that of the SDK's client behind them."""
    client = getattr(fields.get("client"), "_client", None)
    url = getattr(client, "base_url", None)
    return host_in(fields) or ("" if url is None else wire.host_of(str(url)))


def _key(fields: dict[str, Any]) -> str:
    for name, value in fields.items():
        if isinstance(value, SecretStr) and name.endswith(("api_key", "api_token")):
            return value.get_secret_value()
    return ""

"""The plain SDK under management: `manage_client`.

Every way of asking a model (chat, responses, embeddings; `create`, `parse`, `stream`; raw and
streaming responses) ends in the client's one method `request`, so that is where the lane is. Each
call takes one lane and settles with the usage that the provider reports; everything else passes as
before, over the connections of the client that was given. A call inside a managed
model call is part of that one.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import cached_property, lru_cache, partial, wraps
from inspect import signature
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import openai
from openai._base_client import SyncAPIClient
from tenacity import stop_after_attempt, stop_any

from agentrm_openai.attempts import attempt, attempt_async
from agentrm_openai.clients import is_traced, observed_twin
from agentrm_openai.failed_answer import FailedAnswer
from agentrm_openai.requests import HEADERS, Terms, is_model_call
from agentrm_openai.restarts import as_helper, may_restart, restarting, restarting_async
from agentrm_openai.retry_count import CountedRetries, Requests
from agentrm_plugins import AgentRM, Call, ConfigError, RetryPolicy
from agentrm_plugins.integration import (
    check_one_core,
    checked,
    core_of,
    counting,
    parse_priority,
    suggesting,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentrm_plugins.integration import HostLease, Priority, PriorityName

__all__ = ["manage_client"]

_Client = TypeVar("_Client", openai.OpenAI, openai.AsyncOpenAI)
_RAW = "X-Stainless-Raw-Response"


@suggesting
def manage_client(
    client: _Client,
    rm: AgentRM,
    *,
    agent: str | None = None,
    tenant: str | None = None,
    priority: Priority | PriorityName | None = None,
    group: str = "model",
    retry: RetryPolicy | Literal["default"] | None = "default",
    keep_sdk_retries: bool = False,
    wait_timeout_s: float | None = None,
    first_token_timeout_s: float | None = None,
    silence_timeout_s: float | None = None,
    total_timeout_s: float | None = None,
    hedge: bool = True,
    adaptive: bool | None = None,
    on_stall: Literal["error", "restart"] = "error",
) -> _Client:
    """The same client to everybody, but every question to a model passes the core.

    That are chat completions, responses, embeddings and text completions, in all their forms.

    Args:
        client: An `openai.OpenAI` or `AsyncOpenAI`, Azure's too. It is not changed.
        rm: The core.
        agent: For whom its calls are made, else `AgentRM.identity`; for one call the header
            "x-agentrm-agent" (``extra_headers=``), which is not sent.
        tenant: Who pays for them; for one call "x-agentrm-tenant".
        priority: "interactive", "batch" or "background"; for one call "x-agentrm-priority".
        group: The group of lanes.
        retry: Which failures go again; None: none. A stream only before its first words.
        keep_sdk_retries: Whether the SDK may retry too; `with_options(max_retries=)` bounds ours.
        wait_timeout_s: Seconds that a call may wait for a lane; None: the core's; as below.
        first_token_timeout_s: Seconds before the first piece or the answer; None: the client's own.
        silence_timeout_s: Seconds of silence between two pieces.
        total_timeout_s: Seconds for which a call may run.
        hedge: Whether a late call may be sent twice. Stored Responses and the like never are.
        adaptive: Whether what is learnt of the endpoint may make a call late.
        on_stall: "restart": a stream that breaks off after its first words begins anew, behind a
            piece with ``agentrm_restart=True``; what came before it is void. Not in SDK helpers.

    Raises:
        ConfigError: `client` or `rm` is none, another open core manages the client, or a bad value.
        ClosedError: The core is closed.
    """
    _check(client, rm)
    limits = wait_timeout_s, first_token_timeout_s, silence_timeout_s, total_timeout_s
    terms = Terms(agent, tenant, parse_priority(priority), group, *limits, hedge, adaptive)
    management = _management(rm, terms, retry, keep_sdk_retries, on_stall)
    return _manage(client, management.telling(client))  # type: ignore[no-any-return]


def _check(client: Any, rm: AgentRM) -> None:
    if not isinstance(client, openai.OpenAI | openai.AsyncOpenAI):
        way = "give an openai.OpenAI or openai.AsyncOpenAI client"
        if hasattr(client, "invoke"):
            way += "; agentrm_langchain.manage(runnable, rm) manages what LangChain runs"
        raise ConfigError.of_kind("client", client, way)
    check_one_core(rm, client._agentrm.rm if isinstance(client, _Managed) else None)


def _management(
    rm: AgentRM, terms: Terms, retry: Any, keep_sdk_retries: bool, on_stall: str
) -> _Management:
    own = {"retry": retry, "keep_sdk_retries": keep_sdk_retries, "on_stall": on_stall}
    checked(rm, {**asdict(terms), **own})
    counting.prepare("")  # of the usual encoding: which models will be asked nobody knows yet
    policy = core_of(rm).policy(retry)
    return _Management(rm, terms, policy, keep_sdk_retries, on_stall == "restart")


class _Management:
    """How one client is managed."""

    __slots__ = ("keep_sdk_retries", "policy", "restart", "rm", "terms")

    def __init__(
        self,
        rm: AgentRM,
        terms: Terms,
        policy: RetryPolicy | None,
        keep_sdk_retries: bool,
        restart: bool,
    ) -> None:
        self.rm = rm
        self.terms = terms
        self.policy = policy
        self.keep_sdk_retries = keep_sdk_retries
        self.restart = restart

    def restarts(self, options: Any, call: Any) -> Any:
        """Whether this request's stream may begin anew; None if nobody asked for that."""
        if not self.restart or not may_restart(options.headers or None):
            return None
        return core_of(self.rm).restarts(self.policy, call)

    def telling(self, client: Any) -> _Management:
        """The same, after it was said that the client goes on to retry by itself, if it does."""
        if self.keep_sdk_retries and client.max_retries:
            core_of(self.rm).warned.once(
                "sdk retries",
                f"the OpenAI client goes on to retry by itself (max_retries={client.max_retries}): "
                "it hides refusals from the core, and both multiply. Leave keep_sdk_retries out",
                stacklevel=6,
                strict=True,
            )
        return self

    def bounded(self, max_retries: int) -> _Management:
        """The same, with at most so many retries: what `with_options` says holds for ours too."""
        policy = self.policy
        if policy is not None:
            stop = stop_any(policy.stop, stop_after_attempt(max_retries + 1))
            policy = replace(policy, stop=stop)
        return _Management(self.rm, self.terms, policy, self.keep_sdk_retries, self.restart)

    def declare(self, client: Any, options: Any, stream: bool) -> tuple[Call | None, Any]:
        """The call that a request is (None: it needs no lane), and the request as it is sent.

        What asks no model passes as it is, with the retries that the client has.
        """
        if not is_model_call(options.method, options.url):
            return None, options
        changes: dict[str, Any] = {} if self.keep_sdk_retries else {"max_retries": 0}
        if (
            options.idempotency_key is None
        ):  # the same for every attempt, as the SDK's own loop has it
            changes["idempotency_key"] = client._idempotency_key()
        given = options.headers if isinstance(options.headers, dict) else {}
        said = {name.lower(): value for name, value in given.items() if name.lower() in HEADERS}
        if said:
            changes["headers"] = {k: v for k, v in given.items() if k.lower() not in HEADERS}
        options = options.model_copy(update=changes)
        outer = core_of(self.rm).lease_around()
        if outer is not None and outer.call.endpoint is not None:
            return None, options  # part of a managed model call
        streaming = stream or given.get(_RAW) == "stream"
        call = self.terms.call(self.rm, client, options, said, streaming=streaming)
        return call, options


def _manage(client: Any, management: _Management) -> Any:
    """A client of the same class and state over the same connections, whose requests are managed.

    It is no `copy()` of the SDK's: that one asks the constructor, which a user's own class may have
    changed, and forgets some of the client's settings.
    """
    origin = _origin(client)
    managed: Any = object.__new__(_managed_class(origin))
    for name, value in client.__dict__.items():
        if not isinstance(getattr(origin, name, None), cached_property):  # they know their client
            managed.__dict__[name] = value
    twin = observed_twin(client._client, management.rm)
    if twin is not None:
        managed._client = twin
    managed._agentrm = management
    managed._traced = is_traced(managed._client)
    return managed


@lru_cache(maxsize=32)
def _managed_class(origin: type[Any]) -> type[Any]:
    base = _ManagedSync if issubclass(origin, SyncAPIClient) else _ManagedAsync

    @wraps(origin.copy)
    def copy(self: Any, **options: Any) -> Any:
        made = origin.copy(self, **options)
        made._strict_response_validation = self._strict_response_validation
        management, most = self._agentrm, options.get("max_retries")
        if isinstance(most, int):
            management = management.bounded(most)
        return _manage(made, management)

    body: dict[str, Any] = {"__doc__": origin.__doc__, "__module__": origin.__module__}
    body |= {"copy": copy, "with_options": copy, "__signature__": signature(origin)}
    # Under its own name, which it sends as its user agent.
    return type(origin.__name__, (base, origin), body | {"__qualname__": origin.__qualname__})


class _Managed(CountedRetries):
    """What the managed clients of both worlds share."""

    _is_managed = True
    _agentrm: _Management
    _traced: bool

    @cached_property
    def responses(self) -> Any:
        """The SDK's resource; its helper says that it is one where streams may begin anew."""
        resource = super().responses  # type: ignore[misc]
        if self._agentrm.restart:
            resource.stream = as_helper(resource.stream)
        return resource


def _origin(client: Any) -> Any:
    """The SDK's or the user's own class of a client, managed or not."""
    return next(kind for kind in type(client).__mro__ if not issubclass(kind, CountedRetries))


class _ManagedSync(_Managed):
    def request(self, cast_to: Any, options: Any, **kind: Any) -> Any:
        """Send a request, in a lane if it asks a model."""
        management = self._agentrm
        call, options = management.declare(self, options, bool(kind.get("stream")))

        def send() -> Any:
            return super(_ManagedSync, self).request(cast_to, options, **kind)  # type: ignore[misc]

        if call is None:
            return send()
        requests = Requests()

        def make(lease: HostLease) -> Any:
            counted = partial(_counted, requests, requests.sent, send)
            return attempt(management.rm, lease, counted, traced=self._traced)

        def ask() -> Any:
            try:
                return core_of(management.rm).call(call, make, retry=management.policy)
            except FailedAnswer as failed:
                return failed.answer

        restarts = management.restarts(options, call)
        return ask() if restarts is None else restarting(ask(), ask, restarts)


def _counted(requests: Requests, before: int, send: Callable[[], Any]) -> Any:
    with requests.again_after(before):
        return send()


async def _counted_async(
    requests: Requests, before: int, send: Callable[[], Awaitable[Any]]
) -> Any:
    with requests.again_after(before):
        return await send()


class _ManagedAsync(_Managed):
    async def request(self, cast_to: Any, options: Any, **kind: Any) -> Any:
        """Send a request, in a lane if it asks a model."""
        management = self._agentrm
        call, options = management.declare(self, options, bool(kind.get("stream")))

        async def send() -> Any:
            return await super(_ManagedAsync, self).request(cast_to, options, **kind)  # type: ignore[misc]

        if call is None:
            return await send()
        requests = Requests()

        async def make(lease: HostLease) -> Any:
            counted = partial(_counted_async, requests, requests.sent, send)
            return await attempt_async(management.rm, lease, counted, traced=self._traced)

        async def ask() -> Any:
            try:
                return await core_of(management.rm).call_async(call, make, retry=management.policy)
            except FailedAnswer as failed:
                return failed.answer

        restarts = management.restarts(options, call)
        return await (ask() if restarts is None else restarting_async(await ask(), ask, restarts))

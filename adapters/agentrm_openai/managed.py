"""The plain SDK under management: `manage_client`.

Every way of asking a model (chat, responses, embeddings; `create`, `parse`, `stream`; raw and
streaming responses) ends in the client's one method `request`, so that is where the lane is.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import openai
from openai._base_client import SyncAPIClient

from agentrm_openai.attempts import attempt, attempt_async
from agentrm_openai.clients import observed_twin
from agentrm_openai.failed_answer import FailedAnswer
from agentrm_openai.requests import HEADERS, Terms, check, is_model_call
from agentrm_plugins import AgentRM, Call, ConfigError, RetryPolicy
from agentrm_plugins.integration import (
    active_lease,
    check_core,
    core_of,
    parse_priority,
    retry_policy,
    suggesting,
)

if TYPE_CHECKING:
    from agentrm_plugins import Lease
    from agentrm_plugins.integration import Priority, PriorityName

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
) -> _Client:
    """The same client to everybody, but every question to a model passes the core.

    Managed are chat completions, responses, embeddings and text completions, in all their forms;
    everything else passes as before. Each call takes one lane and settles with the usage that the
    provider reports. A call inside a managed model call is part of that one.

    Args:
        client: An `openai.OpenAI` or `AsyncOpenAI`, Azure's too. It is not changed; the connections
            are shared.
        rm: The core.
        agent: For whom its calls are made. For one call: ``extra_headers={"x-agentrm-agent": ..}``
            (and ``-tenant``, ``-priority``), which are not sent. Else `AgentRM.identity`, the
            managed call around it, "main".
        tenant: Who pays for them.
        priority: "interactive", "batch" or "background": where the agent starts.
        group: The group of lanes.
        retry: Which failures go again, holding nothing meanwhile; None: none does. A stream goes
            again only before its first piece.
        keep_sdk_retries: Whether the SDK may go on to retry by itself, holding the lane.
        wait_timeout_s: Seconds that a call may wait for a lane; this and the following: None is
            the core's setting.
        first_token_timeout_s: Seconds of silence before the first piece or the answer; None: the
            client's own `timeout`, if one was set.
        silence_timeout_s: Seconds of silence between two pieces.
        total_timeout_s: Seconds for which a call may run.
        hedge: Whether a second request may be sent when a call is late. It never is for what does
            more at the provider than answer: stored or background Responses, tools that it runs.
        adaptive: Whether what is learnt of the endpoint may make a call late.

    Raises:
        ConfigError: `client` or `rm` is none, or an argument has a bad value.
        ClosedError: The core is closed.
    """
    _check(client, rm)
    terms = Terms(
        *(agent, tenant, parse_priority(priority), group),
        *(wait_timeout_s, first_token_timeout_s, silence_timeout_s, total_timeout_s),
        *(hedge, adaptive),
    )
    check(rm, terms)
    management = _Management(rm, terms, retry_policy(retry), keep_sdk_retries)
    managed: _Client = _manage(client, management)
    return managed


def _check(client: Any, rm: Any) -> None:
    if not isinstance(client, openai.OpenAI | openai.AsyncOpenAI):
        way = "give an openai.OpenAI or openai.AsyncOpenAI client"
        raise ConfigError("client", type(client).__name__, way)
    check_core(rm)


class _Management:
    """How one client is managed."""

    __slots__ = ("keep_sdk_retries", "policy", "rm", "terms")

    def __init__(
        self, rm: AgentRM, terms: Terms, policy: RetryPolicy | None, keep_sdk_retries: bool
    ) -> None:
        self.rm = rm
        self.terms = terms
        self.policy = policy
        self.keep_sdk_retries = keep_sdk_retries

    def declare(self, client: Any, options: Any, stream: bool) -> tuple[Call | None, Any]:
        """The call that a request is (None: it needs no lane), and the request as it is sent."""
        if not is_model_call(options.method, options.url):
            return None, options
        given = options.headers if isinstance(options.headers, dict) else {}
        said = {name.lower(): value for name, value in given.items() if name.lower() in HEADERS}
        if said:
            sent = {name: value for name, value in given.items() if name.lower() not in HEADERS}
            options = options.model_copy(update={"headers": sent})
        outer = active_lease(self.rm)
        if outer is not None and outer.call.endpoint is not None:
            return None, options  # part of a managed model call
        streaming = stream or given.get(_RAW) == "stream"
        call = self.terms.call(self.rm, client, options, said, streaming=streaming)
        return call, options


def _manage(client: Any, management: _Management) -> Any:
    options: dict[str, Any] = {} if management.keep_sdk_retries else {"max_retries": 0}
    twin = observed_twin(client._client, management.rm)
    if twin is not None:
        options["http_client"] = twin
    origin = _origin(client)
    managed: Any = object.__new__(_managed_class(origin))
    managed.__dict__.update(origin.copy(client, **options).__dict__)
    managed._agentrm = management
    return managed


@lru_cache(maxsize=32)
def _managed_class(origin: type) -> type:
    base = _ManagedSync if issubclass(origin, SyncAPIClient) else _ManagedAsync
    return type(f"Managed{origin.__name__}", (base, origin), {"__doc__": origin.__doc__})


class _Managed:
    """What the managed clients of both worlds share."""

    _is_managed = True
    _agentrm: _Management

    def copy(self, **options: Any) -> Any:
        """A client with other options, managed as this one is."""
        return _manage(_origin(self).copy(self, **options), self._agentrm)

    with_options = copy


def _origin(client: Any) -> Any:
    """The SDK's or the user's own class of a client, managed or not."""
    return next(kind for kind in type(client).__mro__ if not hasattr(kind, "_is_managed"))


class _ManagedSync(_Managed):
    def request(self, cast_to: Any, options: Any, **kind: Any) -> Any:
        """Send a request, in a lane if it asks a model."""
        management = self._agentrm
        call, options = management.declare(self, options, bool(kind.get("stream")))

        def send() -> Any:
            return super(_ManagedSync, self).request(cast_to, options, **kind)  # type: ignore[misc]

        if call is None:
            return send()

        def make(lease: Lease) -> Any:
            return attempt(management.rm, lease, send)

        try:
            return core_of(management.rm).call(call, make, retry=management.policy)
        except FailedAnswer as failed:
            return failed.answer


class _ManagedAsync(_Managed):
    async def request(self, cast_to: Any, options: Any, **kind: Any) -> Any:
        """Send a request, in a lane if it asks a model."""
        management = self._agentrm
        call, options = management.declare(self, options, bool(kind.get("stream")))

        async def send() -> Any:
            return await super(_ManagedAsync, self).request(cast_to, options, **kind)  # type: ignore[misc]

        if call is None:
            return await send()

        async def make(lease: Lease) -> Any:
            return await attempt_async(management.rm, lease, send)

        try:
            return await core_of(management.rm).call_async(call, make, retry=management.policy)
        except FailedAnswer as failed:
            return failed.answer

"""What a callback learns of a model call from its start event."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from agentrm_langchain.messages import input_tokens
from agentrm_langchain.model_facts import host_in, model_in, most_in, name_of
from agentrm_plugins.integration import counting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentrm_plugins import AgentRM, Call

__all__ = ["Batch", "Batches", "Start", "asked_of", "is_streaming"]

_MAX_OPEN = 1024  # batches whose later starts never came (one was refused) are forgotten


class Batch:
    """The prompts of one ``generate([[a], [b]])``, all of whose starts come before the first call.

    Waiting for a second lane while holding the first would block for ever where there is only one.
    So each later start rides on the lane of the one before it, as a nested call does. In sync code
    that is exact, for the calls run one after the other. In async code they run side by side on one
    lane; a wrapped model gives each its own. Their timeouts are those of the whole batch.
    """

    __slots__ = ("first_s", "left", "params", "ticket", "total_s")

    def __init__(self, size: int, params: Any, rm: AgentRM) -> None:
        self.left = size
        self.params = params  # held, so that no other batch's has the same id
        self.ticket: int | None = None
        self.first_s: float | None = None
        self.total_s: float | None = None
        if size > 1:
            leases = rm.config.leases
            self.first_s = leases.response_timeout_s * size
            if leases.total_timeout_s is not None:
                self.total_s = leases.total_timeout_s * size

    def granted(self, ticket: int) -> None:
        """The next start may ride on this one."""
        self.ticket = ticket


class Batches:
    """The batches whose starts are coming in."""

    def __init__(self) -> None:
        self._open: dict[tuple[int, int], Batch] = {}

    def enter(self, kwargs: Mapping[str, Any], rm: AgentRM) -> Batch:
        """The batch of this start; a new one for the first of it, or for a lone call."""
        size, params = kwargs.get("batch_size") or 1, kwargs.get("invocation_params")
        if size == 1 or params is None:
            return Batch(1, params, rm)
        key = (id(params), threading.get_ident())
        batch = self._open.get(key)
        if batch is None or batch.params is not params:
            batch = self._open[key] = Batch(size, params, rm)
            if len(self._open) > _MAX_OPEN:
                self._open.pop(next(iter(self._open)), None)
        batch.left -= 1
        if batch.left == 0:
            self._open.pop(key, None)
        return batch


class Start(NamedTuple):
    """A call that is about to ask for its lane."""

    call: Call
    key: int
    parent: int | None
    batch: Batch
    watched: bool  # whether the core is shown the responses, refusals among them


class Asked(NamedTuple):
    """Where a call goes and what it may take, as far as its start event tells."""

    endpoint: str | None
    input_tokens: int
    max_output_tokens: int | None


def asked_of(
    serialized: Any, prompts: Any, metadata: Mapping[str, Any], params: Mapping[str, Any]
) -> Asked:
    """What is asked, and of whom; the key is not told, so the endpoint has no fingerprint.

    Args:
        serialized: The model's serialised form, which may name a base URL.
        prompts: The messages, or the texts of the older models.
        metadata: The run's, where LangChain names provider and model.
        params: The arguments of the call.
    """
    fields = serialized.get("kwargs") if isinstance(serialized, dict) else None
    host = host_in(fields) if isinstance(fields, dict) else ""
    model = model_in(params) or metadata.get("ls_model_name") or ""
    endpoint = name_of(host or metadata.get("ls_provider") or "", model)
    first = prompts[0] if prompts else ()
    if isinstance(first, str):
        tokens = counting.request_counter(model).text(first)
    else:
        tokens = input_tokens(first, params, model)
    return Asked(endpoint, tokens, most_in((params,)))


def is_streaming(kwargs: Mapping[str, Any]) -> bool:
    """Whether the start event says that tokens will come; most do not say."""
    params = kwargs.get("invocation_params") or {}
    return bool(params.get("stream") or params.get("streaming"))

"""Which cores manage a model's calls already.

Two cores around one model would each hold a lane for its calls, and each would learn its endpoint's
limits from half of what passes. So the second one is refused while the first one is open.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agentrm_langchain.callbacks import AgentRMCallbackHandler
from agentrm_plugins import AgentRM
from agentrm_plugins.integration import check_one_core

__all__ = ["check_free"]

_CLIENTS = ("root_client", "root_async_client", "client", "async_client")


def check_free(rm: AgentRM, model: Any) -> None:
    """Refuse a model that another open core manages.

    Args:
        rm: The core that is to manage it.
        model: A chat model, or what makes one by configuration.

    Raises:
        ConfigError: It is wrapped, has a callback of its own, or holds a client, of another core.
    """
    for other in _around(model):
        check_one_core(rm, other if isinstance(other, AgentRM) else None)


def _around(model: Any) -> Iterator[Any]:
    fields = getattr(model, "__dict__", {})
    yield fields.get("rm")
    yield fields.get("_agentrm_rm")
    callbacks = fields.get("callbacks")
    for handler in getattr(callbacks, "handlers", None) or callbacks or ():
        if isinstance(handler, AgentRMCallbackHandler):
            yield handler.rm
    for name in _CLIENTS:
        held = fields.get(name)  # a client of an SDK, or a resource of one
        for client in (held, getattr(held, "_client", None)):
            yield getattr(getattr(client, "_agentrm", None), "rm", None)

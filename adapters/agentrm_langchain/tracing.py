"""The queue's time in LangChain's traces: a child run of the model's run, named "agentrm.queue".

LangSmith, Langfuse and every other tracer that is a sync callback handler sees it; a call that goes
at once has none. Handlers that are coroutines are left out: the wait is told from sync code.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import AsyncCallbackHandler, CallbackManager

from agentrm_plugins import CallRefused
from agentrm_plugins.integration import QUEUED, restore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from agentrm_langchain.call_register import Run

__all__ = ["traced"]

_RUN = "agentrm.queue"


def traced(run: Run | None) -> AbstractContextManager[None]:
    """In this block a wait for a lane is told to the run's handlers."""
    if run is None or run.callbacks is None:
        return _NOBODY
    handlers = _handlers_in(run.callbacks)
    listening = [handler for handler in handlers if _listens(handler)] if handlers else ()
    return _telling(listening, run.run_id) if listening else _NOBODY


def _handlers_in(given: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for callbacks in given:
        listed = callbacks if isinstance(callbacks, list) else getattr(callbacks, "handlers", ())
        found += [handler for handler in listed if handler not in found]
    return found


_NOBODY = nullcontext()


@contextmanager
def _telling(handlers: list[Any], run_id: Any) -> Iterator[None]:
    token = QUEUED.set(partial(_begin, handlers, run_id))
    try:
        yield
    finally:
        restore(QUEUED, token)


def _listens(handler: Any) -> bool:
    ours = type(handler).__module__.startswith("agentrm_")
    return not ours and not isinstance(handler, AsyncCallbackHandler) and not handler.ignore_chain


def _begin(handlers: list[Any], run_id: Any, told: dict[str, str]) -> Callable[[float, str], None]:
    manager = CallbackManager(
        handlers=handlers, parent_run_id=run_id, tags=["agentrm"], metadata=told
    )
    run = manager.on_chain_start(None, told, name=_RUN)

    def end(waited_s: float, refused_for: str) -> None:
        if refused_for:
            run.on_chain_error(CallRefused(f"the call was not run: {refused_for}"))
        else:
            run.on_chain_end({"waited_s": waited_s})

    return end

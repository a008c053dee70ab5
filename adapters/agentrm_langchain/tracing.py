"""The queue's time in LangChain's traces: a child run of the model's run, named "agentrm.queue".

LangSmith, Langfuse and every other tracer that is a sync callback handler sees it; a call that goes
at once has none. Handlers that are coroutines are left out: the wait is told from sync code.

Who follows a call further (`agentrm_plugins.telemetry.instrument`) finds here where the model's own
run is told of: the span that a tracer keeps for it (OpenInference's `get_span`), or the events of
the run itself, which LangSmith shows.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import AsyncCallbackHandler, CallbackManager
from langchain_core.tracers.base import BaseTracer

from agentrm_plugins import CallRefused
from agentrm_plugins.integration import asking

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
    token = asking.QUEUED.set(_Told(handlers, run_id))
    try:
        yield
    finally:
        asking.restore(asking.QUEUED, token)


def _listens(handler: Any) -> bool:
    ours = type(handler).__module__.startswith("agentrm_")
    return not ours and not isinstance(handler, AsyncCallbackHandler) and not handler.ignore_chain


class _Told:
    """A model's run, for whoever tells of its waits, and of what else happens to it."""

    __slots__ = ("_handlers", "_run_id")

    def __init__(self, handlers: list[Any], run_id: Any) -> None:
        self._handlers = handlers
        self._run_id = run_id

    def __call__(self, told: dict[str, str]) -> Callable[[float, str], None]:
        """A wait begins; gives what to call at its end."""
        manager = CallbackManager(
            handlers=self._handlers, parent_run_id=self._run_id, tags=["agentrm"], metadata=told
        )
        run = manager.on_chain_start(None, told, name=_RUN)

        def end(waited_s: float, refused_for: str) -> None:
            if refused_for:
                run.on_chain_error(CallRefused(f"the call was not run: {refused_for}"))
            else:
                run.on_chain_end({"waited_s": waited_s})

        return end

    def span(self) -> Any:
        """The span that a tracer keeps for the run, if one does."""
        found = (_span_of(handler, self._run_id) for handler in self._handlers)
        return next((span for span in found if span is not None), None)

    def is_recording(self) -> bool:
        """Whether there is a run that takes events."""
        return bool(self._runs())

    def add_event(self, name: str, attributes: dict[str, Any], at_ns: int) -> None:
        """Something happened to the call: the run's own event, in the form of LangSmith."""
        at = datetime.fromtimestamp(at_ns / 1e9, UTC).isoformat()
        for run in self._runs():
            run.add_event({"name": name, "time": at, "kwargs": attributes})

    def _runs(self) -> list[Any]:
        key, runs = str(self._run_id), []
        for handler in self._handlers:
            if isinstance(handler, BaseTracer) and getattr(handler, "get_span", None) is None:
                run = handler.run_map.get(key)
                if run is not None:
                    runs.append(run)
        return runs


def _span_of(handler: Any, run_id: Any) -> Any:
    """The span of OpenTelemetry that a handler keeps for a run, if it does.

    OpenInference's tells it. Langfuse's makes it the current one in sync code; in async code, where
    that happens in another thread's context, it is found only where the handler keeps it.
    """
    find = getattr(handler, "get_span", None)
    if find is not None:
        return find(run_id)
    kept = getattr(handler, "_runs", None)
    return getattr(kept.get(run_id), "_otel_span", None) if isinstance(kept, dict) else None

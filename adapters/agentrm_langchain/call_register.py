"""What is managed already, one register for each core: a call managed twice is managed once.

The callback and the wrapped model may meet on the same call, and so may two callbacks. The run id
tells: it is the same for all of them.
"""

from __future__ import annotations

import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from agentrm_langchain.answers import failure_of, nothing_came, text_of
from agentrm_plugins import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from agentrm_plugins import AgentRM
    from agentrm_plugins.integration import HostLease, Outcome

__all__ = ["RUN", "CallRegister", "Held", "Hint", "Run", "register_of", "watch"]


class Run(NamedTuple):
    """The LangChain run that a call belongs to, as far as it is known.

    Args:
        run_id: Its number.
        parent_run_id: That of the run around it.
        metadata: Its metadata.
        whole: Whether nobody sees a chunk of its answer before all have come.
    """

    run_id: UUID | None
    parent_run_id: UUID | None
    metadata: Mapping[str, Any]
    whole: bool = False
    callbacks: Any = None


# LangChain hands no run manager to `_stream`; the wrapped model notes the run here on the way in.
RUN: ContextVar[Run | None] = ContextVar("agentrm_langchain_run", default=None)


class Hint(NamedTuple):
    """What a callback knows of a run that the wrapped model will manage."""

    root: str
    parent_agent: str | None
    alive: Any


class Held:
    """A call that a callback holds a lane for."""

    __slots__ = ("_done", "alive", "lease", "owner", "said", "silent", "tally", "task", "watched")

    def __init__(self, lease: HostLease, owner: int, tally: Any, *, watched: bool = False) -> None:
        self.watched = watched
        self.said = False  # whether anything came that says something
        self.silent: list[Any] = []  # the chunks before that
        self.lease = lease
        self.owner = owner  # the id of the handler that took it: it alone counts the tokens
        self.tally = tally
        self.task: Any = None
        self._done: Any = None
        self.alive: Any = None

    def follow(self, task: Any, gone: Any) -> None:
        """Call `gone` if this task ends first: a cancelled `ainvoke` fires no event at all."""
        if self.task is not None:
            self.task.remove_done_callback(self._done)
        self.task, self._done = task, gone
        if task is not None:
            task.add_done_callback(gone)

    def let_go(self) -> None:
        """Its end came: nobody needs to watch for it any more."""
        self.alive = None
        task, self.task = self.task, None
        if task is not None:
            task.remove_done_callback(self._done)
        self._done = None

    def came(self, token: Any, chunk: Any) -> None:
        """A token came, or a chunk that says nothing."""
        if self.said:
            return
        self.said = bool(token) or text_of(chunk) is not None
        message = getattr(chunk, "message", None)
        if not self.said and getattr(message, "chunk_position", None) != "last":
            self.silent.append(chunk)  # the last one is LangChain's own

    def failure(self, generations: Any) -> Exception | None:
        """The error that its answer is; None if it is one."""
        if self.said:
            return None
        return nothing_came(self.silent) if self.silent else failure_of(generations)

    def end(self, outcome: Outcome | str) -> None:
        """Its end will not come, or not to us."""
        self.let_go()
        self.lease.settle(self.tally.cut(), outcome=outcome)

    def fail(self, error: BaseException) -> None:
        """It met an error, from which its endpoint learns; of a response it has heard already."""
        self.let_go()
        used = self.tally.cut() if self.said else None
        if self.watched and getattr(error, "status_code", None) is not None:
            self.lease.settle(used or Usage(), outcome="error")  # what was refused costs nothing
        else:
            self.lease.fail(error, used)


class CallRegister:
    """One core's managed LangChain calls, by the number of their run id.

    Attributes:
        held: Calls that a callback holds a lane for.
        running: Calls that a wrapped model manages.
        hints: What a callback has seen of a call before the wrapped model got it.
        silent: Hosts that refuse to be asked for a stream's usage.
    """

    __slots__ = ("held", "hints", "running", "silent")

    def __init__(self) -> None:
        self.held: dict[int, Held] = {}
        self.running: set[int] = set()
        self.hints: dict[int, Hint] = {}
        self.silent: set[str] = set()


_REGISTERS: weakref.WeakKeyDictionary[AgentRM, CallRegister] = weakref.WeakKeyDictionary()


def register_of(rm: AgentRM) -> CallRegister:
    """The one register of this core."""
    register = _REGISTERS.get(rm)
    return _REGISTERS.setdefault(rm, CallRegister()) if register is None else register


def watch(run_id: UUID, gone: Any) -> Any:
    """Call `gone` when nobody knows of this run any more; keep what is returned.

    A run whose end event never fires (a cancelled `ainvoke`, the second prompt of a failed
    `generate`) still ends: its run manager, which holds the id, is dropped.
    """
    return weakref.ref(run_id, lambda _: gone())

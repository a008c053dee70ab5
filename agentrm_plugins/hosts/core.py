"""The core behind the facade: what adapters ask of it, and users do not.

`AgentRM` holds one; `integration.core_of` gives it to the author of an adapter.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from agentrm_plugins.errors import CallRefused, ClosedError
from agentrm_plugins.hosts.flow import admitted, in_lane_of, managed_call, run, run_async
from agentrm_plugins.hosts.restarts import Restarts
from agentrm_plugins.hosts.sessions import Sessions
from agentrm_plugins.hosts.unsent import look_again
from agentrm_plugins.hosts.warning import Warned
from agentrm_plugins.types.checks import check_group
from agentrm_plugins.types.events import Observe
from agentrm_plugins.types.identity import ACTIVE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from agentrm_plugins.hosts.host import Host
    from agentrm_plugins.hosts.lease import HostLease
    from agentrm_plugins.hosts.retry import RetryPolicy
    from agentrm_plugins.types.calls import Call
    from agentrm_plugins.types.effects import Compacted, Hibernated, Prepared, Recalled
    from agentrm_plugins.types.identity import Active
    from agentrm_plugins.types.verdicts import LimitReport, Verdict

__all__ = ["Core"]

T = TypeVar("T")
_NUMBERS = itertools.count(1)


class Core:
    """Lanes and limits for calls, whoever declares them.

    Args:
        host: The kernel and its callers.

    Attributes:
        number: Tells the cores of one process apart.
        tables: What providers say, built in and configured.
        warned: What was warned of already.
        sessions: What contexts tell of their sessions.
        retry: What `retry="default"` is here; None: `RetryPolicy()`, as nobody has asked yet.
    """

    __slots__ = ("_groups", "host", "number", "retry", "sessions", "tables", "warned")

    def __init__(self, host: Host) -> None:
        self.host = host
        self.number = next(_NUMBERS)
        self.tables = host.tables
        self.warned = Warned()
        self.sessions = Sessions(host.clock)
        host.on_fork(self.sessions.begin)
        self.retry: RetryPolicy | None = None
        self.regroup()

    def regroup(self) -> None:
        """The lane groups are those of the host's configuration."""
        self._groups = {group.name for group in self.host.config.groups}

    def watch(self, context: Any, owner: Any) -> None:
        """Let events and statistics tell of the sessions of a `ContextLifecycle`.

        The adapters do so for the `context=` that they are given. A second time does nothing.

        Args:
            context: The lifecycle.
            owner: For as long as it lives: the `AgentRM`.
        """
        context.listen(owner, self.note, self.sessions.turn)

    def note(self, effect: Compacted | Hibernated | Prepared | Recalled) -> None:
        """Something happened beside the kernel: events, recordings and stories tell of it, now."""
        self.sessions.note(effect)
        self.host.tell(effect._replace(at_s=self.host.clock.now()))

    # -- calls ------------------------------------------------------------------------------

    def admit(self, call: Call, *, parent: int | None = None) -> HostLease:
        """Wait for a lane, blocking this thread. The caller settles the lease.

        Args:
            call: What it is for.
            parent: The ticket of the managed call on whose lane this one may ride; None: that of
                the call inside which this code runs, if any.

        Raises:
            CallRefused: The core said no.
            ClosedError: The core is closed.
            ConfigError: There is no such lane group.
        """
        lease = self.host.submit(call, self._parent(call, parent))
        return _given(lease) or run(admitted(lease))

    async def admit_async(self, call: Call, *, parent: int | None = None) -> HostLease:
        """Wait for a lane, suspending this task. The caller settles the lease.

        Args:
            call: What it is for.
            parent: As in `admit`.

        Raises:
            CallRefused: The core said no.
            ClosedError: The core is closed.
            ConfigError: There is no such lane group.
        """
        lease = self.host.submit(call, self._parent(call, parent))
        return _given(lease) or await run_async(admitted(lease))

    def call(
        self, call: Call, make: Callable[[HostLease], T], *, retry: RetryPolicy | None = None
    ) -> T:
        """Make a call in a lane of its own, and again after failures that `retry` would have cured.

        A call that goes again holds nothing meanwhile: its lane is free, it waits at its own place
        in the queue, and its endpoint's limits say when it may go.

        Args:
            call: What is declared of it.
            make: Makes one attempt. It settles the lease if that went well (or the lease was
                reaped); if it raises, the core does.
            retry: Which failures go again; None: none does.

        Raises:
            CallRefused: The core said no.
            ClosedError: The core is closed.
            Exception: What the last attempt raised.
        """
        given: T = run(managed_call(self.host, call, self._parent(call), retry), make)
        return given

    def call_async(
        self,
        call: Call,
        make: Callable[[HostLease], Awaitable[T]],
        *,
        retry: RetryPolicy | None = None,
    ) -> Coroutine[Any, Any, T]:
        """The same in a task, which awaits what this gives.

        Raises:
            CallRefused: The core said no.
            ClosedError: The core is closed.
            Exception: What the last attempt raised.
        """
        return run_async(managed_call(self.host, call, self._parent(call), retry), make)

    def call_in(self, lease: HostLease, make: Callable[[HostLease], T]) -> T:
        """Make a call in a lane that somebody else took, who settles if it went well.

        Raises:
            CallReaped: The lane was lost before anything was sent.
            Exception: What the call raised.
        """
        given: T = run(in_lane_of(lease), make)
        return given

    def call_in_async(
        self, lease: HostLease, make: Callable[[HostLease], Awaitable[T]]
    ) -> Coroutine[Any, Any, T]:
        """The same in a task, which awaits what this gives.

        Raises:
            CallReaped: The lane was lost before anything was sent.
            Exception: What the call raised.
        """
        return run_async(in_lane_of(lease), make)

    def look_before(self) -> Callable[[], None] | None:
        """For transports: what to call right before bytes of a request are written; it may raise.

        None: nothing, for nobody shares the lanes, or the call cannot go back any more.
        """
        if self.host.coordinator is None:
            return None
        active = self.active_call()
        if active is None or active.lease is None:
            return None
        return partial(look_again, active.lease)

    def observe(
        self,
        endpoint: str,
        report: LimitReport,
        verdict: Verdict | None = None,
        sent_s: float | None = None,
    ) -> None:
        """For transports: a response of `endpoint` was seen, and what it says of the limits.

        Args:
            endpoint: "host/model#fingerprint of the key".
            report: What its headers say.
            verdict: What became of the request, if no managed call will tell: else it counts twice.
            sent_s: When the request went, on this core's clock (`now_s`); None: just now.
        """
        self.host.feed(Observe(endpoint, report, verdict, sent_s))

    def active_call(self) -> Active | None:
        """The managed call of this core inside which the code that runs now is, or None."""
        active = ACTIVE.get()
        return active if active is not None and active.core == self.number else None

    def lease_around(self) -> HostLease | None:
        """The lease of the call inside which the code that runs now is; None if it is lost."""
        active = ACTIVE.get()
        if active is None or active.core != self.number:
            return None
        return self.host.lease(active.ticket)

    @property
    def now_s(self) -> float:
        """The time on this core's clock, seconds."""
        return self.host.clock.now()

    def admit_nowait(self, call: Call) -> HostLease | None:
        """A lane now, or None. The caller settles the lease.

        In a finaliser or a signal's handler that interrupted the core it is None.

        Raises:
            ClosedError: The core is closed.
            ConfigError: There is no such lane group.
        """
        lease = self.host.submit(replace(call, wait_timeout_s=0.0), self._parent(call))
        if not lease.decided and self.host.is_inside:  # it cannot be before this thread goes on
            lease.withdraw()
            return None
        try:
            given: HostLease = run(admitted(lease))
        except CallRefused:
            return None
        return given

    def policy(self, retry: Any) -> RetryPolicy | None:
        """The policy that `retry=` of an adapter means here: as given, or this core's default.

        Args:
            retry: A `RetryPolicy`, None for none, or "default".

        Raises:
            ConfigError: Anything else.
        """
        usual = self.retry
        if usual is not None and retry.__class__ is str and retry == "default":
            return usual
        from agentrm_plugins.hosts.retry import retry_policy

        policy = retry_policy(retry, usual)
        if policy is not None and policy is not retry:
            self.retry = policy
        return policy

    def restarts(self, policy: RetryPolicy | None, call: Call) -> Restarts:
        """Whether a stream may begin anew after it broke off, by this policy; None: never."""
        return Restarts(self, None if call.once else policy)  # it was seen to: it has begun

    # -- helpers ----------------------------------------------------------------------------

    def _parent(self, call: Call, given: int | None = None) -> int | None:
        """The call on whose lane this one may ride, if any.

        Raises:
            ConfigError: There is no such lane group.
        """
        if call.group not in self._groups:
            self.check(call)
        if given is not None:
            return given
        active = ACTIVE.get()
        return active.ticket if active is not None and active.core == self.number else None

    def check(self, call: Call) -> None:
        """Refuse what could never run.

        Raises:
            ConfigError: There is no such lane group.
            ClosedError: The core is closed.
        """
        if call.group not in self._groups:
            check_group("group", call.group, self.host.config.groups)
        if self.host.closed:
            raise ClosedError("this AgentRM is closed; make a new one, or keep it open for longer")


def _given(lease: HostLease) -> HostLease | None:
    """The lease if it has its lane at once."""
    return lease if lease.granted and not lease.is_void else None

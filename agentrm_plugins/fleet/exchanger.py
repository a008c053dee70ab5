"""The coordinator of one process: a thread that exchanges with the server, and one that is woken.

It is a member of the fleet on behalf of its host: what the kernel wants goes to the server, what
the server gives goes into the kernel, as events. A forked child is another member, and joins with
its first call. Neither thread keeps a core alive that nobody uses any more.
"""

from __future__ import annotations

import atexit
import gc
import logging
import os
import socket
import threading
import uuid
import weakref
from typing import TYPE_CHECKING, Any

from agentrm_plugins.errors import ConfigError
from agentrm_plugins.fleet.doubt import Doubt, give_back
from agentrm_plugins.fleet.link import Link, Unreachable, unreachable
from agentrm_plugins.fleet.view import Seen, fleet_statistics, named
from agentrm_plugins.hosts.bell import Bell
from agentrm_plugins.kernel.demand import demand, sight
from agentrm_plugins.kernel.endpoints import configured
from agentrm_plugins.policy.endpoint.fold import fold
from agentrm_plugins.policy.fleet.attention import Attention
from agentrm_plugins.policy.fleet.member import FleetMember
from agentrm_plugins.policy.fleet.terms import Terms, guaranteed_of, limits_of

if TYPE_CHECKING:
    from agentrm_plugins.config.fleet import Coordination
    from agentrm_plugins.hosts.host import Host
    from agentrm_plugins.kernel import Kernel
    from agentrm_plugins.types.fleet import Demand
    from agentrm_plugins.types.fleet_statistics import FleetStatistics

__all__ = ["Exchanger"]

_LOG = logging.getLogger("agentrm.fleet")
_LOOK_S, _LONGEST_LOOK_S = 0.1, 60.0  # guessed: a lease or a thread may hold the core for longer
_RETRY_S = 0.1  # guessed: pause after a failure
_WAKE_S = 1.0
_LEAVE_S = 1.0


class Exchanger:
    """Exchanges for one host.

    Args:
        host: Whose limits are shared; made with ``shared=True``.
        coordination: With whom, and how.

    Raises:
        ConfigError: The server refuses us: password, permission, version, another release.
        CoordinatorUnavailable: It was not reached, and nobody said how many processes there are.
    """

    def __init__(self, host: Host, coordination: Coordination) -> None:
        self._host = host
        self._coordination = coordination
        self._link = Link(coordination)
        self._owner: weakref.ref[object] | None = None
        self._look_s = self._pause_s = 0.0
        self._begin()
        self._first()
        host.coordinator = self
        self._start()
        atexit.register(_at_exit, weakref.ref(self))

    def owned_by(self, owner: object) -> None:
        """Whoever made this. Once that is gone, and nobody else needs the host, exchanges end."""
        self._owner = weakref.ref(owner)

    def is_orphaned(self) -> bool:
        """Whether the owner has gone and it is time to look who needs this: ever more seldom."""
        now_s = self._host.clock.now()
        if self._owner is None or self._owner() is not None or now_s < self._look_s:
            return False
        self._pause_s = min(_LONGEST_LOOK_S, max(_LOOK_S, 2.0 * self._pause_s))
        self._look_s = now_s + self._pause_s
        return True

    def _begin(self) -> None:
        """A new member, which has exchanged nothing yet."""
        config, asked = self._host.config, self._coordination
        name = f"{socket.gethostname()[:40]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        terms = Terms(
            *(name, limits_of(config), guaranteed_of(config), config.scheduler.boost_interval),
            lease_s=asked.lease_s,
            on_outage=asked.on_outage,
            outage_share=asked.outage_share,
            expected=asked.expected_processes or 1,
        )
        self.member = FleetMember(terms, self._host.clock.now())
        self._bell = Bell()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._started = False
        self._closing = self._stopped = False
        self._pending: dict[str, Any] | None = None
        self._asked: dict[str, Any] = {}
        self._doubt = Doubt(asked.lease_s)
        self._sent_s = 0.0
        self._tries = 0
        self._attention = Attention()
        self._error = ""
        self._wanted: Demand | None = None
        self._differ: dict[str, tuple[float, float]] = {}
        self._slowest_s = 0.0

    def _first(self) -> None:
        """The first exchange, before anybody is let in."""
        try:
            self._link.look()
            self._reach()
        except Unreachable as error:
            if self._coordination.expected_processes is None:
                self._link.close()
                raise unreachable(self._link.shown, error) from None
            _LOG.warning("the fleet's server was not reached: %s", error)
            self._failed(error)
        except Exception:
            self._link.close()
            raise
        else:
            _LOG.info(
                "joined the fleet %r at %s: %d member(s), %d lanes for all of them",
                *(self._link.namespace, self._link.shown, self.member.members),
                self._host.config.lanes,
            )

    def _reach(self) -> None:
        """Exchange; a server that is slow to answer is asked again, for a lease."""
        now = self._host.clock.now
        until_s = now() + self._coordination.lease_s
        while True:
            try:
                self._exchange()
            except Unreachable as error:
                if not error.slow or now() >= until_s:
                    raise
            else:
                return

    def _start(self) -> None:
        self._started = True
        reference = weakref.ref(self)
        bell = self._bell
        targets: list[tuple[Any, tuple[Any, ...], str]] = [
            (_run, (reference, bell), "agentrm-fleet")
        ]
        if self._coordination.wake:
            targets.append((_listen, (reference, bell), "agentrm-fleet-wake"))
        for target, arguments, name in targets:
            thread = threading.Thread(target=target, args=arguments, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    # -- what the host says -----------------------------------------------------------------------

    def ensure(self) -> None:
        """A call comes: in a forked child the exchanges begin now."""
        if not self._started:
            with self._lock:
                if not self._started:
                    self._link.reset()
                    self._start()

    def notice(self, kernel: Kernel) -> None:
        """Something happened: exchange soon, if that is worth it."""
        if self._attention.asks(sight(kernel), self.member):
            self._bell.ring()

    def after_fork(self) -> None:
        """In the child: a member of its own, which joins with its first call."""
        self._begin()

    # -- exchanges --------------------------------------------------------------------------------

    def step(self) -> float:
        """Exchange, and say for how many seconds there is nothing to do at most."""
        now, before = self._host.clock.now, self.member.standing()
        if self._doubt.error is not None and self._doubt.waits(now()):
            self._failed(self._doubt.error)
            return _RETRY_S
        try:
            self._exchange()
        except Unreachable as error:
            self._failed(error)
            return _RETRY_S
        except ConfigError as error:  # a right that was taken away, say: an outage to its end
            self._failed(error)
            return 1.0
        except Exception as error:  # noqa: BLE001 - a bug of ours, or of what answers: an outage as well
            self._pending = None
            self.member.distrust(before)
            self._doubt.met(error, now())
            give_back(self._link, self._asked)
            self._failed(error)
            return _RETRY_S
        self._doubt.over()
        return max(0.0, self.member.next_s(now()) - now())

    def _exchange(self) -> None:
        host, member = self._host, self.member
        now = host.clock.now
        if self._pending is not None and now() > member.valid_until_s:
            member.renew()
            self._pending = None
        if self._pending is None:
            wanted = self._demand()
            recall = member.plan(wanted, now())
            if recall is not None:
                host.feed(recall)
                wanted = self._demand()
            self._asked = self._pending = self._doubt.bounded(member.request(wanted, now()))
            self._sent_s, self._tries = now(), 0
        self._tries += 1
        answer = self._link.exchange(self._pending)
        back_s = now()
        self._pending = None
        self._slowest_s = max(self._slowest_s, back_s - self._sent_s)
        if "stale" in answer:
            return
        alone = member.state == "alone"
        supply = member.answered(answer, self._sent_s, back_s, again=self._tries > 1)
        host.feed(supply)
        if supply.lost:
            _LOG.warning("lanes were given to others meanwhile: %s", dict(supply.lost))
        self._warn_of_limits()
        self._fold()
        self._error = ""  # all of it went well: what fails from now on is said again
        if alone:
            _LOG.warning("the fleet %r is reached again", self._link.namespace)

    def _demand(self) -> Demand:
        found: Demand = self._host.read(demand)
        self._wanted = found
        return found

    def _fold(self) -> None:
        """It is this process's turn to fold what the fleet saw."""
        member = self.member
        while member.to_fold:
            name, lent = member.to_fold.popitem()
            now_s = self._host.clock.now() + member.offset_s
            for state in dict.fromkeys((lent["state"], "")):
                try:
                    since_s = min(now_s, lent["since"] / 1000.0)
                    fresh = configured(self._host.config, name, since_s)
                    member.folds[name] = fold(fresh, {**lent, "state": state}, now_s * 1000.0)
                    break
                except Exception:  # noqa: BLE001 - a state of another release, or of a bug: begin anew
                    _LOG.exception("what the fleet knows of %r could not be read", name)

    def _warn_of_limits(self) -> None:
        """Processes were told different limits: each says so once, until it is something else."""
        said, before = self.member.said, self._differ
        if said.differ == before:
            return
        self._differ = dict(said.differ)
        for key, (least, most) in said.differ.items():
            if before.get(key) != (least, most):
                _LOG.warning(
                    "processes of the fleet %r were told different limits, %s: %.10g and %.10g; "
                    "this one says %.10g, and the lowest counts for all",
                    *(self._link.namespace, named(key), least, most, said.own[key]),
                )

    def note(self, error: Exception) -> None:
        """An exchange failed. The log has each reason once, until an exchange succeeds."""
        known = isinstance(error, Unreachable | ConfigError)
        text = str(error) if known else f"{type(error).__name__}: {error}"
        if text != self._error:
            self._error = text
            _LOG.warning(
                "an exchange with the fleet failed: %s", text, exc_info=None if known else error
            )

    def _failed(self, error: Exception) -> None:
        """The outage rule, if the lease is over."""
        self.note(error)
        member, now_s = self.member, self._host.clock.now()
        alone = member.state == "alone"
        try:
            wanted = self._demand()
        except Exception:  # what failed may be just this: then what was wanted last
            if self._wanted is None:
                raise
            wanted = self._wanted
        supply = member.failed(wanted, now_s)
        if supply is not None:
            self._pending = None
            self._host.feed(supply)
            if not alone:
                _LOG.error(
                    "the fleet %r cannot be reached: on_outage=%r, as one of %d process(es)",
                    *(self._link.namespace, member.terms.on_outage, member.members),
                )

    # -- looks and end ----------------------------------------------------------------------------

    @property
    def coordination(self) -> Coordination:
        """With whom, and how."""
        return self._coordination

    def statistics(self) -> FleetStatistics:
        """How this process stands in the fleet."""
        member, now_s = self.member, self._host.clock.now()
        member.looked_at(now_s)
        seen = Seen(self._link.namespace, self._slowest_s, self._error)
        return fleet_statistics(member, self._demand(), seen, now_s)

    def close(self) -> None:
        """Give everything back, as soon as no call runs here any more."""
        self._closing = True
        self._bell.ring()
        if not self._started:
            return
        idle = not self._host.kernel.books.counters.running
        if idle and threading.current_thread() not in self._threads:
            self._threads[0].join(_LEAVE_S + self._coordination.lease_s / 5)

    def finish(self) -> bool:
        """Leave, if that was asked for and nobody runs here. Whether the thread may end."""
        if self._stopped:
            return True
        if not self._closing or self._host.kernel.books.counters.running:
            return False
        self._stopped = True
        try:
            if self.member.epoch:
                self._link.exchange(self.member.leaving())
        except Exception as error:  # noqa: BLE001 - whatever it is, this process ends
            _LOG.debug("the fleet was not told that this process leaves: %s", error)
        self._link.close()
        return True

    def pause_s(self) -> float:
        """Seconds until the next exchange may be made."""
        member = self.member
        return max(0.0, member.exchanged_s + member.gap_s - self._host.clock.now())

    def listens(self) -> tuple[Link, str] | None:
        """Where this process waits to be woken, and under which name; None once it closes."""
        return None if self._closing else (self._link, self.member.terms.name)


def _run(reference: weakref.ref[Exchanger], bell: Bell) -> None:
    pause = Bell()
    wait_s = 0.0
    while True:
        bell.wait(max(0.0, wait_s))
        own = reference()
        if own is None or own.finish():
            return
        pause_s = own.pause_s()
        if pause_s > 0:
            del own
            pause.wait(pause_s)
            own = reference()
            if own is None:
                return
        try:
            wait_s = own.step()
        except Exception as error:  # noqa: BLE001 - a bug of ours must not end the exchanges
            own.note(error)
            wait_s = 1.0
        orphaned = own.is_orphaned()
        del own
        if orphaned:  # the collector may have come by while this or the other thread held the core
            gc.collect()


def _listen(reference: weakref.ref[Exchanger], bell: Bell) -> None:
    """Wait to be woken. It holds no core while it waits, or none would ever be collected."""
    pause, link = Bell(), None
    while True:
        own = reference()
        where = None if own is None else own.listens()
        del own
        if where is None:
            break
        link, name = where
        try:
            if link.woken(name, _WAKE_S):
                bell.ring()
        except Unreachable:
            pause.wait(_RETRY_S)
    if link is not None:
        link.close_waker()


def _at_exit(reference: weakref.ref[Exchanger]) -> None:
    own = reference()
    if own is not None:
        own.close()

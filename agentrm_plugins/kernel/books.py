"""The kernel's books: all state that its parts share, and no behaviour.

Whoever changes them does so inside `Kernel.handle`; whoever asks changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.kernel.counters import Counters
from agentrm_plugins.kernel.gauges import Gauges
from agentrm_plugins.kernel.orders import make_scheduler
from agentrm_plugins.kernel.ticket import Alarms
from agentrm_plugins.policy.lanes import LanePool
from agentrm_plugins.policy.order.tenant_shares import DominantShares
from agentrm_plugins.policy.spending.ledgers import Ledgers

if TYPE_CHECKING:
    from agentrm_plugins.config import Config
    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.policy.endpoint.endpoint import Endpoint
    from agentrm_plugins.policy.order.protocols import Scheduler
    from agentrm_plugins.types.accounts import Account, Tenant
    from agentrm_plugins.types.effects import Effect

__all__ = ["Books"]


class Books:
    """The state of one core.

    Args:
        config: The configuration.
        now_s: The time at which it begins.
        scheduler: Another order than the configured one.

    `tickets` are all calls that are not over, by number, `out` the effects of this step. `failing`
    are endpoints that everybody is to be turned away from, `left` the calls of which a nested one
    has ended; both are seen to in `Kernel.dispatch`. `hedges` are the second attempts that wait,
    `at_work` the ticket that a step is being done to, `gauges` what only people read. `refusing`:
    a fleet cannot be reached, and nobody is to go without it.
    """

    __slots__ = (
        "accounts",
        "alarms",
        "at_work",
        "closed",
        "config",
        "counters",
        "endpoints",
        "failing",
        "gauges",
        "hedges",
        "ledgers",
        "left",
        "now_s",
        "out",
        "pool",
        "refusing",
        "scheduler",
        "seq",
        "shares",
        "tenants",
        "tickets",
        "zombies",
    )

    def __init__(self, config: Config, now_s: float, scheduler: Scheduler | None = None) -> None:
        self.config = config
        self.now_s = now_s
        self.pool = LanePool(config.lanes, config.groups)
        self.shares = DominantShares(config.lanes, config.scheduler.share_half_life_s)
        self.scheduler = scheduler or make_scheduler(config, self.shares)
        self.ledgers = Ledgers(config.budgets, config.shares)
        self.alarms = Alarms()
        self.tickets: dict[int, Ticket] = {}
        self.accounts: dict[tuple[str, str], Account] = {}
        self.tenants: dict[str, Tenant] = {}
        self.endpoints: dict[str, Endpoint] = {}
        self.counters = Counters()
        self.gauges = Gauges(now_s)
        self.closed = False
        self.refusing = False
        self.at_work = 0
        self.zombies = 0
        self.seq = 0
        self.out: list[Effect] = []
        self.failing: list[Endpoint] = []
        self.left: list[Ticket] = []
        self.hedges: dict[int, Ticket] = {}

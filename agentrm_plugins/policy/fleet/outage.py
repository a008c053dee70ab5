"""What a process may do without the fleet, by the rule that was chosen.

Law: with N processes, each uses ``outage_share / N`` of the rates and ``lanes // N`` of the lanes;
where there are fewer lanes than processes, the first ones have one each. So a fleet that is wholly
cut off stays within its limits. N and the rank are those of the last answer.

Regimes: calls that ran when the server fell silent go on. So for one lease more nobody uses more
places than it had then; who had more than its part gives up the rest as its calls end.

Limits: where only some are cut off, those use their parts beside what the others do; whoever cannot
have that takes "wait". A call that runs for longer than a lease may still run beside others' parts.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from agentrm_plugins.types.fleet import EndpointSupply, Supply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentrm_plugins.policy.fleet.terms import Terms
    from agentrm_plugins.types.fleet import Demand

__all__ = ["Outage"]


class Outage:
    """The rule at work, in one outage.

    Args:
        terms: What was configured.
    """

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._known: set[str] = set()
        self._grows_s: float | None = None
        self._grown = False

    def supply(
        self,
        demand: Demand,
        part: tuple[int, int],
        held: Mapping[str, int] | None,
        now_s: float,
    ) -> Supply | None:
        """What may be used now; None: nothing new.

        Args:
            demand: What the kernel wants.
            part: How many members there are, and which one this is, from 0.
            held: The places that it had by the last answer; None: it never had one.
            now_s: The time.
        """
        terms, first = self._terms, self._grows_s is None
        fresh = set(demand.endpoints) - self._known
        if self._grows_s is None:
            self._grows_s = now_s if held is None else now_s + terms.lease_s
        grows = not self._grown and now_s >= self._grows_s
        if not first and not grows and not fresh:
            return None
        if terms.on_outage != "share":
            refuse = terms.on_outage == "refuse"
            return Supply(set={}, void=True, refuse=refuse, lease_s=inf) if first else None
        self._known |= fresh
        self._grown = self._grown or grows
        share = terms.outage_share / part[0]
        endpoints = {
            name: EndpointSupply(
                version=demand.endpoints[name].version,
                share=share,
                places=_part(demand.endpoints[name].told.get("concurrency"), part),
            )
            for name in fresh
        }
        places = None
        if first or grows:
            limits = terms.limits.items()
            places = {k: _part(n, part) or 0 for k, n in limits if k == "l" or k.startswith("g:")}
            if not self._grown and held is not None:
                places = {key: min(n, held.get(key, 0)) for key, n in places.items()}
        return Supply(set=places, endpoints=endpoints, void=first, lease_s=inf)


def _part(limit: float | None, part: tuple[int, int]) -> int | None:
    if limit is None:
        return None
    members, rank = part
    return int(limit) // members or int(rank < limit)

"""Weighted dominant resource fairness over lanes and tokens (Ghodsi et al., NSDI 2011).

Law: ``share(t) = max(lanes_t / lanes, tokens_t / tokens) / weight_t``; the tenant with the smallest
goes first. `tokens` are those charged lately: each counts half after a half-life. All tenants'
tokens fade alike, so instead of fading the old ones the new ones are inflated by ``2 ** (now /
half_life)``: a charge touches one tenant only. Limits: the total moves every share a little;
`generation` says when it moved by a tenth, so whoever keeps shares sorted is at most that far off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentrm_plugins.types.accounts import Tenant

__all__ = ["DominantShares"]

_TOO_MANY_HALF_LIVES = 256.0
_DRIFT = 1.1
_GREAT = 0.1


class DominantShares:
    """The tenants' shares.

    Args:
        lanes: Lanes in all.
        half_life_s: Seconds after which a token counts half.
    """

    def __init__(self, lanes: int, half_life_s: float) -> None:
        self._lanes = lanes
        self._half_life_s = half_life_s
        self._origin_s = 0.0
        self._total = 0.0
        self._known: dict[str, Tenant] = {}
        self._next_generation = 0.0
        self.generation = 0

    def charge(self, tenant: Tenant, tokens: int, now_s: float) -> None:
        """The tenant used so many tokens now."""
        if tokens <= 0:
            return
        halvings = (now_s - self._origin_s) / self._half_life_s
        if halvings > _TOO_MANY_HALF_LIVES:
            self._rebase(halvings, now_s)
            halvings = 0.0
        self._known[tenant.name] = tenant
        inflated = tokens * 2.0**halvings
        tenant.recent_tokens += inflated
        self._total += inflated
        if self._total > self._next_generation:
            self._next_generation = self._total * _DRIFT
            self.generation += 1

    def _rebase(self, halvings: float, now_s: float) -> None:
        """Start the units anew, before they outgrow a float."""
        scale = 2.0 ** -min(halvings, 1000.0)
        for tenant in self._known.values():
            tenant.recent_tokens *= scale
        self._total = sum(tenant.recent_tokens for tenant in self._known.values())
        self._next_generation = 0.0
        self._origin_s = now_s

    def forget(self, tenant: Tenant) -> None:
        """The tenant is gone; what it used no longer counts."""
        if self._known.pop(tenant.name, None) is not None:
            if tenant.recent_tokens > _GREAT * self._total:  # A difference would be imprecise.
                self._total = sum(other.recent_tokens for other in self._known.values())
            else:
                self._total -= tenant.recent_tokens
            self._next_generation = self._total * _DRIFT
            self.generation += 1

    def dump(self) -> list[Any]:
        """The state beside the tenants' own, for `load`."""
        return [self._origin_s, self._total, self._next_generation, list(self._known)]

    def load(self, state: list[Any], tenants: Mapping[str, Tenant]) -> None:
        """Go on from what `dump` gave."""
        self._origin_s, self._total, self._next_generation, names = state
        self._known = {name: tenants[name] for name in names}

    def resize(self, lanes: int) -> None:
        """So many lanes from now on; every share is another."""
        self._lanes = lanes
        self.generation += 1

    def share(self, tenant: Tenant) -> float:
        """The weighted dominant share: 0 for a tenant that uses nothing, else more than 0."""
        lanes = tenant.lanes / self._lanes
        tokens = tenant.recent_tokens / self._total if self._total else 0.0
        return max(lanes, tokens) / tenant.weight

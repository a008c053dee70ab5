"""What a kernel tells of itself to whoever shares its limits with other processes, and is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = [
    "Ask",
    "Demand",
    "EndpointDemand",
    "EndpointSupply",
    "Recall",
    "Sight",
    "Supply",
    "TallyDemand",
    "TallySupply",
]

_NOTHING: Mapping[str, Any] = {}


class Ask(NamedTuple):
    """A waiting call: its level (0 at the top), since when it is its turn, what it needs.

    `since_s` is that of a plain call with the same claim, but for `oldest`, where it is the time
    itself.

    `places` are "l" for a lane in all, "g:name" for one of a group, "c:endpoint" for a place
    there. `oldest` marks the call whose agent has waited longest.
    """

    level: int
    since_s: float
    places: tuple[str, ...]
    endpoint: str | None
    amounts: Mapping[str, float]
    oldest: bool = False


class EndpointDemand(NamedTuple):
    """One endpoint: what is in hand, and what was seen since the beginning.

    `hand` are amounts not yet used, `returned` those given back so far. `seen` are totals that only
    grow: sent and given back of each resource, calls sent, ended well, failed. `events` are the
    refusals, failures and reports, each with its number. `said` is what is configured of it here.
    """

    running: int
    hand: Mapping[str, float]
    returned: Mapping[str, float]
    seen: Mapping[str, Any]
    events: tuple[tuple[int, Mapping[str, Any]], ...]
    told: Mapping[str, Any]
    version: float
    said: Mapping[str, float] = _NOTHING


class TallyDemand(NamedTuple):
    """A sum that all processes spend of: a budget, a share of a rate, an agent, a tenant.

    `own` is what this one has spent since the sum was begun here, as its `number`th; `history`
    whether what others spent before that counts too, as far as it is not older than the window.
    One that is `soft` is told of less often. `mark` is the number of the last reservation.
    """

    number: int
    own: float
    reserved: float = 0.0
    window_s: float | None = None
    history: bool = True
    soft: bool = False
    mark: int = 0


class TallySupply(NamedTuple):
    """What others have spent `more` of a sum since they were heard of, and have `reserved` now.

    Of reservations of this process all up to that of the number `heard` are counted by the others.
    """

    number: int
    more: float
    reserved: float
    heard: int = 0


class Demand(NamedTuple):
    """All that an exchange needs to know of a kernel; to ask for it changes nothing.

    `use` and `have` are places in use and places that may be used, `busy` lanes at work by group.
    """

    at_s: float
    asks: tuple[Ask, ...]
    waiting: int
    use: Mapping[str, int]
    have: Mapping[str, int]
    busy: Mapping[str, int]
    endpoints: Mapping[str, EndpointDemand]
    granted: Mapping[str, int]
    tallies: Mapping[str, TallyDemand] = _NOTHING


class EndpointSupply(NamedTuple):
    """What an endpoint of this process may do.

    `add` are amounts more to use, `told` what the fleet knows of it (None: nothing new), `closed_s`
    for how long it is closed, `probe` whether one call may test it. `share` is the part of its rate
    that is used without the fleet; None while there is one.
    """

    add: Mapping[str, float] = _NOTHING
    told: Mapping[str, Any] | None = None
    version: float = 0.0
    closed_s: float = 0.0
    probe: bool = False
    share: float | None = None
    places: int | None = None


class Supply(NamedTuple):
    """A coordinator says what this kernel may use from now on.

    `change` are places more or less, `set` places as they are now (after joining, or alone); where
    that is less than runs, the `lost` calls are given up. Until `lease_s` all of it holds. From
    `slice_s` on a lane that becomes free is withheld, for others wait. `busy` says how many calls
    of others are at work, by group; None: nobody knows. `refuse`: whoever waits or comes is told
    that the fleet cannot be reached. `members` share; 0: nobody can be asked. `marks` are those of
    budgets and shares of which another process was told less; None: as before.
    """

    change: Mapping[str, int] = _NOTHING
    set: Mapping[str, int] | None = None
    endpoints: Mapping[str, EndpointSupply] = _NOTHING
    lost: Mapping[str, int] = _NOTHING
    void: bool = False
    lease_s: float = float("inf")
    slice_s: float = float("inf")
    busy: Mapping[str, int] | None = None
    relief: bool = False
    refuse: bool = False
    members: int = 0
    tallies: Mapping[str, TallySupply] = _NOTHING
    marks: Mapping[str, float] | None = None


class Recall(NamedTuple):
    """A coordinator takes back what is idle: places, and amounts by endpoint, as far as there."""

    places: Mapping[str, int]
    amounts: Mapping[str, Mapping[str, float]]


class Sight(NamedTuple):
    """What there is to see: calls that wait, lanes withheld so far, whether a lane is idle.

    `reserving` counts what others are to hear of budgets at once: calls that wait for that.
    """

    waiting: int
    withheld: int
    idle: bool
    reserving: int = 0

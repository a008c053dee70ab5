"""An endpoint as a plain value and back: what JSON has, without infinity.

For whoever keeps what was learnt of an endpoint, or shares it between processes. A number, a word,
a truth value or None stands for itself, a list for a list. All else is a list that begins with a
mark: ``["~", "never"]`` is infinity, ``["~", "deque", 64, ...]`` a deque of at most 64, ``["~",
"Bucket", ...]`` an object with its attributes in the order of their names. Only the classes named
here are known: a state that was tampered with can make no others. The configuration is not part of
it: whoever restores an endpoint has that.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict, deque
from enum import Enum
from math import inf, isfinite
from typing import TYPE_CHECKING, Any

from agentrm_plugins.errors import KernelBug
from agentrm_plugins.policy.bucket import Bucket
from agentrm_plugins.policy.endpoint.amounts import OutputEstimator, Sent
from agentrm_plugins.policy.endpoint.blame import Blame
from agentrm_plugins.policy.endpoint.breaker import Breaker, BreakerState
from agentrm_plugins.policy.endpoint.concurrency import ConcurrencyController
from agentrm_plugins.policy.endpoint.doubt import Doubt
from agentrm_plugins.policy.endpoint.hedge_tally import HedgeTally
from agentrm_plugins.policy.endpoint.hedging import Hedging
from agentrm_plugins.policy.endpoint.lateness import LatencySketch, Lateness
from agentrm_plugins.policy.endpoint.long_waits import LongWait
from agentrm_plugins.policy.endpoint.meter import Meter
from agentrm_plugins.policy.endpoint.minute_log import MinuteLog
from agentrm_plugins.policy.endpoint.mirror import Mirror
from agentrm_plugins.policy.endpoint.rate_search import RateController, RateSettings
from agentrm_plugins.policy.endpoint.refill import Refill, RefillEstimator
from agentrm_plugins.policy.endpoint.refunds import Refunds
from agentrm_plugins.policy.endpoint.reopening import Reopening
from agentrm_plugins.policy.endpoint.reset_shape import ResetShape
from agentrm_plugins.policy.endpoint.reset_word import Moment, Promise, ResetWord
from agentrm_plugins.policy.endpoint.resets import Resets
from agentrm_plugins.policy.endpoint.retry_after import RetryAfter
from agentrm_plugins.policy.endpoint.returns import Returns
from agentrm_plugins.policy.endpoint.room import Room
from agentrm_plugins.policy.endpoint.rounds import Rounds
from agentrm_plugins.policy.endpoint.silence import Silence
from agentrm_plugins.policy.endpoint.steps import Steps
from agentrm_plugins.policy.endpoint.window_watch import Shape, WindowWatch
from agentrm_plugins.types.accounts import Recent

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentrm_plugins.policy.endpoint.endpoint import Endpoint

__all__ = ["dump_endpoint", "from_plain", "load_endpoint", "to_plain"]

_MARK = "~"
_NUMBERS = {"never": inf, "ever": -inf}
_ENUMS: dict[str, type[Enum]] = {kind.__name__: kind for kind in (BreakerState, Moment, Shape)}
_TUPLES: dict[str, Callable[..., Any]] = {
    **{kind.__name__: kind for kind in (Sent, Refill)},
    "array": lambda *numbers: array("d", numbers),
}
_OBJECTS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        *(Blame, Breaker, Bucket, ConcurrencyController, LatencySketch, Meter),
        *(
            Mirror,
            OutputEstimator,
            RateController,
            RateSettings,
            Recent,
            RefillEstimator,
            Refunds,
            Reopening,
            MinuteLog,
            Resets,
            ResetShape,
            ResetWord,
            Promise,
            RetryAfter,
            Returns,
            Room,
            Rounds,
            Silence,
            Steps,
            WindowWatch,
            Doubt,
            HedgeTally,
            Hedging,
            Lateness,
            LongWait,
        ),
    )
}

_ATTRIBUTES: dict[type[Any], list[str]] = {
    kind: sorted({name for one in kind.__mro__ for name in getattr(one, "__slots__", ())})
    for kind in _OBJECTS.values()
}
"""The names of their slots, those of the classes that they derive from as well."""
_PLAIN = frozenset((bool, int, str))
# By whoever has the endpoint; and the last two are for people, and begin afresh.
_KEPT = frozenset(("calls", "config", "name", "news", "price", "recent", "waits"))


def dump_endpoint(endpoint: Endpoint) -> dict[str, Any]:
    """What is known of the endpoint, its calls in flight included."""
    names = (name for name in endpoint.__slots__ if name not in _KEPT)
    return {name: to_plain(getattr(endpoint, name)) for name in names}


def load_endpoint(endpoint: Endpoint, state: dict[str, Any]) -> None:
    """Let an endpoint that was just made, with the same configuration, go on from there."""
    for name, value in state.items():
        setattr(endpoint, name, from_plain(value))
    endpoint.news.clear()  # What the user said of it has been told.


def to_plain(value: Any) -> Any:
    """The value as JSON has it.

    Raises:
        KernelBug: It holds something that is not known here.
    """
    kind = value.__class__
    if kind is float:
        if isfinite(value):
            return value
        return [_MARK, "never" if value > 0 else "ever"]
    if value is None or kind in _PLAIN:
        return value
    name = kind.__name__
    if kind is list:
        return [to_plain(item) for item in value]
    if kind is deque:
        return [_MARK, name, value.maxlen, *map(to_plain, value)]
    if kind in {dict, OrderedDict}:
        return [_MARK, name, *([to_plain(key), to_plain(item)] for key, item in value.items())]
    if _ENUMS.get(name) is kind:
        return [_MARK, name, value.value]
    if kind in {tuple, array} or _TUPLES.get(name) is kind:
        return [_MARK, name, *map(to_plain, value)]
    if _OBJECTS.get(name) is kind:
        return [
            _MARK,
            name,
            *(to_plain(getattr(value, slot)) for slot in _ATTRIBUTES[value.__class__]),
        ]
    raise KernelBug(f"a {name} cannot be dumped: {value!r}")


def from_plain(value: Any) -> Any:
    """The value that `to_plain` was given.

    Raises:
        KernelBug: It names something that is not known here.
    """
    if not isinstance(value, list):
        return value
    if not value or value[0] != _MARK:
        return [from_plain(item) for item in value]
    name, *rest = value[1:]
    if name in _NUMBERS:
        return _NUMBERS[name]
    if name == "deque":
        return deque(map(from_plain, rest[1:]), maxlen=rest[0])
    if name in {"dict", "OrderedDict"}:
        pairs = ((from_plain(key), from_plain(item)) for key, item in rest)
        return OrderedDict(pairs) if name == "OrderedDict" else dict(pairs)
    if name in _ENUMS:
        return _ENUMS[name](rest[0])
    if name == "tuple":
        return tuple(map(from_plain, rest))
    if name in _TUPLES:
        return _TUPLES[name](*map(from_plain, rest))
    if name in _OBJECTS:
        return _object(_OBJECTS[name], rest)
    raise KernelBug(f"no {name!r} can be loaded")


def _object(kind: type[Any], values: list[Any]) -> Any:
    made = object.__new__(kind)
    for name, value in zip(_ATTRIBUTES[kind], values, strict=True):
        object.__setattr__(made, name, from_plain(value))  # RateSettings are frozen
    return made

"""Randomness that depends on what is asked and never on the order of arrival.

Every draw is a hash of (seed, what it is for, who asks what). So two runs with the same seed and
the same requests meet the same lengths, latencies and faults, whatever the threads, the retries
and the order in which a manager lets the requests out.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from math import exp, inf, isfinite, log
from statistics import NormalDist
from typing import Literal

from agentrm_plugins.errors import ConfigError

__all__ = ["Distribution", "as_distribution", "digest", "unit"]

_NORMAL = NormalDist()
_SPAN = float(1 << 64)


def digest(*parts: object) -> bytes:
    """Sixteen bytes that depend on all the parts."""
    state = blake2b(digest_size=16)
    for part in parts:
        state.update(part if isinstance(part, bytes) else str(part).encode())
        state.update(b"\0")
    return state.digest()


def unit(*parts: object) -> float:
    """A number in the open interval (0, 1) that depends on all the parts."""
    return (int.from_bytes(digest(*parts)[:8], "big") + 0.5) / _SPAN


@dataclass(frozen=True, slots=True)
class Distribution:
    """A non-negative random quantity. Use the constructors by name.

    `cap` cuts the upper tail. The unit is that of the field it is given to.
    """

    kind: Literal["constant", "uniform", "lognormal", "exponential"]
    a: float
    b: float = 0.0
    cap: float = inf

    def __post_init__(self) -> None:
        if not (isfinite(self.a) and self.a >= 0):
            raise ConfigError(f"Distribution.{self.kind}", self.a, "give a finite number >= 0")
        if not (isfinite(self.b) and self.b >= 0):
            raise ConfigError(f"Distribution.{self.kind}", self.b, "give a finite number >= 0")
        if self.kind == "uniform" and self.b < self.a:
            raise ConfigError("Distribution.uniform", (self.a, self.b), "give the lower end first")
        if self.kind == "lognormal" and self.a == 0:
            raise ConfigError("Distribution.lognormal", self.a, "the median must be above 0")
        if not self.cap > 0:
            raise ConfigError("Distribution.cap", self.cap, "give a number above 0")

    @classmethod
    def constant(cls, value: float) -> Distribution:
        """Always this value."""
        return cls("constant", value)

    @classmethod
    def uniform(cls, low: float, high: float) -> Distribution:
        """Anything between the two, evenly."""
        return cls("uniform", low, high)

    @classmethod
    def lognormal(cls, median: float, sigma: float, *, cap: float = inf) -> Distribution:
        """The usual shape of latencies and lengths; `sigma` is that of the logarithm."""
        return cls("lognormal", median, sigma, cap)

    @classmethod
    def exponential(cls, mean: float, *, cap: float = inf) -> Distribution:
        """Memoryless, with this mean."""
        return cls("exponential", mean, 0.0, cap)

    def at(self, u: float) -> float:
        """The value at the quantile `u`, 0 < u < 1."""
        if self.kind == "constant":
            value = self.a
        elif self.kind == "uniform":
            value = self.a + (self.b - self.a) * u
        elif self.kind == "lognormal":
            value = self.a * exp(self.b * _NORMAL.inv_cdf(u)) if self.b else self.a
        else:
            value = -self.a * log(1.0 - u)
        return min(value, self.cap)


def as_distribution(field: str, value: object) -> Distribution:
    """Read a field that takes a plain number or a `Distribution`."""
    if isinstance(value, Distribution):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(field, value, "give a number or a Distribution")
    if not (isfinite(value) and value >= 0):
        raise ConfigError(field, value, "give a finite number >= 0")
    return Distribution.constant(float(value))

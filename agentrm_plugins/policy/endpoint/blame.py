"""Which limit refused a call: what a 429 is laid at the door of.

Law: the resource that the server names; else those that its own figures show as empty; else those
that our account of a limit named by the server shows as used up; else the one that came nearest to
its limit since the last cut; all that are in question where that is not known. A refusal of a call
that was sent before the last cut is the same trouble as that.

Limits: shares of use that are close to each other cannot be told apart, so both are cut.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, NamedTuple

from agentrm_plugins.policy.endpoint.long_waits import LONG_S
from agentrm_plugins.policy.endpoint.retry_after import PROBE_S
from agentrm_plugins.types.verdicts import RESOURCES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentrm_plugins.policy.endpoint.amounts import Sent
    from agentrm_plugins.policy.endpoint.meter import Meter
    from agentrm_plugins.types.verdicts import LimitReport, ServerLimit

__all__ = ["Blame", "Closure", "closure_of", "known_limit_per_s"]

_NEAR = 0.8  # guessed: shares of use closer than this cannot be told apart
_LEAST_LOOK_S = 1.0  # guessed
_IN_USE = 0.5  # guessed: a limit of which less was used is not the one that refused


class Blame:
    """What was used of each resource since the last cut, and whom that cut was blamed on.

    Args:
        now_s: When it begins.
    """

    __slots__ = ("_began_s", "_cut_s", "_from", "_last")

    def __init__(self, now_s: float) -> None:
        self._began_s = now_s
        self._cut_s = -inf
        self._last: list[str] = []
        self._from = dict.fromkeys(RESOURCES, 0.0)

    def lay(
        self,
        report: LimitReport,
        said: Mapping[str, ServerLimit],
        sent: Sent,
        meters: Mapping[str, Meter],
        now_s: float,
    ) -> list[str]:
        """The call that was `sent` was refused: tell the meters; gives those that were cut.

        `said` are the limits that the report names.
        """
        named = report.resource
        if report.worded is not None and report.worded.per_s is None:
            named = "requests"
        cut: list[str] = []
        blamed = [named] if named is not None else self.of(said, sent, meters, now_s)
        for resource, meter in meters.items():
            amount = sent.amounts[resource]
            if resource not in blamed:
                rate = meter.controller  # as its `taken_back`, without a call
                if sent.at_s > rate.cut_s:
                    rate.base += amount
            elif meter.refused(amount, said.get(resource), report.retry_after_s, sent.at_s, now_s):
                cut.append(resource)
        if cut:
            self.cut(blamed, meters, now_s)
        return cut

    def of(
        self,
        said: Mapping[str, ServerLimit],
        sent: Sent,
        meters: Mapping[str, Meter],
        now_s: float,
    ) -> list[str]:
        """The resources that refused the call that was `sent`, where no text names one."""
        empty = [
            resource
            for resource, limit in said.items()
            if limit.remaining is not None and limit.remaining < sent.amounts[resource]
        ]
        return (
            empty
            or [name for name, meter in meters.items() if meter.is_out(sent.amounts[name], now_s)]
            or self._most_used(sent.at_s, meters, now_s)
        )

    def taken_back(self, sent: Sent) -> None:
        """A call was refused: it used nothing."""
        if sent.at_s > self._cut_s:
            for resource, amount in sent.amounts.items():
                self._from[resource] += amount

    def cut(self, blamed: list[str], meters: Mapping[str, Meter], now_s: float) -> None:
        """These were cut: what is used counts from here."""
        self._last = blamed
        self._cut_s = now_s
        for name, meter in meters.items():
            self._from[name] = meter.controller.total

    def _most_used(self, sent_s: float, meters: Mapping[str, Meter], now_s: float) -> list[str]:
        """The server does not say: which of requests and tokens came near to its limit lately?"""
        if sent_s <= self._cut_s:
            return self._last
        seconds = max(now_s - max(self._cut_s, self._began_s), 1e-3)
        use = {
            name: (meter.controller.total - self._from[name]) / seconds / limit
            for name, meter in meters.items()
            if (limit := meter.controller.limit_per_s)
        }
        unknown = [] if "requests" in use else ["requests"]
        if not any(name in use for name in RESOURCES[1:]):
            unknown.append("tokens")
        if unknown:  # it is one of these, or one that is known and was really in use
            return unknown + [name for name, share in use.items() if share >= _IN_USE]
        most = max(use.values())
        if most <= 0 and self._last:
            return self._last  # nothing went through since: it is the same trouble
        return [resource for resource, share in use.items() if share >= _NEAR * most]


class Closure(NamedTuple):
    """Seconds for which an endpoint closes (None: for a back-off), and until one call looks."""

    seconds: float | None
    look_s: float = PROBE_S


def closure_of(
    report: LimitReport, said: Mapping[str, ServerLimit], sent: Sent, meters: Mapping[str, Meter]
) -> Closure | None:
    """For how long a refusal closes the endpoint by its word; None: it does not.

    Without a wait, what is left is held against a call of usual size: a large one closes it for
    nobody else. Of a bucket, which names when it is full, so much is there as soon as that has
    flowed in; where nothing has shown one, a call looks by then whether it is.
    """
    if report.retry_after_s is not None:
        return Closure(report.retry_after_s)
    longest_s, look_s = 0.0, PROBE_S
    for resource, limit in said.items():
        meter, left = meters[resource], limit.remaining
        if not limit.limit or left is None or limit.reset_s is None:
            continue  # gateways say 0 of 0 where they know of no limit
        if limit.per_s is not None or meter.is_long:
            continue
        need = min(sent.amounts[resource], meter.usual)
        if limit.reset_s > LONG_S and left < need:
            part = (need - left) / (limit.limit - left) if need < limit.limit else 1.0
            soon_s = part * limit.reset_s
            seconds = soon_s if meter.flows else limit.reset_s
            if seconds > longest_s:
                longest_s, look_s = seconds, min(PROBE_S, max(_LEAST_LOOK_S, soon_s))
    return Closure(longest_s, look_s) if longest_s else None


def known_limit_per_s(meters: Mapping[str, Meter], resource: str) -> float | None:
    """What is known of a limit; of tokens, input's and output's where they are apart."""
    limit = meters[resource].controller.limit_per_s
    if limit is None and resource == "tokens":
        parts = [meters[name].controller.limit_per_s for name in ("input_tokens", "output_tokens")]
        known = [part for part in parts if part is not None]
        limit = sum(known) if len(known) == len(parts) else None
    return None if limit is None or limit == inf else limit

"""One endpoint: what is known of a provider's model under one key, and whether a call may go now.

Three layers: the kernel's registry of endpoints, this, and below it one meter for each limited
resource. Beside the meters stand the time that the server asked for (`retry_after`), the circuit
breaker, the limit of calls in flight, and what is learnt of times and of outputs.

Law: a call may go when the breaker and the server let it, a place is free, and each meter holds its
amount. To ask (`wait`) changes nothing: that somebody is held up is told by `held_up`, that time
has passed by `advance`. What a refusal is laid at the door of says `blame`.

What changed and is to be told to others is put into `news`; whoever tells it empties it.
"""

from __future__ import annotations

from itertools import repeat
from math import inf
from typing import TYPE_CHECKING

from agentrm_plugins.config.endpoints import BreakerConfig, EndpointConfig
from agentrm_plugins.policy.endpoint import silent
from agentrm_plugins.policy.endpoint.amounts import (
    REFUSED,
    Change,
    OutputEstimator,
    Sent,
    Wait,
    need_of,
    used_of,
)
from agentrm_plugins.policy.endpoint.blame import Blame, Closure, closure_of, known_limit_per_s
from agentrm_plugins.policy.endpoint.breaker import BreakerState, breaker_of
from agentrm_plugins.policy.endpoint.concurrency import ConcurrencyController
from agentrm_plugins.policy.endpoint.doubt import Doubt, below
from agentrm_plugins.policy.endpoint.hedging import Hedging
from agentrm_plugins.policy.endpoint.lateness import Lateness
from agentrm_plugins.policy.endpoint.meters import give_back, learn, meters_of, renewed, tried
from agentrm_plugins.policy.endpoint.rate_search import MEMORY, Source
from agentrm_plugins.policy.endpoint.retry_after import RetryAfter
from agentrm_plugins.policy.endpoint.silence import Silence
from agentrm_plugins.types.accounts import Recent
from agentrm_plugins.types.histogram import Histogram
from agentrm_plugins.types.verdicts import RESOURCES, Kind, LimitReport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentrm_plugins.config.endpoints import Price
    from agentrm_plugins.types.calls import Call, Usage
    from agentrm_plugins.types.verdicts import Verdict

__all__ = ["Endpoint"]

_LATER_S = 1.0  # guessed: nobody plans on less
_SILENT, _GO = LimitReport(), Wait(0.0, "")
_UNKNOWN, _USUAL = EndpointConfig(), BreakerConfig()


class Endpoint:
    """The state of one provider's model under one key.

    Args:
        name: "host/model#fingerprint".
        config: What the user says of it.
        now_s: When it is first seen.
        breaker: When it counts as dead.
        first: The core's lanes: so many calls go at once while nothing is known of its limits.
        price: What its model costs, if the user said so.

    `calls` says how many tickets may still need it, `in_flight` what runs, and `heard` whether the
    server ever said a word, if only to refuse.
    """

    __slots__ = (
        *("name", "config", "price", "meters", "blame", "retry_after", "breaker", "concurrency"),
        *("outputs", "doubt", "times", "hedging", "in_flight", "news", "calls", "idle_since_s"),
        *("heard", "sent_calls", "limit_hits", "failures", "requeues", "cost", "waits", "recent"),
        *("silence", "_answered_s", "_foreign_calls", "_spoke_s", "_told_s"),
    )

    def __init__(
        self,
        name: str,
        config: EndpointConfig = _UNKNOWN,
        now_s: float = 0.0,
        *,
        breaker: BreakerConfig = _USUAL,
        first: float = 1.0,
        price: Price | None = None,
    ) -> None:
        self.name = name
        self.config = config
        self.price = price
        self.meters = meters_of(config, first, now_s)
        self.blame = Blame(now_s)
        self.retry_after = RetryAfter()
        self.silence = Silence()
        self.breaker = breaker_of(breaker)
        self.concurrency = ConcurrencyController(told=config.concurrency)
        self.outputs = OutputEstimator()
        self.doubt = Doubt()
        self.times = Lateness()
        self.hedging = Hedging(max(1.0, first / 2))
        self.in_flight: dict[int, Sent] = {}
        self.heard = False
        self.news: list[Change] = []
        self.calls = 0
        self.idle_since_s = now_s
        self.sent_calls = self.limit_hits = self.failures = self.requeues = 0
        self.cost = 0.0
        self.waits = Histogram()
        self.recent = Recent()
        self._answered_s, self._spoke_s = -inf, inf
        self._told_s = -inf
        self._foreign_calls = 0
        told = (name for name, meter in self.meters.items() if meter.controller.limit_per_s)
        self.news.extend(Change(resource, "told") for resource in told)

    def reconfigure(self, config: EndpointConfig, first: float, now_s: float) -> None:
        """The user says something else of it: limits that changed begin anew, as full as before."""
        old, self.config = self.config, config
        fresh = renewed(self.meters, old, config, first, now_s)
        self.meters.update(fresh)
        self.silence = Silence() if fresh else self.silence  # else it would rule before these
        self.news.extend(Change(resource, "told") for resource in fresh)
        if config.concurrency != old.concurrency:
            self.concurrency = ConcurrencyController(told=config.concurrency)

    def need(self, call: Call) -> dict[str, float]:
        """What the call will probably take of each resource."""
        return need_of(call, self.config, self.outputs)

    def too_large(self, amounts: Mapping[str, float], now_s: float = -inf) -> str | None:
        """The resource of which a call takes more than there ever is; None if it fits.

        Or if it may go all the same, to find out whether the server's word holds.
        """
        for resource, meter in self.meters.items():
            if amounts[resource] > meter.most and not (
                meter.controller.source is Source.SERVER and self.doubt.may_try(resource, now_s)
            ):
                return resource
        return None

    def wait(self, amounts: Mapping[str, float], now_s: float) -> Wait:
        """How long a call of `amounts` must wait now, and for what."""
        closed = self.breaker.state is not BreakerState.CLOSED
        if closed and (wait_s := self.breaker.time_until(now_s)) > 0:
            return Wait(wait_s, "breaker")
        if self.retry_after.ever and (wait_s := self.retry_after.time_until(now_s)) > 0:
            return Wait(wait_s, "closed")
        if len(self.in_flight) >= self.concurrency.limit:
            return Wait(inf, "concurrency")
        if self.silence.governs:
            return Wait(self.silence.wait_s(now_s), "requests")
        longest = _GO
        for resource, meter in self.meters.items():
            if meter.bucket is None:
                continue
            if amounts[resource] > meter.most:  # a trial, or one that waits for what becomes of it
                wait_s = self.doubt.wait_s(resource, now_s)
            else:
                wait_s = meter.wait_s(amounts[resource], now_s)
            if wait_s > longest.seconds:
                longest = Wait(wait_s, resource)
        return longest

    def next_s(self) -> float:
        """When `advance` may change something."""
        return min([m.controller.next_s() for m in self.meters.values() if m.bucket], default=inf)

    def is_down(self, now_s: float) -> bool:
        """Whether calls to it fail fast."""
        return self.breaker.state is BreakerState.OPEN and self.breaker.time_until(now_s) > 0

    def limit_per_s(self, resource: str) -> float | None:
        """What is known of a limit; of tokens, input's and output's where they are apart."""
        return known_limit_per_s(self.meters, resource)

    # -- time, and who waits -------------------------------------------------------------------

    def advance(self, now_s: float) -> None:
        """Let time pass: rates may grow."""
        for resource, meter in self.meters.items():
            if meter.bucket is None or now_s < meter.controller.interval_end_s:
                continue
            if meter.controller.advance(now_s):
                meter.apply(now_s)
                self.news.append(Change(resource, "grown"))

    def held_up(self, amounts: Mapping[str, float], wait: Wait, now_s: float) -> None:
        """A call of `amounts` waits for what `wait` says: that limit is the one that binds."""
        if wait.cause == "concurrency":
            self.concurrency.held_back()
        elif wait.cause == "closed" or self.silence.governs:
            for meter in self.meters.values():
                meter.controller.crowded = True  # as its `stopped`, without a call
        elif wait.cause in self.meters:
            for resource, meter in self.meters.items():
                binds = resource == wait.cause and amounts[resource] <= meter.most  # as was found
                if meter.bucket and (binds or meter.wait_s(amounts[resource], now_s) > 0):
                    meter.held_back(amounts[resource], now_s)

    # -- a call goes ----------------------------------------------------------------------------

    def sent(
        self,
        number: int,
        amounts: Mapping[str, float],
        now_s: float,
        *,
        at_s: float | None = None,
        foreign: bool = False,
    ) -> None:
        """A call goes, or is heard of now that went `at_s`.

        A foreign one is none of ours: it never is the probe, and of those only errors are heard,
        so the breaker does not count them.
        """
        for resource, meter in self.meters.items():
            amount = amounts[resource]
            if meter.bucket is None:
                rate = meter.controller  # as its `sent`, without a call: nothing waits for it
                rate.total += amount
                rate.mean += (amount - rate.mean) * (MEMORY if rate.mean else 1.0)
                continue
            waits_long = meter.long.since_s < inf and not foreign
            if amount > meter.most or (waits_long and meter.probes(amount, now_s)):
                self.doubt.sent(resource, number)
            meter.sent(amount, now_s)
        self.in_flight[number] = Sent(amounts, now_s if at_s is None else min(at_s, now_s), foreign)
        if foreign:
            return
        self.sent_calls += 1
        if self.silence.awake and self.silence.sent(number, now_s):
            self.news += silent.found(self.meters, self.silence, now_s)
        if self.retry_after.drips:
            meters = self.meters.items()
            gap_s = max(meter.gap_s(amounts[name], now_s) for name, meter in meters)
            self.retry_after.sent(gap_s, now_s)
        if self.breaker.state is not BreakerState.CLOSED:
            before = self.breaker.state
            self.breaker.sent(number, now_s)
            self._broken(before)

    def answered(self, number: int, usage: Usage | None, agent: str, now_s: float) -> None:
        """A call ended well."""
        self.ended(number, used_of(usage, self.config), now_s)
        if self.silence.governs and self.silence.accepted(number, now_s):
            self.news += silent.found(self.meters, self.silence, now_s)
        if usage is not None and (usage.input_tokens or usage.output_tokens):
            used = usage.input_tokens, usage.output_tokens, usage.cached_input_tokens
            self.outputs.used(agent, *used)

    def given_up(self, number: int, usage: Usage | None, now_s: float) -> None:
        """A call was cancelled, or met an error that is not the endpoint's fault."""
        self.ended(number, used_of(usage, self.config), now_s, failed=None)

    def reaped(self, number: int, now_s: float) -> None:
        """A call passed a limit that was configured: what it took counts as used."""
        self.failures += 1
        self.ended(number, None, now_s, failed=True, hung=True)

    def failed(
        self, number: int, verdict: Verdict, report: LimitReport | None, now_s: float
    ) -> None:
        """A call met an error that may be cured."""
        said = report or _SILENT
        if verdict.kind is Kind.LIMIT:
            self.limit_hits += 1
            self.heard = True
            self.refused(number, said, now_s)
            return
        self.failures += 1
        self.heard = self.heard or silent.is_word(verdict)
        if verdict.kind is Kind.OVERLOADED:
            self.overloaded(number, said, now_s)
        else:  # Where nobody listens yet, each call finds that out within milliseconds.
            absent = verdict.why == "unconnected" and not self.heard
            self.ended(number, REFUSED, now_s, failed=None if absent else True)

    def foreign(
        self, verdict: Verdict, report: LimitReport, sent_s: float | None, now_s: float
    ) -> None:
        """A request that is none of ours met an error: for the limits, not for the breaker."""
        number = self._foreign_calls = self._foreign_calls - 1
        self.sent(number, REFUSED, now_s, at_s=sent_s, foreign=True)
        self.failed(number, verdict, report, now_s)

    def reported(self, report: LimitReport, now_s: float, sent_s: float | None = None) -> None:
        """The server named its limits, answering a request that went at `sent_s` (None: now)."""
        if not self.config.learn:
            return
        went_s = now_s if sent_s is None else min(sent_s, now_s)
        if report.requests is not None:
            report = silent.in_words(report, self.meters)
        if self.silence.awake or report.worded is not None:
            self.news += silent.spoken(self.silence, self.meters, report, self._spoke_s, now_s)
        news = learn(self.meters, report, self.in_flight.values(), went_s, now_s)
        self.news.extend(map(Change, news, repeat("learnt")))

    def refused(self, number: int, report: LimitReport, now_s: float) -> list[str]:
        """The server refused a call for its limits (429); gives the resources that were cut.

        What it said of the limits themselves is for `reported`.
        """
        sent = self._back(number, now_s)
        if sent is None:
            return []
        report = report if report.requests is None else silent.in_words(report, self.meters)
        said = report.limits()
        if said or self.doubt.under_way:
            for resource in {*self.doubt.of(number), *below(said, sent.amounts)}:
                self.doubt.refused(resource, now_s)  # It says so, and means it.
        refusal = silent.Refusal(number, sent.at_s, len(self.in_flight), self._spoke_s)
        known, news = silent.explained(self.silence, self.meters, report, said, refusal, now_s)
        self.news += news
        cut = [] if known else self.blame.lay(report, said, sent, self.meters, now_s)
        if cut and report.worded is not None:
            silent.keep_word(self.silence, report.worded, self.meters, now_s)
        self.news.extend(map(Change, cut, repeat("cut")))
        told = said or report.retry_after_s is not None
        if told and (closure := closure_of(report, said, sent, self.meters)):
            self._close(closure, now_s)
        self._ended(number, now_s, failed=False)
        return cut

    def overloaded(self, number: int, report: LimitReport, now_s: float) -> bool:
        """The server had no room (503, 529). Says whether that cut the concurrency limit."""
        sent = self._back(number, now_s)
        if sent is None:
            return False
        for resource in RESOURCES:
            self.meters[resource].controller.taken_back(sent.amounts[resource], sent.at_s)
        accepted = len(self.in_flight)
        cut = self.concurrency.refused(accepted, sent.at_s, now_s)
        if report.retry_after_s is not None or not accepted:
            self._close(Closure(report.retry_after_s), now_s)
        # Full is not dead: it is a failure only if nobody was served since this call was sent.
        dead = not (accepted or self._answered_s > sent.at_s or sent.foreign)
        self._ended(number, now_s, failed=dead or None, full=dead)
        return cut

    def ended(
        self,
        number: int,
        used: Mapping[str, float] | None,
        now_s: float,
        *,
        failed: bool | None = False,
        hung: bool = False,
    ) -> None:
        """A call ended; `used` is what it really took, None if nobody knows."""
        sent = self.in_flight.pop(number, None)
        if sent is None:
            return
        if used is not None:
            for resource, meter in self.meters.items():
                reserved, took = sent.amounts[resource], used[resource]
                if meter.bucket is not None:
                    meter.ended(reserved, took, now_s)
                else:
                    meter.controller.total += took - reserved
        if failed is False:
            self._answered_s, self.heard = now_s, True
            self._spoke_s = min(self._spoke_s, now_s)
            if self.concurrency.limit < inf:
                self.concurrency.answered()
            if self.retry_after.ever:
                self.retry_after.accepted(sent.at_s)
        if self.doubt.under_way:
            tried(self.meters, self.doubt.of(number), failed is False, now_s)
        if sent.foreign or (hung and self._answered_s > sent.at_s):
            failed = None  # others were served meanwhile: this one is lost, the endpoint lives
        self._ended(number, now_s, failed=failed)

    def _back(self, number: int, now_s: float) -> Sent | None:
        """A refused call took nothing; only the request itself may have counted."""
        sent = self.in_flight.pop(number, None)
        if sent is not None:
            self.blame.taken_back(sent)
            give_back(self.meters, sent, now_s)
        return sent

    def _close(self, closure: Closure, now_s: float) -> None:
        self.retry_after.close(closure.seconds, now_s, look_s=closure.look_s)
        until_s = self.retry_after.closed_until_s
        # Each refusal of one storm has its own time: only one that is really later is news.
        if until_s > now_s and until_s > self._told_s + _LATER_S:
            self._told_s = until_s
            self.news.append(Change("closed", "retry_after"))

    def _ended(self, number: int, now_s: float, *, failed: bool | None, full: bool = False) -> None:
        before, steady = self.breaker.state, not self.heard
        if self.breaker.ended(number, failed=failed, now_s=now_s, steady=steady, full=full):
            self._broken(before)

    def _broken(self, before: BreakerState) -> None:
        if self.breaker.state is not before:
            self.news.append(Change("breaker", self.breaker.state.value))

"""Where a server's silence meets the meters: whether a refusal says nothing, and what was found.

Law: what passes is read (see `silence`) only as long as neither the user nor the server has named
any limit. A window that is believed says the rate of requests, also once it has shown to be none:
so many went in such a time. Where a single call passed some time after another was refused, one
call in that time is the rate, of requests as of tokens, but no less than the minute before shows to
be allowed: an outage, or a window of tokens, is no slow bucket. Limits that the user names later
rule at once, and what passes is read from the beginning.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from agentrm_plugins.policy.endpoint.account import SAID
from agentrm_plugins.policy.endpoint.amounts import Change
from agentrm_plugins.policy.endpoint.rate_search import Source
from agentrm_plugins.policy.endpoint.silence import REQUESTS, SHORT_S
from agentrm_plugins.types.verdicts import MINUTE_S, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentrm_plugins.policy.endpoint.meter import Meter
    from agentrm_plugins.policy.endpoint.silence import Silence
    from agentrm_plugins.policy.endpoint.window_watch import WindowWatch
    from agentrm_plugins.types.verdicts import LimitReport, ServerLimit, Verdict

__all__ = ["Refusal", "explained", "found", "in_words", "is_word", "keep_word", "spoken"]


_MINUTES = {None, MINUTE_S}


class Refusal(NamedTuple):
    """A refusal without a wait.

    Args:
        number: Of the call.
        sent_s: When it went.
        busy: Calls that were under way besides.
        spoke_s: When the endpoint's first answer of all came; infinite: none has.
    """

    number: int
    sent_s: float
    busy: int
    spoke_s: float


def explained(
    silence: Silence,
    meters: Mapping[str, Meter],
    report: LimitReport,
    said: Mapping[str, ServerLimit],
    refusal: Refusal,
    now_s: float,
) -> tuple[bool, list[Change]]:
    """Whether what passes explains a refusal that says nothing, so that no rate is searched for.

    That is so as long as nobody ever named a limit, or nobody but words that name a window, and
    that is believed; `said` are those that the report names. Gives what is news besides.
    """
    if report.retry_after_s is not None or report.resource not in REQUESTS:
        return False, []
    named = False
    for one in meters.values() if silence.size == 0 else ():
        # Who knows a rate has a bucket.
        named = named or (one.bucket is not None and one.controller.known[0] in SAID)
    known, watch = False, meters["requests"].watch
    if not named and not said:
        known = report.worded is not None and _is_told(silence, report, watch, refusal, now_s)
        known = known or silence.refused(refusal.number, refusal.sent_s, refusal.busy, watch, now_s)
    news = known or silence.gap_s is not None  # else no belief has changed
    return known, found(meters, silence, now_s) if news else []


def in_words(report: LimitReport, meters: Mapping[str, Meter]) -> LimitReport:
    """A header that names a limit by nothing but its number says no more than words do.

    Unless the user or the server said more: then it is one more limit.
    """
    alone = report.requests
    if alone is None or alone.remaining is not None or alone.reset_s is not None:
        return report
    if not alone.firm or alone.per_s not in _MINUTES or len(report.limits()) > 1:
        return report
    firm = any(meter.controller.firm for meter in meters.values() if meter.bucket)
    if firm or any(meter.controller.source is Source.TOLD for meter in meters.values()):
        return report
    return replace(report, requests=None, worded=replace(alone, per_s=None))


def spoken(
    silence: Silence,
    meters: Mapping[str, Meter],
    report: LimitReport,
    spoke_s: float,
    now_s: float,
) -> list[Change]:
    """The server answered, and may have named a limit: gives what is news."""
    if silence.heard(report, now_s):
        begin_anew(meters, now_s)
    worded = report.worded
    if worded is None or not worded.firm or not worded.limit:
        return []
    taken, first_s = meters["requests"].watch.since(now_s - MINUTE_S)
    begun_s = min(first_s, now_s), min(max(first_s, spoke_s), now_s)
    silence.named(int(worded.limit), int(taken), begun_s, now_s)
    return found(meters, silence, now_s)


def _is_told(
    silence: Silence, report: LimitReport, watch: WindowWatch, refusal: Refusal, now_s: float
) -> bool:
    """Whether the words of a refusal name a window, and nothing has refuted that.

    `watch` knows what went lately. A short window is found out as fast.
    """
    worded = report.worded
    if worded is None or worded.limit is None or (period_s := worded.window_s()) < SHORT_S:
        return False
    silence.heard(report, now_s)  # its clock
    _, first_s = watch.since(now_s - period_s)
    begun_s = min(first_s, now_s), min(max(first_s, refusal.spoke_s), now_s)
    surely, size = worded.per_s is not None, int(worded.limit)
    return silence.told(size, period_s, begun_s, refusal.sent_s, now_s, surely=surely)


def keep_word(
    silence: Silence, worded: ServerLimit, meters: Mapping[str, Meter], now_s: float
) -> None:
    """A refusal that names a rate has cut it: no call goes slower than that for long."""
    if silence.stated and worded.limit:
        _state(meters["requests"], worded.limit / worded.window_s(), now_s)


def _state(meter: Meter, rate_per_s: float, now_s: float) -> None:
    """It is the server's word, of which only refusals tell."""
    meter.controller.learn(rate_per_s, now_s, firm=False, rarely=True)
    meter.apply(now_s)


def begin_anew(meters: Mapping[str, Meter], now_s: float) -> None:
    """The server has broken its silence: what was found out from that counts no more."""
    for meter in meters.values():
        meter.found(None, now_s)


def found(meters: Mapping[str, Meter], silence: Silence, now_s: float) -> list[Change]:
    """What passes has shown how many requests may go: gives what is news of it."""
    if silence.changed():
        for resource, meter in meters.items():
            meter.found(silence.rate_per_s if resource == "requests" else None, now_s)
        if silence.stated:
            _state(meters["requests"], silence.rate_per_s, now_s)
        return [Change("requests", "learnt")]
    if silence.gap_s is None:
        return []
    gap_s, silence.gap_s = silence.gap_s, None
    for meter in meters.values():  # What came in meanwhile by those that are searched for did not.
        if meter.bucket is None or meter.controller.known[0] is not Source.PROBED:
            continue
        if gap_s:
            meter.found(meter.controller.mean / gap_s, now_s)
        else:
            meter.drain(now_s)
    return [Change("requests", "learnt")] if gap_s else []


def is_word(verdict: Verdict) -> bool:
    """Whether the server itself said something, be it an error."""
    said = verdict.status is not None or verdict.code or verdict.kind is Kind.OVERLOADED
    return bool(said) or verdict.why not in {"", "unconnected"}

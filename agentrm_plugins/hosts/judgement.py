"""What an exception says of the provider: its kind, and the server's word in its headers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from agentrm_plugins.policy.endpoint.evidence import Evidence, body_evidence
from agentrm_plugins.policy.endpoint.headers import report_of
from agentrm_plugins.policy.endpoint.retry_class import examine, judge_evidence
from agentrm_plugins.policy.endpoint.tables import BUILT_IN, Tables
from agentrm_plugins.types.verdicts import RESOURCES, Kind, LimitReport, Verdict

__all__ = ["Judgement", "judge", "judge_response"]

# Nothing listens there, or its name is nobody's. The class names of httpx, aiohttp and urllib3.
_UNCONNECTED = {"ConnectError", "ConnectTimeout", "ConnectTimeoutError", "NewConnectionError"}
_UNCONNECTED |= {"ClientConnectorError", "ClientConnectorDNSError", "ConnectionRefusedError"}
_UNCONNECTED |= {"gaierror"}
_CAUSES = 8  # how far a chain of causes is followed; an SDK's has three links
Judgement = tuple[Verdict, LimitReport | None]


def judge(
    error: BaseException, tables: Tables = BUILT_IN, told_s: float | None = None
) -> Judgement:
    """The verdict on an error, and what its response said of the limits (None: nothing).

    It reads all headers, so it is asked once for an error and its answer handed on.

    Args:
        error: The error.
        tables: What providers say.
        told_s: A wait in the headers of its answer, which the error may not show: one of status 200
            that holds an error.
    """
    verdict, report = _judged(error, tables)
    if told_s is None or not verdict.retryable:
        return verdict, report
    if report is None:
        report = LimitReport(wall_s=time.time())
    if report.retry_after_s is None:
        report = replace(report, retry_after_s=told_s)
    return verdict, report


def _judged(error: BaseException, tables: Tables) -> Judgement:
    verdict, evidence = examine(error, tables)
    silent = verdict.status is None and not verdict.code and not verdict.why
    if silent and verdict.kind is Kind.TRANSIENT and _is_unconnected(error):
        verdict = replace(verdict, why="unconnected")
    if verdict.kind is Kind.NEUTRAL:
        return verdict, None
    if not evidence.headers and verdict.kind not in {Kind.LIMIT, Kind.OVERLOADED}:
        return verdict, None
    return verdict, _report(verdict, evidence, tables)


def _is_unconnected(error: BaseException | None) -> bool:
    """Whether no connection was made at all, so that nobody was asked."""
    for _ in range(_CAUSES):
        if error is None:
            return False
        if type(error).__name__ in _UNCONNECTED:
            return True
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return False


def judge_response(
    status: int, headers: Mapping[str, str], body: bytes, tables: Tables = BUILT_IN
) -> tuple[Verdict, LimitReport]:
    """The same of an error's response, before anybody has made an exception of it.

    Args:
        status: Its HTTP status, 400 or more.
        headers: Its headers.
        body: Its body.
        tables: What providers say.
    """
    evidence = body_evidence(status, headers, body)
    verdict = judge_evidence(evidence, tables) or Verdict(Kind.PERMANENT, status)
    return verdict, _report(verdict, evidence, tables)


def _report(verdict: Verdict, evidence: Evidence, tables: Tables) -> LimitReport:
    refused = verdict.kind is Kind.LIMIT
    told, text = evidence.headers, evidence.text
    report = report_of(told, time.time(), text, tables=tables, refused=refused)
    if report.resource is None:
        for code in evidence.codes:
            if code in RESOURCES:
                return replace(report, resource=code)
    return report

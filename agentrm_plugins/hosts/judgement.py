"""What an exception says of the provider: its kind, and the server's word in its headers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from agentrm_plugins.policy.endpoint.headers import parse_report
from agentrm_plugins.policy.endpoint.retry_class import classify
from agentrm_plugins.types.verdicts import Kind, LimitReport, Verdict

__all__ = ["Judgement", "judge"]

Judgement = tuple[Verdict, LimitReport | None]
_RESOURCE_TYPES = {"tokens", "requests", "input_tokens", "output_tokens"}


def judge(error: BaseException) -> Judgement:
    """The verdict on an error, and what its response said of the limits (None: nothing).

    It reads all headers, so it is asked once for an error and its answer handed on.
    """
    verdict = classify(error)
    if verdict.kind is Kind.NEUTRAL:
        return verdict, None
    headers = getattr(getattr(error, "response", None), "headers", None)
    if headers is None and verdict.kind not in {Kind.LIMIT, Kind.OVERLOADED}:
        return verdict, None
    given = headers if isinstance(headers, Mapping) else {}
    report = parse_report(given, time.time(), str(error))
    body = getattr(error, "body", None)
    kind = body.get("type") if isinstance(body, Mapping) else None
    if report.resource is None and kind in _RESOURCE_TYPES:
        report = replace(report, resource=kind)
    return verdict, report

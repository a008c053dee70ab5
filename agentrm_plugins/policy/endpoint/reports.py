"""A report of limits as a plain value and back: what JSON has."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from agentrm_plugins.types.verdicts import RESOURCES, LimitReport, ServerLimit

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["plain_report", "report_of"]

_LIMITS = (*RESOURCES, "worded")


def plain_report(report: LimitReport) -> dict[str, Any]:
    """A report as JSON has it."""
    plain = {key: value for key, value in asdict(report).items() if value is not None}
    for name in _LIMITS:
        if name in plain:
            plain[name] = {k: v for k, v in plain[name].items() if v is not None}
    return plain


def report_of(plain: Mapping[str, Any]) -> LimitReport:
    """The report that `plain_report` was given."""
    limits = {name: ServerLimit(**plain[name]) for name in _LIMITS if name in plain}
    return LimitReport(**{**plain, **limits})

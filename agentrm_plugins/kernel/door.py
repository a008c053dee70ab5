"""The kernel's door: what comes in is looked at before anything changes.

A value that could break the books is refused with the field's name; so no step behind the door has
to expect one.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from agentrm_plugins.config import Config
from agentrm_plugins.errors import ConfigError
from agentrm_plugins.types import events as ev
from agentrm_plugins.types.calls import MOST_TOKENS, Call, Outcome, Priority, Usage
from agentrm_plugins.types.verdicts import LimitReport, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CHECKS", "look_at_settle", "look_at_submit", "no_event"]

_MOST_S = 1e9  # thirty years


def no_event(event: Any) -> None:
    """Refuse what is no event at all.

    Raises:
        ConfigError: Always.
    """
    raise ConfigError.of_kind("event", event, "give one of types.events")


def _ticket(value: object, field: str = "ticket", *, none: bool = False) -> None:
    if value.__class__ is not int and not (none and value is None):
        raise _refused(field, value, "give the number of a ticket")


def _kind(field: str, value: object, kind: type, *, none: bool = True) -> None:
    if value.__class__ is not kind and not (none and value is None):
        raise _refused(field, value, f"give a {kind.__name__}")


def _seconds(field: str, value: object, *, none: bool = False) -> None:
    if none and value is None:
        return
    number = value.__class__ in {int, float} and -_MOST_S <= value <= _MOST_S
    if not number:
        raise _refused(field, value, "give seconds as a finite number")


def _report(report: object) -> None:
    if report.__class__ is not LimitReport:
        _kind("report", report, LimitReport)
        return
    limits = report.requests, report.tokens, report.input_tokens, report.output_tokens
    for limit in limits:
        if limit is not None:
            for value in (limit.limit, limit.remaining, limit.reset_s):
                _amount(value)
    if report.retry_after_s is not None:
        _amount(report.retry_after_s)


def _amount(value: object) -> None:
    if value is None:
        return
    if value.__class__ not in {int, float} or not isfinite(value) or value < 0:
        raise _refused("report", value, "give finite numbers, 0 or more, or None")


def _refused(field: str, value: object, way: str) -> ConfigError:
    """The error, which names the value, or what it is where it may be long or secret."""
    if value is None or isinstance(value, bool | float):
        return ConfigError(field, value, way)
    return ConfigError.of_kind(field, value, way)


def look_at_submit(event: ev.Submit) -> None:
    """Refuse a submission with a value that a field cannot have.

    Raises:
        ConfigError: It has one.
    """
    _ticket(event.ticket)
    _kind("call", event.call, Call, none=False)
    _ticket(event.parent, "parent", none=True)
    _ticket(event.place_of, "place_of", none=True)
    _ticket(event.hedge_of, "hedge_of", none=True)
    _kind("reads", event.reads, bool, none=False)


def _withdraw(event: ev.Withdraw) -> None:
    _ticket(event.ticket)
    _kind("cause", event.cause, str, none=False)
    _kind("unsent", event.unsent, bool, none=False)


def _beat(event: ev.Beat) -> None:
    _ticket(event.ticket)
    if event.tokens.__class__ is not int or not 0 <= event.tokens <= MOST_TOKENS:
        raise _refused("tokens", event.tokens, "give a whole number of tokens, 0 or more")
    if event.visible.__class__ is not bool or event.ping.__class__ is not bool:
        raise ConfigError("visible, ping", "no bool", "give True or False")


def _idle(event: ev.Idle) -> None:
    _ticket(event.ticket)
    _kind("idle", event.idle, bool, none=False)
    _seconds("since_s", event.since_s, none=True)


def look_at_settle(event: ev.Settle) -> None:
    """Refuse an end with a value that a field cannot have.

    Raises:
        ConfigError: It has one.
    """
    _ticket(event.ticket)
    _kind("usage", event.usage, Usage)
    _kind("outcome", event.outcome, Outcome, none=False)
    _kind("verdict", event.verdict, Verdict)
    if event.report is not None:
        _report(event.report)


def _requeue(event: ev.Requeue) -> None:
    if (
        event.ticket.__class__ is int
        and event.verdict.__class__ is Verdict
        and event.wait_s.__class__ is float
        and 0.0 <= event.wait_s <= _MOST_S
        and event.usage is None
    ):  # as nearly all are
        if event.report is not None:
            _report(event.report)
        return
    _ticket(event.ticket)
    _kind("verdict", event.verdict, Verdict, none=False)
    _seconds("wait_s", event.wait_s)
    _kind("usage", event.usage, Usage)
    if event.report is not None:
        _report(event.report)


def _unsent(event: ev.Unsent) -> None:
    _ticket(event.ticket)


def _observe(event: ev.Observe) -> None:
    if event.endpoint.__class__ is not str or not event.endpoint:
        raise _refused("endpoint", event.endpoint, "give a name that is not empty")
    _report(event.report)
    _kind("report", event.report, LimitReport, none=False)
    _kind("verdict", event.verdict, Verdict)
    _seconds("sent_s", event.sent_s, none=True)


def _end_agent(event: ev.EndAgent) -> None:
    _kind("agent", event.agent, str, none=False)
    _kind("tenant", event.tenant, str, none=False)


def _reconfigure(event: ev.Reconfigure) -> None:
    _kind("config", event.config, Config)
    for tenant, agent, hint in event.hints:
        _kind("tenant", tenant, str, none=False)
        _kind("agent", agent, str, none=False)
        _kind("priority", hint, Priority)


def _drain(event: ev.Drain) -> None:
    _kind("agent", event.agent, str, none=False)
    _kind("tenant", event.tenant, str, none=False)
    _kind("drain", event.drain, bool, none=False)


def _close(event: ev.Close) -> None:
    _kind("cause", event.cause, str, none=False)


def _tick(_event: ev.Tick) -> None:
    """There is nothing in it."""


def _ours(_event: ev.Supply | ev.Recall) -> None:
    """It is made by a coordinator, which has checked what it was told."""


CHECKS: dict[type, Callable[[Any], None]] = {
    ev.Withdraw: _withdraw,
    ev.Beat: _beat,
    ev.Idle: _idle,
    ev.Requeue: _requeue,
    ev.Unsent: _unsent,
    ev.Observe: _observe,
    ev.EndAgent: _end_agent,
    ev.Reconfigure: _reconfigure,
    ev.Drain: _drain,
    ev.Close: _close,
    ev.Tick: _tick,
    ev.Supply: _ours,
    ev.Recall: _ours,
}
"""Looks at an event of each kind; raises `ConfigError` for a value that a field cannot have.

The two that each call has are looked at where they are handled, for nearly all are as they should.
"""

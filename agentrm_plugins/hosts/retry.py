"""When a failed call goes again: tenacity's policies, asked without tenacity's sleep.

A user's `stop=`, `wait=` and `retry=` objects see a `tenacity.RetryCallState` as they would under
`tenacity.Retrying`. What they say is carried out by the core: the call gives its lane back and
waits in the queue at its own place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

import tenacity

from agentrm_plugins.errors import CallReaped, ConfigError
from agentrm_plugins.policy.endpoint.retry_class import classify
from agentrm_plugins.types.verdicts import CURABLE, Kind

if TYPE_CHECKING:
    from agentrm_plugins.hosts.judgement import Judgement

__all__ = ["RetryPolicy", "retry_policy", "within"]

_ATTEMPTS = 16
_FAILURES = 8  # a provider that answers 500 each time: some 6 s of waits, at most 12.7
_UNREADABLE = 4  # an answer that is none: a glitch is over by then, a proxy's page stays
_IN_VAIN = 3  # misses of a limit that nothing keeps, as a bare SDK's two retries (`misses`)
_NO_ROOM = 5  # one that has no room for anybody backs off 0.5, 1, 2 and 4 s between these
_TOTAL_S = 600.0


def _is_curable(state: tenacity.RetryCallState) -> bool:
    """What `classify` calls curable; the flow has judged the error already, tenacity has not."""
    verdict = getattr(state, "verdict", None)
    if verdict is None:
        error = state.outcome.exception() if state.outcome is not None else None
        return error is not None and classify(error).retryable
    return verdict.kind in CURABLE


def _ends(state: tenacity.RetryCallState, total_s: float = _TOTAL_S) -> bool:
    """Whether there were attempts enough: fewer where the provider fails, or is not there.

    Or the next one would come after the deadline (as tenacity's `stop_before_delay`).
    """
    if (state.seconds_since_start or 0.0) + (state.upcoming_sleep or 0.0) >= total_s:
        return True
    if getattr(state, "in_vain", 0) >= _IN_VAIN:
        return True
    verdict, most = getattr(state, "verdict", None), _ATTEMPTS
    if verdict is not None and verdict.kind is Kind.OVERLOADED:
        most = _NO_ROOM
    elif verdict is not None and verdict.kind is Kind.TRANSIENT:
        if verdict.why == "unreadable":
            most = _UNREADABLE
        elif verdict.status is not None or verdict.code or verdict.why == "unconnected":
            most = _FAILURES  # the provider itself says so, or is not there
    return state.attempt_number >= most


def _default_wait() -> Any:
    return tenacity.wait_random_exponential(multiplier=0.1, max=8.0)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Which failures go again, how often, and after how long at least.

    Args:
        stop: tenacity's; default: 16 attempts, or when the next one would come 600 s or more after
            the first. Sixteen, because of endpoints that hang 40 % of their calls only 2 in 10
            million calls hang so often. A status of 500 or more, or such a code in a stream, ends
            it after 8, no room (503, 529) after 5, an answer that cannot be read (a proxy's page,
            half a body, nothing) after 4, a server that cannot be connected to after 8: within
            seconds, so that a fallback can act. A configured limit that a call missed three times
            in a row, while hardly any answer of its endpoint came within it, ends it too: more
            attempts would be paid for nothing. It sees as `upcoming_sleep` the time that the
            server asked for: a limit per day is not waited for.
        wait: tenacity's; default: anything up to 0.1 s, doubling to 8 s (the "full jitter" of AWS's
            architecture blog, 2015; 8 s is the OpenAI SDK's cap; 0.1 s is guessed: one 500 or
            reset among calls that are served is no reason to wait, and an endpoint that fails most
            calls is left alone by its breaker). It is not asked after a rate limit or a hang at a
            known endpoint: there the core knows better when the call may go. A wait that the
            server names is the least.
        retry: tenacity's; default: what `classify` calls curable (429, 503, 529, 5xx, resets,
            timeouts, hangs; never 400, 401, insufficient quota or content policy).

    Raises:
        ConfigError: One of them cannot be called, or has to be awaited.
    """

    stop: Any = _ends
    wait: Any = field(default_factory=_default_wait)
    retry: Any = _is_curable

    def __post_init__(self) -> None:
        """Refuse what is no policy, before the first failure."""
        for name in ("stop", "wait", "retry"):
            given = getattr(self, name)
            way = f"give a tenacity {name} object, for example tenacity.{_EXAMPLES[name]}"
            if not callable(given):
                raise ConfigError(name, given, way)
            if iscoroutinefunction(given) or iscoroutinefunction(type(given).__call__):
                raise ConfigError(name, given, f"it has to be awaited, which nobody does; {way}")

    def wait_s(
        self,
        error: BaseException,
        judged: Judgement,
        attempt: int,
        begun_s: float,
        now_s: float,
        *,
        paced: bool,
        in_vain: int = 0,
    ) -> float | None:
        """Seconds before the next attempt, or None: give up.

        Args:
            error: What the attempt met.
            judged: What `judge` said of it.
            attempt: Its number, from 1.
            begun_s: When the first attempt was asked for.
            now_s: The time.
            paced: Whether the core knows the endpoint, and so when the call may go.
            in_vain: How often in a row it missed a limit that nothing at its endpoint keeps.
        """
        if not isinstance(error, Exception):
            return None
        verdict, report = judged
        state = tenacity.RetryCallState(_RETRYING, _nothing, (), {})
        state.attempt_number, state.start_time = attempt, begun_s
        state.set_exception((type(error), error, error.__traceback__))
        state.outcome_timestamp = now_s
        state.verdict = verdict  # type: ignore[attr-defined] # ours, for `_is_curable`
        state.in_vain = in_vain  # type: ignore[attr-defined] # ours, for `_ends`
        state.upcoming_sleep = (report.retry_after_s if report is not None else None) or 0.0
        if not self.retry(state) or self.stop(state):
            return None
        if paced and (isinstance(error, CallReaped) or verdict.kind is Kind.LIMIT):
            return 0.0
        return max(0.0, float(self.wait(state)), state.upcoming_sleep)


def retry_policy(retry: Any, usual: RetryPolicy | None = None) -> RetryPolicy | None:
    """What a user said of retries: a policy, None for none, or "default".

    Args:
        retry: What was said.
        usual: What "default" is at this core; None: `RetryPolicy()`.

    Raises:
        ConfigError: Anything else.
    """
    if retry is None or isinstance(retry, RetryPolicy):
        return retry
    if retry == "default":
        return usual or _DEFAULT
    way = "give a RetryPolicy(stop=..., wait=..., retry=...), 'default', or None for no retries"
    raise ConfigError("retry", retry, way)


def within(attempts: int | None, total_s: float, max_wait_s: float) -> RetryPolicy:
    """The default policy within bounds, as a file gives them (`RetryConfig`).

    A number of attempts that somebody wrote holds for each kind of failure.
    """

    def stop(state: tenacity.RetryCallState) -> bool:
        if attempts is None:
            return _ends(state, total_s)
        later_s = (state.seconds_since_start or 0.0) + (state.upcoming_sleep or 0.0)
        return state.attempt_number >= attempts or later_s >= total_s

    wait = tenacity.wait_random_exponential(multiplier=0.1, max=max_wait_s)
    return RetryPolicy(stop=stop, wait=wait)


_EXAMPLES = {
    "stop": "stop_after_attempt(5)",
    "wait": "wait_exponential_jitter()",
    "retry": "retry_if_exception_type(TimeoutError)",
}


_RETRYING = tenacity.Retrying()  # a state belongs to one; nobody runs it


def _nothing() -> None:
    return None


_DEFAULT = RetryPolicy()

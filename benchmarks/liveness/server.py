"""The provider of a run: it answers each call as the work says."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter

from agentrm_plugins.testing.provider import (
    Hang,
    ProviderConfig,
    ProviderRequest,
    Reply,
    SimulatedProvider,
)
from benchmarks.liveness.work import Work

__all__ = ["Server"]

_UNIT_S = 0.1  # all that the provider takes is so many times this
_NUMBER = re.compile(r"call (\d+)")


class Server:
    """A simulated provider, with the counts of what was sent for each call.

    Args:
        work: The calls.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._begun_s: float | None = None
        self._lock = threading.Lock()
        self.sent: Counter[int] = Counter()
        self.hung: Counter[int] = Counter()
        self.inputs: dict[int, int] = {}
        config = ProviderConfig(
            seed=work.seed, time_to_first_token_s=_UNIT_S, responder=self._respond
        )
        self.provider = SimulatedProvider(config)

    def _respond(self, request: ProviderRequest) -> object:
        found = _NUMBER.search(request.user_text)
        if found is None:
            return None
        number = int(found.group(1))
        with self._lock:
            now_s = time.monotonic()
            self._begun_s = self._begun_s or now_s
            attempt = self.sent[number]
            self.sent[number] += 1
            self.inputs[number] = request.input_tokens
        at_s = now_s - self._begun_s
        if self._work.is_hung(number, attempt, at_s):
            with self._lock:
                self.hung[number] += 1
            return Hang()
        tokens = self._work.output_tokens(number)
        slow = max(1.0, self._work.service_s(number, at_s) / _UNIT_S)
        return Reply(f"answer {number}", output_tokens=tokens, slow=slow)

    def wait_till_idle(self, at_most_s: float = 10.0) -> None:
        """Until the server has seen who has gone."""
        end_s = time.monotonic() + at_most_s
        while self.provider.statistics().in_flight and time.monotonic() < end_s:
            time.sleep(0.02)

    def billed(self) -> int:
        """Tokens: the input of each request that came, the output of each that was served."""
        inputs = sum(times * self.inputs[number] for number, times in self.sent.items())
        return inputs + sum(record.output_tokens for record in self.provider.log)

    def needed(self) -> int:
        """Tokens of one answer to each call that came."""
        outputs = sum(map(self._work.output_tokens, self.inputs))
        return sum(self.inputs.values()) + outputs

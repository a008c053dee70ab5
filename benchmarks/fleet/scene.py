"""A fleet at work on one provider, and what can be seen of it: lanes in use, calls lost, hung.

The provider's own log says what ran at one moment; the callers say what they asked and got.
"""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from agentrm_plugins.testing.provider import SimulatedProvider
from benchmarks.fleet.run import started

__all__ = ["HOLD_S", "LANES", "Process", "Scene", "most", "recovered_s", "used"]

LANES = 4
HOLD_S = 0.3
PROCESSES, THREADS = 3, 4
_FULL = 0.8  # of the lane time before the fault: then the fleet has recovered
_WINDOW_S = 0.5
_STEP_S = 0.02
_PATIENCE_S = 300.0  # on a machine that does much else
_NUMBERS = itertools.count(1)

Spans = list[tuple[float, float]]


class Process:
    """One caller, and what it said."""

    def __init__(self, task: dict[str, Any]) -> None:
        self.name = f"p{next(_NUMBERS)}"
        self.child = started("benchmarks.fleet.caller", {**task, "name": self.name})
        self.events: list[dict[str, Any]] = []
        self.open: dict[int, float] = {}
        self.failed: list[tuple[float, str]] = []
        self.answered = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.child.stdout is not None
        for line in self.child.stdout:
            with suppress(ValueError):  # a line that a kill cut off
                self._note(json.loads(line))

    def _note(self, event: dict[str, Any]) -> None:
        what = event["what"]
        if what == "asked":
            self.open[event["call"]] = event["at_s"]
            return
        if what in {"answered", "failed"}:
            self.open.pop(event["call"], None)
            self.answered += what == "answered"
            if what == "failed":
                self.failed.append((event["at_s"], event["error"]))
            return
        self.events.append(event)

    def heard(self, what: str) -> dict[str, Any]:
        """Wait until it has said so."""
        end_s = time.monotonic() + _PATIENCE_S
        while time.monotonic() < end_s:
            for event in self.events:
                if event["what"] == what:
                    return event
            time.sleep(0.02)
        raise SystemExit(f"a process never said {what!r}")

    def tell(self, word: str) -> None:
        """One of "go", "rest", "end"."""
        assert self.child.stdin is not None
        with suppress(BrokenPipeError):
            self.child.stdin.write(f"{word}\n")
            self.child.stdin.flush()

    def kill(self) -> None:
        """SIGKILL."""
        self.child.kill()
        self.child.wait()
        self._reader.join(5)

    def stop(self) -> None:
        """SIGSTOP."""
        self.child.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        self.child.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it, however it stands."""
        if self.child.poll() is None:
            self.go_on()
            self.kill()
        for pipe in (self.child.stdin, self.child.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()


class Scene:
    """A provider and three callers that share its lanes.

    Args:
        ways: For each caller, what its task says of the server ("server" or "sentinel").
        lease_s: Seconds.
    """

    def __init__(self, ways: list[dict[str, Any]], lease_s: float) -> None:
        self.lease_s = lease_s
        self.provider = SimulatedProvider(
            seed=1, time_to_first_token_s=HOLD_S, output_tokens=4, token_time_s=0.0
        )
        self.provider.start()
        common = {
            "namespace": "faults", "lease_s": lease_s, "on_outage": "share", "lanes": LANES,
            "url": self.provider.base_url, "threads": THREADS,
        }  # fmt: skip
        self.tasks = [{**common, **way} for way in ways]
        self.processes = [Process(task) for task in self.tasks]
        self._waiting: list[Process] = []

    def __enter__(self) -> Self:
        for process in self.processes:
            process.heard("joined")
        return self

    def tell(self, word: str) -> None:
        """Say it to all."""
        for process in self.processes:
            process.tell(word)

    def replace(self, place: int, *, go: bool) -> None:
        """Another process in the place of one that was killed."""
        self.processes[place].close()
        fresh = self.processes[place] = Process(self.tasks[place])
        fresh.heard("joined")
        if go:
            fresh.tell("go")

    def spans(self, since_s: float) -> Spans:
        """What ran at the provider, on the machine's clock: each request's begin and end."""
        zero_s = self.provider.started_s
        return [
            (zero_s + one.started_s, zero_s + one.finished_s)
            for one in self.provider.log
            if zero_s + one.finished_s > since_s
        ]

    def hung(self, older_s: float, patience_s: float) -> int:
        """Calls that are older than that, and are not answered in so much more time either."""
        now_s = time.monotonic()
        living = [one for one in self.processes if one.child.poll() is None]
        old = [
            (one, call)
            for one in living
            for call, at_s in list(one.open.items())
            if now_s - at_s > older_s
        ]
        while old and time.monotonic() < now_s + patience_s:
            time.sleep(0.1)
            old = [(one, call) for one, call in old if call in one.open]
        return len(old)

    def failures(self, since_s: float) -> list[str]:
        """Calls that ended with an error."""
        return [text for one in self.processes for at_s, text in list(one.failed) if at_s > since_s]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if error is None:
            self.tell("end")
            end_s = time.monotonic() + 20
            for process in self.processes:
                with suppress(subprocess.TimeoutExpired):
                    process.child.wait(max(0.1, end_s - time.monotonic()))
        for process in self.processes:
            process.close()
        self.provider.close()


def most(spans: Spans, since_s: float, until_s: float) -> int:
    """The most requests that ran at one moment between two."""
    changes = []
    for begun_s, ended_s in spans:
        if ended_s > since_s and begun_s < until_s:
            changes += [(begun_s, 1), (ended_s, -1)]
    running = highest = 0
    for _, change in sorted(changes):
        running += change
        highest = max(highest, running)
    return highest


def used(spans: Spans, since_s: float, until_s: float) -> float:
    """Lanes in use in the mean between two moments."""
    busy_s = sum(max(0.0, min(end, until_s) - max(begin, since_s)) for begin, end in spans)
    return busy_s / (until_s - since_s)


def recovered_s(spans: Spans, before: float, since_s: float, until_s: float) -> float | None:
    """Seconds until all lanes were in use at once, and for half a second as much as before.

    None: never. *As before* is `_FULL` of it, for the mean over a window of some calls scatters.
    """
    at_s = since_s
    while at_s + _WINDOW_S <= until_s:
        end_s = at_s + _WINDOW_S
        if used(spans, at_s, end_s) >= _FULL * before and most(spans, at_s, end_s) >= LANES:
            return at_s - since_s
        at_s += _STEP_S
    return None

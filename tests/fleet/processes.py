"""Workers in processes of their own, which a test may stop, kill and look at.

A worker is this file run as a script: it joins, makes calls in threads, and says on its standard
output what happened, one JSON line for each event.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PATIENCE_S = 40.0


class Worker:
    """A process that makes calls of `hold_s` seconds in `threads` threads until it is told to end.

    `calls` says how many each thread makes; None: without end. `settings` are those of `AgentRM`.
    """

    def __init__(self, server, namespace, *, hold_s=0.05, threads=4, calls=None, **settings):
        task = {
            "server": server,
            "namespace": namespace,
            "hold_s": hold_s,
            "threads": threads,
            "calls": calls,
            "settings": settings,
        }
        self._start(Path(__file__), task)

    @classmethod
    def of(cls, script, task):
        """Another script of ours that says what happens in the same way."""
        made = cls.__new__(cls)
        made._start(ROOT / script, task)
        return made

    def _start(self, script, task):
        path = os.pathsep.join((str(ROOT), str(ROOT / "adapters")))
        self.process = subprocess.Popen(
            [sys.executable, str(script), json.dumps(task)],
            stdout=subprocess.PIPE,
            stdin=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        self.events = []
        self._new = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            event = json.loads(line)
            self.events.append(event)
            self._new.put(event)

    def expect(self, what, number=1):
        """Wait until it has happened so often."""
        end_s = time.monotonic() + PATIENCE_S
        while sum(event["what"] == what for event in self.events) < number:
            left_s = end_s - time.monotonic()
            assert left_s > 0, f"only {self.count(what)} x {what}; last: {self.events[-3:]}"
            try:
                self._new.get(timeout=min(0.5, left_s))
            except queue.Empty:
                assert self.process.poll() is None, f"the worker ended: {self.events[-3:]}"
        return [event for event in self.events if event["what"] == what]

    def count(self, what):
        return sum(event["what"] == what for event in self.events)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def end(self):
        """Let calls end and leave; gives what it said of itself at the end."""
        self.go_on()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write("end\n")
            self.process.stdin.close()
        assert self.process.wait(PATIENCE_S) == 0, self.events[-3:]
        self._reader.join(PATIENCE_S)
        return self.events[-1]

    def close(self):
        if self.process.poll() is None:
            self.go_on()
            self.kill()
        for stream in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(BrokenPipeError):
                stream.close()


def most_at_once(*workers, after_s=0.0, until_s=float("inf")):
    """The most calls that ran at one moment, by the machine's clock."""
    changes = []
    for worker in workers:
        for event in worker.events:
            if event["what"] == "call" and event["end_s"] > after_s and event["at_s"] < until_s:
                changes += [(event["at_s"], 1), (event["end_s"], -1)]
    running = most = 0
    for _, change in sorted(changes):
        running += change
        most = max(most, running)
    return most


def scraped(rm):
    """Where its metrics are."""
    from agentrm_plugins.telemetry import serve_metrics

    server = serve_metrics(rm, port=0)
    return {"url": server.url, "token": server.token}


def main():
    task = json.loads(sys.argv[1])
    lock = threading.Lock()

    def say(what, **facts):
        with lock:
            print(json.dumps({"what": what, **facts}), flush=True)

    from agentrm_plugins import AgentRM, CallReaped, CallRefused, Coordination, EndpointConfig
    from agentrm_plugins.types.calls import Usage

    settings = dict(task["settings"])
    coordination = settings.pop("coordination", {})
    endpoint, tokens = settings.pop("endpoint", None), settings.pop("tokens", 0)
    limits, metrics = settings.pop("limits", None), settings.pop("metrics", False)
    agent, priority = settings.pop("agent", "worker"), settings.pop("priority", None)
    if limits is not None:
        settings["endpoints"] = {"*": EndpointConfig(**limits)}
    rm = AgentRM(
        coordination=Coordination(task["server"], task["namespace"], **coordination), **settings
    )
    say("joined", pid=os.getpid(), **(scraped(rm) if metrics else {}))
    ending = threading.Event()

    def work(number):
        made = 0
        while not ending.is_set() and (task["calls"] is None or made < task["calls"]):
            made += 1
            asked_s = time.monotonic()
            try:
                with rm.slot(
                    agent=f"{agent}-{number}",
                    priority=priority,
                    endpoint=endpoint,
                    estimate=Usage(tokens, 0),
                ):
                    at_s = time.monotonic()
                    time.sleep(task["hold_s"])
                    end_s = time.monotonic()
                say("call", at_s=at_s, end_s=end_s, waited_s=at_s - asked_s)
            except CallReaped as error:
                say("reaped", cause=error.cause, at_s=at_s, end_s=time.monotonic())
            except CallRefused as error:
                say("refused", cause=error.cause)
                time.sleep(0.05)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(task["threads"])]
    for thread in threads:
        thread.start()
    if task["calls"] is None:
        sys.stdin.readline()
    ending.set()
    for thread in threads:
        thread.join(30)
    hung = sum(thread.is_alive() for thread in threads)
    rm._host.read(lambda kernel: kernel.validate())
    fleet = rm._fleet.statistics()
    rm.close()
    say("ended", hung=hung, fenced=fleet.fenced, outages=fleet.outages, state=fleet.state)


if __name__ == "__main__":
    main()

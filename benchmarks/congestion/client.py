"""The clients of one run, in a process of their own: a JSON line in, a JSON line out.

    {"peer": "ours", "variant": "tokens/told/async/own", "seed": 1, "crowd": 1.0,
     "turn_share": 1.0, "url": "http://...", "warm_url": "http://...", "cap_s": 30, "quiet_s": 9}
    -> {"agents": [{"name": "long-03", "state": "finished", "turns": [...], ...}, ...], ...}

It measures from outside: when a turn was asked, when it was answered, what the process cost.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypedDict

from benchmarks.congestion.peers import PEERS, Asker, NotForThis, Setting
from benchmarks.congestion.scenarios import SCENARIOS, Variant
from benchmarks.congestion.workload import Agent, Turn, make_agents, reserved_tokens

_REASKS = 3  # times that an agent asks a turn again whose stream broke after its first token


@dataclass(slots=True)
class Book:
    """What happened to one agent. Times are those of the monotonic clock."""

    agent: Agent
    state: str = "stuck"
    began_s: float = 0.0
    ended_s: float = 0.0
    error: str = ""
    reasked: int = 0
    turns: list[tuple[float, float]] = field(default_factory=list)


class _Run:
    """What both ways of running share."""

    def __init__(self, asker: Asker, agents: list[Agent]) -> None:
        self.asker = asker
        self.books = [Book(agent) for agent in agents]
        self.progress_s = time.monotonic()
        self.over = False

    def answered(self, book: Book, asked_s: float, text: str) -> None:
        if not text:
            raise ValueError("an empty answer")
        self.progress_s = time.monotonic()
        book.turns.append((asked_s, self.progress_s))

    def ended(self, book: Book, error: BaseException | None) -> None:
        if self.over:
            return
        book.ended_s = self.progress_s = time.monotonic()
        book.state = "dead" if error else "finished"
        book.error = type(error).__name__ if error else ""


# -- async


async def _ask_turn(run: _Run, book: Book, turn: Turn) -> None:
    if turn.pause_s:
        await asyncio.sleep(turn.pause_s)
    asked_s = time.monotonic()
    for left in range(_REASKS, -1, -1):
        tokens: list[None] = []
        try:
            text = await run.asker.ask(book.agent, turn, lambda seen=tokens: seen.append(None))
        except Exception:  # whatever it was, it broke in the middle or it did not
            if not tokens or not left:
                raise
            book.reasked += 1
            continue
        run.answered(book, asked_s, text)
        return


async def _agent(run: _Run, book: Book) -> None:
    await asyncio.sleep(book.agent.start_s)
    book.began_s = time.monotonic()
    turns = iter(book.agent.turns)

    async def work() -> None:
        for turn in turns:
            await _ask_turn(run, book, turn)

    workers = [asyncio.ensure_future(work()) for _ in range(book.agent.kind.width)]
    try:
        await asyncio.gather(*workers)
    except Exception as error:  # noqa: BLE001  the agent dies of anything, and we note of what
        run.ended(book, error)
    else:
        run.ended(book, None)
    finally:
        for worker in workers:
            worker.cancel()


async def _run_async(run: _Run, cap_s: float, quiet_s: float) -> None:
    start_s = time.monotonic()
    tasks = [asyncio.ensure_future(_agent(run, book)) for book in run.books]
    while not all(task.done() for task in tasks):
        await asyncio.wait(tasks, timeout=0.25)
        now_s = time.monotonic()
        if now_s - start_s > cap_s or now_s - run.progress_s > quiet_s:
            break
    run.over = True
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=5)
    leftover = asyncio.all_tasks() - {asyncio.current_task()}
    for task in leftover:
        task.cancel()
    if leftover:
        await asyncio.wait(leftover, timeout=2)


# -- threads


def _ask_turn_sync(run: _Run, book: Book, turn: Turn) -> None:
    if turn.pause_s:
        time.sleep(turn.pause_s)
    asked_s = time.monotonic()
    for left in range(_REASKS, -1, -1):
        tokens: list[None] = []
        try:
            text = run.asker.ask_sync(book.agent, turn, lambda seen=tokens: seen.append(None))
        except Exception:  # whatever it was, it broke in the middle or it did not
            if not tokens or not left:
                raise
            book.reasked += 1
            continue
        run.answered(book, asked_s, text)
        return


def _agent_sync(run: _Run, book: Book) -> list[threading.Thread]:
    """Start the threads of one agent; the last of them to end closes its book."""
    lock = threading.Lock()
    turns = iter(book.agent.turns)
    running = [book.agent.kind.width]
    failed: list[BaseException] = []

    def next_turn() -> Turn | None:
        with lock:
            return None if failed or run.over else next(turns, None)

    def work() -> None:
        time.sleep(book.agent.start_s)
        book.began_s = book.began_s or time.monotonic()
        try:
            while (turn := next_turn()) is not None:
                _ask_turn_sync(run, book, turn)
        except Exception as error:  # noqa: BLE001  the agent dies of anything, and we note of what
            failed.append(error)
        with lock:
            running[0] -= 1
            if failed and book.state == "stuck":
                run.ended(book, failed[0])
            elif not running[0] and not failed:
                run.ended(book, None)

    return [threading.Thread(target=work, daemon=True) for _ in range(book.agent.kind.width)]


def _run_threads(run: _Run, cap_s: float, quiet_s: float) -> bool:
    """True if threads were left behind, so that this process must be replaced."""
    threads = [thread for book in run.books for thread in _agent_sync(run, book)]
    start_s = time.monotonic()
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        time.sleep(0.02)
        now_s = time.monotonic()
        if now_s - start_s > cap_s or now_s - run.progress_s > quiet_s:
            break
    run.over = True
    return any(thread.is_alive() for thread in threads)


# -- through a node


class _State(TypedDict):
    job: Any
    answer: str


class InNode:
    """Any peer, called from inside a LangGraph node."""

    def __init__(self, inner: Asker) -> None:
        from langgraph.graph import END, START, StateGraph

        async def node(state: _State) -> dict[str, str]:
            return {"answer": await inner.ask(*state["job"])}

        graph = StateGraph(_State)
        graph.add_node("ask", node)
        graph.add_edge(START, "ask")
        graph.add_edge("ask", END)
        self._graph = graph.compile()

    async def ask(self, agent: Agent, turn: Turn, seen: Callable[[], None]) -> str:
        state = await self._graph.ainvoke({"job": (agent, turn, seen), "answer": ""})
        return str(state["answer"])

    def ask_sync(self, agent: Agent, turn: Turn, seen: Callable[[], None]) -> str:
        raise NotImplementedError


# -- one run


def setting_of(order: dict[str, Any], agents: list[Agent]) -> Setting:
    variant = Variant.parse(order["variant"])
    told = variant.told
    requests, tokens = reserved_tokens(agents)
    return Setting(
        url=order["url"],
        variant=variant,
        limits=told.times(order["crowd"]) if told else None,
        mean_tokens=tokens / requests,
        seed=order["seed"],
        crowd=order["crowd"],
    )


def run_once(order: dict[str, Any]) -> dict[str, Any]:
    """Run one peer through one variant with one seed."""
    variant = Variant.parse(order["variant"])
    scenario = SCENARIOS[variant.scenario]
    agents = make_agents(
        order["seed"],
        scenario.models,
        crowd=order["crowd"],
        turn_share=order["turn_share"],
        most=scenario.most,
    )
    gc.collect()
    try:
        asker = PEERS[order["peer"]].make(setting_of(order, agents))
        made = asker
        if variant.mode == "node" and not PEERS[order["peer"]].litellm:
            asker = InNode(asker)
    except NotForThis as error:
        return {"skipped": str(error)}
    except ImportError as error:
        return {"skipped": f"cannot be imported: {error}"}
    run = _Run(asker, agents)
    cpu_s, start_s = time.process_time(), time.monotonic()
    tainted = False
    if variant.mode == "threads":
        tainted = _run_threads(run, order["cap_s"], order["quiet_s"])
    else:
        asyncio.run(_run_async(run, order["cap_s"], order["quiet_s"]))
    cpu_s = time.process_time() - cpu_s
    end_s = time.monotonic()
    events = made.report() if hasattr(made, "report") else []
    if hasattr(made, "close"):
        made.close()
    return {
        "start_s": start_s,
        "end_s": end_s,
        "cpu_s": cpu_s,
        "tainted": tainted,
        "events": events,
        "agents": [_line(book) for book in run.books],
    }


def _line(book: Book) -> dict[str, Any]:
    return {
        "name": book.agent.name,
        "state": book.state,
        "error": book.error,
        "began_s": book.began_s,
        "ended_s": book.ended_s,
        "reasked": book.reasked,
        "turns": book.turns,
    }


def warm_up(order: dict[str, Any]) -> None:
    """Let a few agents ask another server, so that imports and caches are not measured."""
    small = {"url": order["warm_url"], "crowd": 0.01, "turn_share": 0.2, "cap_s": 10.0}
    run_once({**order, **small})


def _orders() -> Iterator[dict[str, Any]]:
    for line in sys.stdin:
        yield json.loads(line)


def main() -> None:
    # What libraries print must not get among the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    warm = set()
    for order in _orders():
        how = (order["peer"], Variant.parse(order["variant"]).mode)
        if how not in warm:
            warm.add(how)
            warm_up(order)
        result = run_once(order)
        answers.write(json.dumps(result) + "\n")
        answers.flush()
        if result.get("tainted"):
            os._exit(0)


if __name__ == "__main__":
    main()

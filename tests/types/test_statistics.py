"""Statistics travel: as data, JSON, bytes and copies, over HTTP, into a notebook and a terminal."""

from __future__ import annotations

import copy
import io
import json
import pickle
from dataclasses import asdict

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from rich.console import Console

from agentrm_plugins import AgentRM, Call, Config, Usage
from agentrm_plugins.config import EndpointConfig
from agentrm_plugins.hosts.clock import VirtualClock
from agentrm_plugins.types.statistics import Statistics

HOSTILE = "<script>alert(1)</script> [bold]x[/bold]\nroot"


@pytest.fixture
def seen():
    """A busy core: limits told and unknown, calls that run and wait, agents of odd names."""
    config = Config(lanes=2, endpoints={"told/*": EndpointConfig(rpm=60, tpm=10_000)})
    with AgentRM(config) as rm:
        one = rm._core.admit(Call("ada", endpoint="told/m", estimate=Usage(10)))
        one.beat(3)
        two = rm._core.admit(Call(HOSTILE, "acme/x", endpoint="free/m", label="look"))
        waiting = [rm._host.submit(Call("bo", "beta"), None) for _ in range(3)]
        done = rm._core.admit_nowait(Call("zoe"))
        assert done is None
        yield rm.statistics()
        one.settle(Usage(10, 5))
        two.settle()
        for lease in waiting:
            lease.withdraw()


def test_they_are_plain_data(seen):
    """asdict, JSON in its strict form, pickle and deepcopy; each gives all of it."""
    data = asdict(seen)
    assert data == seen.to_dict()
    text = json.dumps(data, allow_nan=False)
    assert json.loads(text)["agents"]["ada"]["tokens"] == seen.agents["ada"].tokens
    assert json.loads(seen.to_json()) == json.loads(text)
    assert pickle.loads(pickle.dumps(seen)) == seen
    assert copy.deepcopy(seen) == seen
    assert copy.copy(seen) == seen


@pytest.mark.parametrize("typed", [True, False])
def test_fastapi_sends_them(seen, typed):
    """As an endpoint's answer, with and without a declared type."""
    app = FastAPI()

    def read() -> Statistics:
        return seen

    if not typed:
        del read.__annotations__["return"]
    app.get("/statistics")(read)
    with TestClient(app) as client:
        answer = client.get("/statistics")
    assert answer.status_code == 200
    assert answer.json()["lanes"] == 2
    assert answer.json()["endpoints"]["free/m"]["rates"]["tokens"]["allowed_per_min"] is None
    assert answer.json()["endpoints"]["told/m"]["rates"]["requests"]["allowed_per_min"] == 60


def test_a_notebook_a_terminal_and_a_log_show_them(seen):
    """The same tables; what users and servers call things stays text."""
    html = seen._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    for part in ("Running calls", "Agents", "Tenants", "Endpoints", "Lane groups"):
        assert part in html
        assert part in str(seen)
    assert "\nroot" not in str(seen)
    console = Console(record=True, width=200, file=io.StringIO())
    console.print(seen)
    shown = console.export_text()
    assert "[bold]x" in shown
    assert "2 of 2 lanes in use" in shown
    assert "3 waiting" in shown


def test_many_agents_do_not_flood_a_terminal():
    """The busiest twenty are shown, and how many more there are."""
    with AgentRM(lanes=1) as rm:
        for n in range(50):
            rm._core.admit(Call(f"agent-{n:02}")).settle(Usage(n, n))
        text = str(rm.statistics())
    assert "agent-49" in text
    assert "agent-05" not in text
    assert "... and 30 more" in text


def test_running_calls_tell_their_age_and_their_last_sign_of_life():
    """Beside them the age of whoever waits for longest, attempts and what was waited."""
    clock = VirtualClock()
    with AgentRM(lanes=1, clock=clock) as rm:
        assert rm.statistics().calls == ()
        assert rm.statistics().oldest_waiting_s == 0.0
        lease = rm._core.admit(Call("ada", "acme", streaming=True, label="draft", endpoint="h/m"))
        clock.advance(4.0)
        lease.beat(2)
        later = rm._host.submit(Call("bo"), None)
        clock.advance(3.0)
        seen = rm.statistics()
        (call,) = seen.calls
        assert (call.agent, call.tenant, call.group, call.label) == (
            "ada",
            "acme",
            "model",
            "draft",
        )
        assert (call.endpoint, call.attempt, call.beats) == ("h/m", 1, 1)
        assert (call.age_s, call.silent_s, call.waited_s) == (7.0, 3.0, 0.0)
        assert seen.oldest_waiting_s == 3.0
        lease.settle(Usage(100, 20, 30))
        (call,) = rm.statistics().calls
        assert (call.agent, call.waited_s, call.age_s) == ("bo", 3.0, 0.0)
        later.settle()


def test_agents_and_tenants_tell_input_output_and_rate():
    """What each used, and lately per second: after half a minute half of it, later none."""
    clock = VirtualClock()
    with AgentRM(lanes=1, clock=clock) as rm:
        for _ in range(3):
            rm._core.admit(Call("ada", "acme")).settle(Usage(100, 20))
        rm._core.admit(Call("bo", "acme")).settle(Usage(10, 1))
        seen = rm.statistics()
        ada, acme = seen.agent("ada", tenant="acme"), seen.tenants["acme"]
        assert (ada.input_tokens, ada.output_tokens, ada.tokens) == (300, 60, 360)
        assert (acme.input_tokens, acme.output_tokens, acme.tokens) == (310, 61, 371)
        first = ada.tokens_per_s
        assert first > 5
        clock.advance(30.0)
        assert rm.statistics().agent("ada", tenant="acme").tokens_per_s == pytest.approx(first / 2)
        clock.advance(3000.0)
        assert rm.statistics().agent("ada", tenant="acme").tokens_per_s < 1e-9


def test_a_steady_use_is_told_as_its_rate():
    """Ten tokens a second for five minutes are some ten tokens a second."""
    clock = VirtualClock()
    with AgentRM(lanes=1, clock=clock) as rm:
        for _ in range(300):
            rm._core.admit(Call("ada")).settle(Usage(8, 2))
            clock.advance(1.0)
        assert rm.statistics().agent("ada").tokens_per_s == pytest.approx(10, rel=0.05)

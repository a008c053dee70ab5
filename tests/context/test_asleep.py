"""Sessions asleep: another process wakes them, with calls that wait for their results."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from agentrm_plugins.context.stores import SqliteStore
from agentrm_plugins.errors import ConfigError

CONFIG = ContextConfig(budget_tokens=1_500)
WAKE = """
import hashlib, json, sys
from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from agentrm_plugins.context.stores import SqliteStore
path, history = sys.argv[1], json.load(sys.stdin)
config = ContextConfig(budget_tokens=1_500)
with SqliteStore(path) as store, ContextLifecycle(config, store=store, submit=lambda j: j()) as m:
    one = m.session("s", tenant="acme")
    dumped = hashlib.sha256(one.dump()).hexdigest()
    view = one.prepare(history, now_s=9.0)
    json.dump([dumped, view.messages, view.repairs, one.pressure.compactions], sys.stdout)
"""


def calls(*names):
    return {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {"id": name, "type": "function", "function": {"name": "look", "arguments": "{}"}}
            for name in names
        ],
    }


def result(name):
    return {"role": "tool", "tool_call_id": name, "content": f"{name} says 4{name[1:]}"}


def test_another_process_wakes_a_session_with_calls_pending(tmp_path):
    """Same bytes, and the results that come in are sent beside the calls that asked for them."""
    path = tmp_path / "a.db"
    history = [{"role": "system", "content": "Be brief."}]
    for n in range(30):
        history += [
            {"role": "user", "content": f"Port {n} is {8000 + n}. " + "bla " * 40},
            {"role": "assistant", "content": "Noted."},
        ]
    history += [{"role": "user", "content": "Look twice."}, calls("c1", "c2")]
    with (
        SqliteStore(path) as store,
        ContextLifecycle(CONFIG, store=store, submit=lambda j: j()) as m,
    ):
        session = m.session("s", tenant="acme")
        view = session.prepare(history, now_s=8.0)
        assert sum("no result" in text for text in view.repairs) == 2
        frozen = hashlib.sha256(session.dump()).hexdigest()
        m.hibernate("s", tenant="acme")
    later = [*history, result("c1"), result("c2")]
    answer = subprocess.run(
        [sys.executable, "-c", WAKE, str(path)], input=json.dumps(later), capture_output=True,
        text=True, check=True, timeout=60, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    dumped, messages, repairs, compactions = json.loads(answer.stdout)
    assert dumped == frozen
    assert messages[-3:] == later[-3:]
    assert repairs == []
    assert compactions >= 1


def test_a_refused_view_makes_later_ones_smaller_also_after_a_sleep():
    """`overflowed` holds for the session, hibernated or not."""
    history = [{"role": "user", "content": f"item {n} " + "bla " * 60} for n in range(40)]
    with ContextLifecycle(CONFIG, submit=lambda j: None) as manager:
        sent = manager.session("s").prepare(history).tokens
        manager.session("s").overflowed(0.5)
        assert manager.session("s").prepare(history).tokens <= sent // 2
        manager.hibernate("s")
        history.append({"role": "user", "content": "more " * 60})
        assert manager.session("s").prepare(history).tokens <= sent // 2
        assert manager.session("other").prepare(history).pressure.budget_tokens == 1_500
        with pytest.raises(ConfigError, match="share"):
            manager.session("s").overflowed(1.0)

"""A worker that was forked and shares nothing says so, once; the parent says nothing."""

from __future__ import annotations

import json
import os
import warnings

import pytest

from agentrm_plugins import AgentRM, AgentRMWarning

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


def heard(rm: AgentRM, calls: int) -> list[str]:
    """What is warned of while calls are made."""
    with warnings.catch_warnings(record=True) as met:
        warnings.simplefilter("always")
        for _ in range(calls):
            with rm.slot(agent="worker"):
                pass
    return [str(one.message) for one in met if issubclass(one.category, AgentRMWarning)]


def in_child(rm: AgentRM, calls: int) -> list[str]:
    """The same, of a child made by a fork."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, json.dumps(heard(rm, calls)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        told = pipe.read()
    assert os.waitpid(child, 0)[1] == 0
    found: list[str] = json.loads(told)
    return found


def test_a_forked_worker_without_coordination_is_warned_once() -> None:
    """With its first call, and the text has the way out; a child without calls is silent."""
    with AgentRM(lanes=2) as rm:
        assert heard(rm, 1) == []
        [text] = in_child(rm, 3)
        assert "made before a fork" in text
        assert "coordination='redis://...'" in text
        assert in_child(rm, 0) == []
        assert heard(rm, 1) == [], "the parent shares with nobody by its own choice"


def test_a_core_that_is_made_in_the_worker_is_no_reason_to_warn() -> None:
    """As the guide of prefork servers says."""
    with AgentRM(lanes=2) as parent:
        assert heard(parent, 1) == []
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                with AgentRM(lanes=1) as own:
                    os.write(writer, json.dumps(heard(own, 2)).encode())
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            assert json.loads(pipe.read()) == []
        assert os.waitpid(child, 0)[1] == 0

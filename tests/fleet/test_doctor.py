"""What `agentrm doctor` says of a fleet that can be reached."""

from __future__ import annotations

from agentrm_plugins import AgentRM, Coordination
from agentrm_plugins.cli.doctor.configured import fleet
from agentrm_plugins.cli.doctor.program import _core


def test_a_server_that_answers_is_told_with_its_version_and_members(server, namespace):
    """And a core that has joined says so."""
    coordination = Coordination(server.url, namespace)
    [before] = fleet(coordination)
    assert before.status == "ok"
    assert "0 process(es)" in before.text
    with AgentRM(lanes=2, coordination=coordination) as rm:
        with rm.slot(agent="ada"):
            pass
        [during] = fleet(coordination)
        found = {one.check: one for one in _core(rm)}
    assert "1 process(es)" in during.text
    assert found["coordination"].status == "ok"
    assert "joined" in found["coordination"].text

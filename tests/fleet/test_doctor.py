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
        during, *shared = fleet(coordination)
        found = [one for one in _core(rm) if one.check == "coordination"]
    assert "1 process(es)" in during.text
    assert {one.check for one in shared} == {"fleet"}
    assert shared[0].text in {f"all lanes: {held} of 2 held" for held in range(3)}
    assert "last exchange" in shared[-1].text
    assert "lease ends in" in shared[-1].text
    assert all(one.status == "ok" for one in found)
    assert "joined" in found[0].text

"""The table of states: the only steps there are, and the diagram that the docs show."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from agentrm_plugins.errors import KernelBug
from agentrm_plugins.kernel.ticket import TRANSITIONS, State, diagram, move
from agentrm_plugins.types.calls import Call
from tests.kernel.world import World, config

pytestmark = pytest.mark.lowest

DESIGN = Path(__file__).parent.parent.parent / "docs" / "design.md"


@pytest.mark.parametrize("before", list(State))
@pytest.mark.parametrize("after", list(State))
def test_steps_outside_the_table_are_bugs(before: State, after: State) -> None:
    """A ticket moves along the table or not at all."""
    ticket = SimpleNamespace(number=7, state=before, call=Call("a"))
    if after in TRANSITIONS[before]:
        move(ticket, after)
        assert ticket.state is after
    else:
        with pytest.raises(KernelBug, match=f"ticket 7: {before.value} -> {after.value}"):
            move(ticket, after)
        assert ticket.state is before


def test_docs_show_exactly_this_table() -> None:
    """The diagram in docs/design.md is drawn from the table; print `diagram()` to update it."""
    assert f"```mermaid\n{diagram()}\n```" in DESIGN.read_text(encoding="utf-8")


def test_validation_names_what_is_wrong() -> None:
    """A kernel whose books do not match says which, with the numbers."""
    world = World(config(1))
    world.submit("a")
    world.kernel.books.counters.running += 1
    with pytest.raises(KernelBug, match="running: "):
        world.kernel.validate()

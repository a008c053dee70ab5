"""Near its end a fleet's budget lets a call go only when the others have heard of it."""

from __future__ import annotations

from types import SimpleNamespace

from agentrm_plugins.config import BudgetConfig, Config, ShareConfig
from agentrm_plugins.policy.fleet.allot import allot
from agentrm_plugins.policy.fleet.member import FleetMember
from agentrm_plugins.policy.fleet.state import Fleet
from agentrm_plugins.policy.fleet.terms import Terms, limits_of
from agentrm_plugins.policy.marks import marks_of
from agentrm_plugins.policy.spending.ledgers import Ledgers
from agentrm_plugins.types.calls import Call, Usage
from agentrm_plugins.types.fleet import Demand, TallySupply

OWNERS = [("agent", "ada", "ada"), ("tenant", "acme", "acme")]


def spender(number, tokens):
    call = Call("ada", estimate=Usage(tokens, 0))
    held = dict.fromkeys(("reserved", "charged", "taken", "endpoint", "unheard"))
    return SimpleNamespace(
        number=number, call=call, need={}, beats=0, beaten_tokens=0, hold_s=0.0, mark=0, **held
    )


def ledgers(*limits, members=2):
    made = Ledgers(tuple(BudgetConfig(agent="*", limit=limit) for limit in limits), ())
    made.members = members
    return made


def entered(made, number, tokens):
    one = spender(number, tokens)
    assert made.enter(one, OWNERS, 0.0) is None
    return one


def hears(made, mark, *, reserved=0.0, more=0.0):
    for (place, owner), ledger in list(made.ledgers.items()):
        told = TallySupply(ledger.number, more, reserved, mark)
        made.elsewhere([*made.named(place), owner], told, 0.0)


def test_while_much_is_left_a_call_goes_at_once():
    """All that nobody has heard of is a part of the rest; what was heard of is none of it."""
    made = ledgers(100_000)
    goes = [entered(made, number, 500).unheard is None for number in range(8)]
    assert goes == [True] * 5 + [False] * 3  # 2,500 is a fortieth: two members, a twentieth
    assert made.asking == 3
    hears(made, 8)
    assert made.confirm([], 0.0) == ([], [])
    assert entered(made, 9, 500).unheard is None


def test_who_is_heard_of_goes_as_far_as_there_is_room():
    """The older first; whoever was not told of yet waits on."""
    made = ledgers(10)
    waiting = [entered(made, number, 3) for number in (1, 2, 3)]
    hears(made, 2, reserved=5.0)
    going, refused = made.confirm(waiting, 0.0)
    assert [one.number for one in going] == [1]
    assert [one.number for one, _ in refused] == [2]
    assert "needs 3, has 2 of 10" in refused[0][1]
    made.settle(waiting[1], None, 0.0, ran=False)
    assert waiting[2].unheard
    hears(made, 3, reserved=2.0)
    assert [one.number for one in made.confirm(waiting[2:], 0.0)[0]] == [3]


def test_all_ledgers_of_a_call_are_asked():
    """It goes when the last has room, and is refused by the first that has none."""
    made = ledgers(10, 8)
    one = entered(made, 1, 4)
    (first, second) = made.ledgers
    ledger = made.ledgers[first]
    told = TallySupply(ledger.number, 0.0, 0.0, 1)
    made.elsewhere([*made.named(first[0]), first[1]], told, 0.0)
    assert made.confirm([one], 0.0) == ([], [])
    assert one.unheard == {second}
    hears(made, 1, reserved=5.0)
    going, refused = made.confirm([one], 0.0)
    assert not going
    assert "of 8" in refused[0][1]


def test_without_a_fleet_nobody_waits():
    """What is known here counts, as far as it goes."""
    made = ledgers(10, members=0)
    assert entered(made, 1, 6).unheard is None
    made.members = 3
    two = entered(made, 2, 2)
    assert two.unheard
    made.members = 0
    assert made.confirm([two], 0.0) == ([two], [])


def test_other_budgets_leave_nobody_waiting_for_those_that_are_gone():
    """A call waits for the budgets that it is still charged to, wherever they stand now."""
    first = BudgetConfig(agent="*", limit=10)
    second = BudgetConfig(tenant="*", limit=8)
    third = BudgetConfig(tenant="*", limit=9, window_s=60)
    made = Ledgers((first, second), ())
    made.members = 2
    one = entered(made, 1, 4)
    made.reconfigure((second, third), (), [one])
    assert one.unheard == {(0, "tenant acme")}
    other = entered(made, 2, 2)
    hears(made, 2)
    assert made.confirm([one, other], 0.0) == ([one, other], [])
    two = entered(made, 3, 1)
    assert two.unheard
    made.reconfigure((), (), [two])
    assert made.confirm([two], 0.0) == ([two], [])
    assert two.unheard is None


def test_members_with_other_marks_go_by_the_lowest():
    """The twin tells both, the kernel's ledgers go by it, and it ends with whoever said less."""
    fleet, members = Fleet(), {}
    for name, limit in (("high", 20.0), ("low", 8.0)):
        config = Config(lanes=4, budgets=(BudgetConfig(agent="*", limit=limit),))
        members[name] = FleetMember(Terms(name, limits_of(config), {}, 100), 0.0)
    nothing = Demand(0.0, (), 0, {"l": 0}, {"l": 0}, {}, {}, {})

    def exchanged(name):
        member = members[name]
        answer = allot(fleet, member.request(nothing, 0.0), 1e12)
        return member.answered(answer, 0.0, 0.0).marks

    assert exchanged("high") == {}
    assert exchanged("low") == {}  # its own is the lowest
    made, marks = ledgers(20, members=0), exchanged("high")
    made.lower(marks)
    one = entered(made, 1, 8)
    assert "has 0 of 8" in made.enter(spender(2, 1), OWNERS, 0.0)
    allot(fleet, members["low"].leaving(), 1e12)
    made.lower(exchanged("high"))
    assert made.enter(spender(3, 12), OWNERS, 0.0) is None
    made.settle(one, None, 0.0, ran=False)


def test_other_shares_go_by_the_lowest_marks_as_well():
    """The marks are told when they change: they hold for what is configured here later."""
    mine, others = (ShareConfig(agent="*", share=share) for share in (0.9, 0.3))
    made = Ledgers((), ())
    made.lower(marks_of((), (others,)))
    made.reconfigure((), (mine,), ())
    made.lower(marks_of((), (others,)))
    assert made.shares.lowest.share(mine) == (0.3, mine.burst_s)

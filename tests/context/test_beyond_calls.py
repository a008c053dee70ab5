"""Messages beyond tool_calls: what belongs together stays together, whatever its form."""

from __future__ import annotations

import itertools
import json

import pytest

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle, counter_for
from agentrm_plugins.context.stores import SqliteStore
from agentrm_plugins.types.message import from_openai

pytestmark = pytest.mark.lowest


def user(text):
    return {"role": "user", "content": text}


def blocks(*content, role="assistant"):
    return {"role": role, "content": list(content)}


def call(number, name="f", arguments="{}"):
    return {"id": number, "type": "function", "function": {"name": name, "arguments": arguments}}


def calls(*listed):
    return {"role": "assistant", "content": "", "tool_calls": list(listed)}


def result(number, text):
    return {"role": "tool", "tool_call_id": number, "content": text}


SHOT = {"type": "computer_screenshot", "image_url": "data:image/png;base64,AAAA"}


def computer(number):
    click = {"type": "click", "x": 1, "y": 2}
    return {"type": "computer_call", "id": "cu_1", "call_id": number, "action": click}


def prepared(history, budget=6_000, **settings):
    config = ContextConfig(budget_tokens=budget, **settings)
    with ContextLifecycle(config, submit=lambda job: job()) as manager:
        return manager.session("s").prepare(history)


def whole(history):
    """With ample budget nothing is dropped, mended or moved."""
    view = prepared(history)
    assert view.messages == history
    assert view.repairs == ()


def test_a_computers_calls_keep_their_screenshots():
    """Also wrapped as LangChain does it, and several in one turn."""
    shot = {**result("call_9", ""), "content": [SHOT]}
    whole([user("go"), blocks(computer("call_9")), shot, user("and now?")])
    wrapped = {"type": "non_standard", "value": computer("call_9")}
    whole([user("go"), blocks(wrapped), shot, user("and now?")])
    both = blocks(computer("call_8"), computer("call_9"))
    whole([user("go"), both, {**shot, "tool_call_id": "call_8"}, shot, user("next")])


@pytest.mark.parametrize("kind", ["local_shell_call", "shell_call", "apply_patch_call",
                                  "custom_tool_call", "tool_use"])  # fmt: skip
def test_whatever_the_caller_carries_out_keeps_its_output(kind):
    """Shells, patches, custom tools and calls that stand in the blocks alone."""
    block = {"type": kind, "id": "x_1", "name": "run", "input": "ls"}
    if kind != "tool_use":
        block["call_id"] = "call_1"
    number = block.get("call_id") or block["id"]
    whole([user("go"), blocks(block), result(number, "a.txt"), user("next")])


def test_server_tools_and_reasoning_stay_as_they_are():
    """What the provider carried out by itself, and what it thought: in place, in one message."""
    searched = blocks(
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"q": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
        {"type": "text", "text": "found"},
    )
    whole([user("go"), searched, user("next")])
    made = blocks(
        {"type": "image_generation_call", "id": "ig_1", "result": "iVBORw0KGgo" + "A" * 600}
    )
    whole([user("draw"), made, user("more")])
    thought = {
        **blocks({"type": "reasoning", "id": "rs_1", "summary": []}),
        "tool_calls": [call("c")],
    }
    whole([user("go"), thought, result("c", "x"), user("next")])


def approval(number):
    return {"type": "mcp_approval_request", "id": number, "name": "pay", "arguments": "{}"}


def approved(number):
    block = {"type": "mcp_approval_response", "approval_request_id": number, "approve": True}
    return blocks(block, role="user")


def test_an_approval_moves_with_its_request():
    """Both are sent or neither; an answer without its request is not; it is never the task."""
    history = [user("pay it"), blocks(approval("mcpr_1")), approved("mcpr_1")]
    whole(history)
    for n in range(30):
        history += [{"role": "assistant", "content": f"step {n} " + "bla " * 60}]
        view = prepared(history, budget=1_200)
        shown = json.dumps(view.messages)
        assert ("mcp_approval_request" in shown) == ("mcp_approval_response" in shown)
        assert "pay it" in shown
    view = prepared([user("go on"), approved("mcpr_7")])
    assert view.messages == [user("go on")]
    assert "without its request" in view.repairs[0]


def test_empty_and_repeated_ids_lose_no_result():
    """Two parallel calls without an id, with one id, and servers that begin anew in each turn."""
    whole([user("go"), calls(call("", "a"), call("", "b")), result("", "ra"), result("", "rb")])
    whole([user("go"), calls(call("0", "a"), call("0", "b")), result("0", "ra"), result("0", "rb")])
    turns = [user("go")]
    for n in range(3):
        turns += [calls(call("call_0", f"f{n}")), result("call_0", f"r{n}")]
    whole(turns)
    view = prepared([user("go"), calls(call("")), result("", "one"), result("", "two")])
    assert [m["content"] for m in view.messages if m["role"] == "tool"] == ["one"]
    assert "second result" in view.repairs[0]
    view = prepared([user("go"), calls(call("", "a"), call("", "b")), result("", "ra"), user("on")])
    assert next(m["content"] for m in view.messages if m["role"] == "tool") == "ra"
    assert sum(m["role"] == "tool" for m in view.messages) == 2


def test_an_unanswered_question_of_an_earlier_turn_takes_no_later_result():
    """The newest call of an id is the one that a result answers."""
    history = [user("go"), calls(call("0", "a")), user("never mind"), calls(call("0", "b")),
               result("0", "for b")]  # fmt: skip
    view = prepared(history)
    at = next(n for n, m in enumerate(view.messages) if m.get("content") == "for b")
    assert view.messages[at - 1] == history[3]
    assert "has no result" in view.repairs[0]


@pytest.mark.parametrize(
    "arguments",
    [
        json.dumps({"path": "a.txt", "content": "some words of a file " * 3_000}),
        json.dumps({"rows": [{"n": n, "text": "words " * 9} for n in range(900)]}),
        json.dumps({"numbers": list(range(9_000))}),
        json.dumps("a text " * 5_000),
        "no JSON at all " * 3_000,
    ],
)
@pytest.mark.parametrize("count", [1, 3])
def test_a_call_larger_than_the_budget_is_shortened_and_stays_a_call(arguments, count):
    """Its result follows it, its arguments are JSON still, and the request fits."""
    asked = calls(*[call(f"c{n}", arguments=arguments) for n in range(count)])
    history = [user("write it"), asked, *[result(f"c{n}", f"written {n}") for n in range(count)]]
    view = prepared(history, budget=1_500)
    assert counter_for("gpt-4o").messages([]) < view.tokens <= 1_500
    shown = [m for m in view.messages if m.get("tool_calls")]
    assert len(shown) == 1
    assert [c["id"] for c in shown[0]["tool_calls"]] == [c["id"] for c in asked["tool_calls"]]
    for one in shown[0]["tool_calls"]:
        assert isinstance(json.loads(one["function"]["arguments"]), dict)
    told = [m["content"] for m in view.messages if m["role"] == "tool"]
    assert told == [f"written {n}" for n in range(count)]
    assert "archived as message 1" in json.dumps(shown)


def test_a_shortened_call_is_shortened_still_after_a_sleep(tmp_path):
    """The state holds it, and the whole call is in the archive."""
    arguments = json.dumps({"content": "the launch code is KX-7741; " + "words " * 9_000})
    history = [user("write it"), calls(call("c", arguments=arguments)), result("c", "written")]
    config = ContextConfig(budget_tokens=1_500)
    with SqliteStore(tmp_path / "a.db") as store:
        with ContextLifecycle(config, store=store) as manager:
            before = manager.session("s").prepare(history).messages
        with ContextLifecycle(config, store=store) as manager:
            session = manager.session("s")
            assert session.prepare(history).messages == before
            assert "KX-7741" in session.recall("launch code")


def talk(turns):
    history = [{"role": "system", "content": "Be brief."}]
    for n in range(turns):
        history += [user(f"Item {n} is KX-{n}. " + "bla " * 40)]
        history += [{"role": "assistant", "content": "Noted. " + "bla " * 20}]
    return [*history, user("What is item 3?")]


@pytest.mark.parametrize("line", [True, False])
@pytest.mark.parametrize("turns", [6, 20, 60])
def test_roles_take_turns_where_that_is_wanted(turns, line):
    """Notes, recalled passages, the line and the task: never two of a role in a row."""
    view = prepared(talk(turns), budget=1_200, alternate=True, pressure_line=line)
    roles = [m["role"] for m in view.messages]
    assert roles[0] == "system"
    assert all(one != other for one, other in itertools.pairwise(roles)), roles
    assert roles[-1] == "user"
    assert view.messages[-1]["content"].endswith("What is item 3?")
    counted = counter_for("gpt-4o").messages([from_openai(m) for m in view.messages])
    assert counted == view.tokens <= 1_200
    apart = prepared(talk(turns), budget=1_200, pressure_line=line)
    text = "".join(str(m["content"]).replace("\n", "") for m in view.messages)
    assert text == "".join(str(m["content"]).replace("\n", "") for m in apart.messages)


def test_blocks_and_names_survive_being_joined():
    """A task of blocks gets a block above its own; what the caller sends is not changed."""
    history = talk(20)
    history[-1] = {"role": "user", "name": "ada", "content": [{"type": "text", "text": "Item 3?"}]}
    before = json.dumps(history)
    view = prepared(history, budget=1_200, alternate=True)
    last = view.messages[-1]
    assert last["name"] == "ada"
    assert last["content"][-1] == {"type": "text", "text": "Item 3?"}
    assert json.dumps(history) == before

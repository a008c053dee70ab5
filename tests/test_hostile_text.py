"""A megabyte of anything, at every door that takes text from outside: quick, and never an accident.

`tests/test_linear.py` finds every pattern of the code; this finds every call of a parser, and wants
to know at which door it is tried. A parser that is new fails here until it is listed.
"""

from __future__ import annotations

import ast
import base64
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import thread_time
from types import SimpleNamespace
from typing import Any

import pytest

from agentrm_langchain.hidden_errors import _error_of
from agentrm_plugins.context.live.tool import asked_for
from agentrm_plugins.context.notes.facts import find
from agentrm_plugins.context.plan.bodies import message_of
from agentrm_plugins.context.plan.shortening import _called
from agentrm_plugins.context.recall.query import query_of
from agentrm_plugins.counting.encodings import request_counter
from agentrm_plugins.counting.media import block_tokens
from agentrm_plugins.counting.tokens import estimate_text
from agentrm_plugins.errors import AgentRMError
from agentrm_plugins.policy.endpoint.evidence import evidence_of
from agentrm_plugins.policy.endpoint.headers import parse_report
from agentrm_plugins.policy.endpoint.times import parse_duration_s, time_left_s, wait_in_words_s
from agentrm_plugins.settings.environment import environment_layer
from agentrm_plugins.settings.toml import has_table, lines_of, toml_layer
from agentrm_plugins.telemetry.changing import typed
from agentrm_plugins.telemetry.lines import SCHEMA
from agentrm_plugins.telemetry.metrics.naming import clean
from agentrm_plugins.telemetry.reading import read_events
from agentrm_plugins.testing.cassettes import vcr_config
from agentrm_plugins.testing.provider.requests import BadRequest, parse_request
from agentrm_plugins.types.endpoint_name import host_of, key_fingerprint
from agentrm_plugins.types.message import Message, ToolCall
from agentrm_plugins.types.plain import parsed
from tests.pace import slowness

ROOT = Path(__file__).parent.parent
SIZE = 40_000
MOST_S = 0.25
"""Half a second for a megabyte, and slack for a busy machine; what is quadratic takes seconds."""
PARSERS = {
    *("json.loads", "json.load", "tomllib.loads", "tomllib.load", "ast.literal_eval", "ast.parse"),
    *("yaml.safe_load", "yaml.load", "parsedate_tz", "parsedate", "parsedate_to_datetime"),
    *("datetime.fromisoformat", "date.fromisoformat", "datetime.strptime", "time.strptime"),
    *("http_sf.parse", "urlsplit", "urlparse", "parse_qs", "parse_qsl", "unquote", "parsed"),
    *("base64.b64decode", "base64.urlsafe_b64decode", "SequenceMatcher", "unified_diff"),
    *("pickle.loads", "marshal.loads", "eval", "exec", "html.unescape", "shlex.split"),
}


PIECES = {
    "one letter": "a", "zeros of base64": "A", "digits": "9", "a number": "1,", "brackets": "[",
    "objects": '{"a":', "pairs": "[]", "quotes": '"', "apostrophes": "'", "escapes": "\\",
    "half escapes": "\\u", "backslashed quotes": '\\"', "combining": "e\u0301\u0301",
    "marks alone": "\u0301", "joiners": "\u200d", "emoji": "\U0001f468\u200d",
    "right to left": "\u202e\u0627", "surrogates": "\ud800", "nothing": "\x00", "blanks": " ",
    "lines": "\n", "tabs": "\t", "windows": "\r\n", "dates": "2025-01-01T00:00:00Z ",
    "http dates": "Mon, 01 Jan 2025 00:00:00 GMT ", "durations": "1h1m1s", "waits": "try again ",
    "waits in": "retry after 1 ", "commas": ", ", "equals": "a=b;", "colons": "a: ", "dots": "a.",
    "slashes": "/", "at signs": "a@", "links": "http://a:b@c/", "percent": "%4", "tables": "[a]\n",
    "keys": "a = 1\n", "dotted": "a.", "comments": "# ", "floats": "1e9", "exponents": "1e",
    "windows of limits": '"a";q=1;w=1, ', "bearer": "Bearer sk-", "stars": "*** ", "ids": "req_",
    "events": "data: {}\n\n", "half events": "data: ", "xml": "<a>", "entities": "&lt;",
    "markdown": "**", "code": "`", "greek": "ά", "chinese": "漢", "full width": "１",
    "superscripts": "²", "arabic digits": "٣", "long minus": "−1", "infinity": "Infinity,",
    "months": "12 may ", "money": "$1,", "sentences": "Aa b. ", "hex": "deadbeef", "yes": "true,",
}  # fmt: skip
"""What the texts are made of."""


def headers(text: str) -> None:
    """Every header that is read, with that value."""
    names = (
        *("retry-after", "retry-after-ms", "x-ratelimit-limit-requests", "ratelimit"),
        *("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens", "ratelimit-policy"),
        *("anthropic-ratelimit-tokens-reset", "x-should-retry", "ratelimit-reset", "date"),
    )
    parse_report(dict.fromkeys(names, text), 1.7e9)


class Refused(Exception):
    """A provider's error."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.status_code = 429
        self.body = text
        self.response = SimpleNamespace(status_code=429, headers={"retry-after": text}, text=text)


def error(text: str) -> None:
    """An error whose every part is that text."""
    evidence_of(Refused(text))
    evidence_of(Refused('{"error": {"message": ' + json.dumps(text) + "}}"))


def key(text: str) -> None:
    """A key: as it is, and as a JSON web token of that text."""
    key_fingerprint(text)
    claims = base64.urlsafe_b64encode(text.encode("utf-8", "replace")).decode()
    key_fingerprint(f"e.{claims}.s")


def scrubbed(text: str) -> None:
    """A recording's request and answer."""
    hooks = vcr_config()
    for body in (text, json.dumps({"messages": [{"role": "user", "content": text}]})):
        raw = body.encode("utf-8", "replace")
        hooks["before_record_response"](
            {
                "status": {"code": 200, "message": "OK"},
                "headers": {"content-type": ["application/json"], "retry-after": [text]},
                "body": {"string": raw},
            }
        )


def recorded(text: str) -> None:
    """A file of events."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "events.jsonl"
        head = f'{{"kind":"header","schema":"{SCHEMA}","version":1}}\n'
        path.write_text(head + text, "utf-8", "replace")
        for _ in read_events(path, strict=False):
            pass


def shortened(text: str) -> None:
    """A tool's arguments that are too long for the budget."""
    _called(ToolCall("1", "f", text), 400, "...")


def toml(text: str) -> None:
    """A file of settings."""
    has_table(text)
    lines_of(text)
    toml_layer(text, "agentrm.toml")


def environment(text: str) -> None:
    """Settings in the environment."""
    environment_layer({"AGENTRM_LANES": text})
    environment_layer({"AGENTRM_BUDGETS": text})


def counted(text: str) -> None:
    """What a request costs."""
    estimate_text(text)
    request_counter("gpt-4o").text(text)
    url = {"url": "data:image/png;base64," + text}
    block_tokens({"type": "image_url", "image_url": url}, estimate_text, "gpt-4o")


def request(text: str) -> None:
    """A body at the simulated provider."""
    parse_request("chat", text.encode("utf-8", "replace"), agent="", key_fingerprint="")


def openai_body(text: str) -> None:
    """A body on the way through our transport, and an answer's that is read back."""
    from agentrm_openai.exchange import model_asked
    from agentrm_openai.retelling import told_as_error
    from agentrm_openai.transport import _asks_for_a_stream
    from agentrm_openai.usage import usage_of_body
    from agentrm_plugins import Call

    raw = text.encode("utf-8", "replace")
    model_asked("http://127.0.0.1/v1", raw)
    model_asked("http://127.0.0.1/v1", b'{"model": ' + raw)
    model_asked("http://127.0.0.1/v1", b"{" + raw + b', "model": ' + raw[:60_000])
    model_asked("http://127.0.0.1/" + text, b"{}")
    told_as_error(raw, streaming=True)
    told_as_error(raw, streaming=False)
    _asks_for_a_stream(SimpleNamespace(_content=b'"stream"' + raw))
    usage_of_body(Call("a"), SimpleNamespace(_content=raw))


def tool_call(text: str) -> None:
    """A model's call of a tool, whose arguments are that text."""
    from agentrm_langchain.messages import from_message

    from_message(Message("assistant", "", tool_calls=(ToolCall("1", "f", text),)))


READERS: dict[str, Callable[[str], Any]] = {
    "headers": headers,
    "error": error,
    "hidden": _error_of,
    "key": key,
    "address": host_of,
    "duration": parse_duration_s,
    "time": lambda text: time_left_s(text, 1.7e9),
    "words": lambda text: wait_in_words_s(text, 1.7e9),
    "json": parsed,
    "recall": lambda text: query_of(asked_for(text)[0]),
    "archived": message_of,
    "facts": lambda text: find(text, "tool"),
    "shortening": shortened,
    "recording": recorded,
    "settings": toml,
    "environment": environment,
    "label": clean,
    "cassette": scrubbed,
    "tokens": counted,
    "request": request,
    "openai": openai_body,
    "tool call": tool_call,
    "change": typed,
}
EXPECTED = (AgentRMError, ValueError, BadRequest)
"""What a door may say of a text that it does not take; whatever else comes is an accident."""
SITES = {
    # Where a parser is called, and the door at which it is tried.
    "agentrm_plugins/types/endpoint_name.py": "key, address",
    "agentrm_plugins/types/plain.py": "json",
    "agentrm_plugins/policy/endpoint/evidence.py": "error",
    "agentrm_plugins/policy/endpoint/reading.py": "error",
    "adapters/agentrm_langchain/hidden_errors.py": "hidden",
    "adapters/agentrm_openai/failed_answer.py": "openai",
    "adapters/agentrm_openai/transport.py": "openai",
    "agentrm_plugins/policy/endpoint/structured.py": "headers",
    "agentrm_plugins/policy/endpoint/times.py": "time",
    "agentrm_plugins/counting/images.py": "tokens",
    "agentrm_plugins/context/live/tool.py": "recall",
    "agentrm_plugins/context/notes/facts.py": "facts",
    "agentrm_plugins/context/plan/bodies.py": "archived",
    "agentrm_plugins/context/plan/shortening.py": "shortening",
    "agentrm_plugins/settings/toml.py": "settings",
    "agentrm_plugins/settings/environment.py": "environment",
    "agentrm_plugins/telemetry/changing.py": "change",
    "agentrm_plugins/telemetry/reading.py": "recording",
    "agentrm_plugins/testing/cassettes/scrub.py": "cassette",
    "agentrm_plugins/testing/cassettes/mismatch.py": "cassette",
    "agentrm_plugins/testing/provider/requests.py": "request",
    "adapters/agentrm_openai/exchange.py": "openai",
    "adapters/agentrm_openai/large_requests.py": "openai",
    "adapters/agentrm_openai/retelling.py": "openai",
    "adapters/agentrm_openai/usage.py": "openai",
    "adapters/agentrm_langchain/messages.py": "tool call",
}
OWN = {
    "agentrm_plugins/cli/project/findings.py": "the user's own program",
    "agentrm_plugins/cli/project/notebook.py": "the user's own program",
    "agentrm_plugins/cli/registry.py": "the user's own program",
    "agentrm_plugins/context/plan/freeze.py": "what a store of ours gives back; damage is told",
    "agentrm_plugins/counting/media.py": "an image's first bytes, as in images.py",
    "agentrm_plugins/counting/ranks/__init__.py": "files of this package",
    "agentrm_plugins/fleet/link.py": "the fleet's own script, and the user's address",
    "agentrm_plugins/fleet/view.py": "keys that a core of the fleet has made",
    "agentrm_plugins/kernel/tallies.py": "keys that a core of the fleet has made",
    "agentrm_plugins/policy/endpoint/fold.py": "a state that a core of the fleet has made",
    "agentrm_plugins/telemetry/attached.py": "lines of a bounded length, of the owner's process",
    "agentrm_plugins/telemetry/client.py": "lines of the owner's own process",
    "agentrm_plugins/telemetry/page/guard.py": "a request's line, which its server bounds",
    "agentrm_plugins/telemetry/prometheus/server.py": "a request's line, which its server bounds",
    "agentrm_plugins/telemetry/server.py": "lines of the owner; whatever they are, an answer says",
    "adapters/agentrm_langgraph/cold_store.py": "what a store of ours gives back",
}
"""What reads only what this house itself has written, or its user; each with why."""


def sites() -> dict[str, set[str]]:
    """The files in which a parser is called, with its names."""
    found: dict[str, set[str]] = {}
    for folder in ("agentrm_plugins", "adapters"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
                if name in PARSERS:
                    found.setdefault(path.relative_to(ROOT).as_posix(), set()).add(name)
    return found


def test_every_parser_is_tried_at_a_door():
    """A new call of a parser is listed with its door, or with why no stranger writes there."""
    found = sites()
    told = {*SITES, *OWN}
    unknown = {path: names for path, names in found.items() if path not in told}
    assert not unknown, f"list them in SITES, with a reader, or in OWN: {unknown}"
    assert not told - found.keys(), "no parser is called there any more"
    doors = {door for doors in SITES.values() for door in doors.split(", ")}
    assert doors <= READERS.keys()


def fault(reader: str, text: str, most_s: float) -> str | None:
    """What is wrong with how a door takes the text."""
    least_s = float("inf")
    for _ in range(3):  # a collection of garbage, or the machine, may hit one reading
        begun_s = thread_time()
        try:
            READERS[reader](text)
        except EXPECTED:
            pass
        except Exception as error:
            return f"{reader}: {type(error).__name__}: {str(error)[:100]}"
        least_s = min(least_s, thread_time() - begun_s)
        if least_s <= most_s:
            return None
    least_s /= slowness()
    return None if least_s <= most_s else f"{reader}: {least_s:.2f} s"


@pytest.mark.parametrize("name", PIECES)
def test_no_text_is_too_much_for_any_door(name):
    """It is read quickly, or refused by an error that says so."""
    piece = PIECES[name]
    text = (piece * (SIZE // len(piece) + 1))[:SIZE]
    faults = [fault(reader, text, MOST_S) for reader in READERS]
    assert not [one for one in faults if one]


@pytest.mark.parametrize("name", ["brackets", "lines"])
def test_a_whole_megabyte_is_read_in_half_a_second(name):
    """At every door, with slack for a busy machine."""
    piece = PIECES[name]
    text = (piece * (1_000_000 // len(piece) + 1))[:1_000_000]
    faults = [fault(reader, text, 2.0) for reader in READERS]
    assert not [one for one in faults if one]


@pytest.mark.parametrize("opened", ["[", '{"a":', "x=["])
@pytest.mark.parametrize("levels", [90, 950, 50_000])
def test_however_deep_it_is_nested_every_door_comes_to_an_end(opened, levels):
    """Closed and not: a thousand levels are where Python's own recursion ends."""
    shut = {"[": "]", "{": "}"}
    ends = "".join(shut[char] for char in reversed(opened) if char in shut)
    for text in (opened * levels, opened * levels + "1" + ends * levels):
        faults = [fault(reader, text, 2.0) for reader in READERS]
        assert not [one for one in faults if one]


def test_a_door_that_fails_is_found():
    """The test can fail: by time, and by an accident."""
    READERS["bad"] = lambda text: [text.index("x") for _ in range(2000)]
    try:
        assert "s" in str(fault("bad", "a" * SIZE + "x", 0.0))
        READERS["bad"] = lambda text: text.no
        assert "AttributeError" in str(fault("bad", "", 1.0))
    finally:
        del READERS["bad"]

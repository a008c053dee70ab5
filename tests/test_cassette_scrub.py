from __future__ import annotations

import json
import re
from types import SimpleNamespace

import httpx2
import openai
import pytest
import vcr
import yaml

from agentrm_plugins.testing.cassettes import vcr_config
from agentrm_plugins.testing.provider import SimulatedProvider
from cassettes.record import FOLDER

CASSETTES = sorted(FOLDER.glob("**/*.yaml"))
FORBIDDEN = {
    "a key": re.compile(r"\b(sk|sess|pk)-[\w-]{6,}|test-key", re.IGNORECASE),
    "an authorization": re.compile(r"authorization|bearer|api-key|cookie", re.IGNORECASE),
    "an organisation": re.compile(r"\borg-\w+|\bproj_\w+|openai-organization", re.IGNORECASE),
    "a machine's path": re.compile(r"/(home|root|Users|work|tmp|var)/\w|[A-Z]:\\\\"),
    "a machine": re.compile(r"x-stainless|user-agent|127\.0\.0\.1|localhost", re.IGNORECASE),
}
# Made here from halves, so that no scanner takes this file for a leak.
SHAPES = {
    "openai": "sk-" + "proj-aB3dEf6hIj9kLmN0pQrS",
    "anthropic": "sk-" + "ant-api03-abcDEF-123456",
    "groq": "gsk" + "_aB3dEf6hIj9kLmN0pQrS",
    "google": "AI" + "zaSyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p",
    "hugging face": "hf" + "_aBcDeFgHiJkLmNoP",
    "github": "gh" + "p_" + "aB3dEf6h" * 4 + "iJ9k",
    "slack": "xox" + "b-123456789012-abcdefABCDEF",
    "aws id": "AK" + "IAIOSFODNN7EXAMPLE",
    "aws secret": "wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "EXAMPLEKEY1",
    "jwt": "ey" + "JhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVPmB92K27uhbUJU1p1",
    "azure": "0123456789abcdef" * 2,
    "of no known shape": "correct-horse-battery-staple",
    "short": "pa55wd",
}


def test_there_are_cassettes():
    """The scrub test would be empty without any."""
    assert len(CASSETTES) >= 6


@pytest.mark.parametrize("path", CASSETTES, ids=lambda path: path.stem)
def test_no_secret_is_in_a_cassette(path):
    """No key, no authorization, no organisation, no path or name of the recording machine."""
    text = path.read_text()
    for what, pattern in FORBIDDEN.items():
        assert not pattern.search(text), f"{what} in {path.name}"
    for interaction in yaml.safe_load(text)["interactions"]:
        assert set(interaction["request"]["headers"]) <= {"accept", "content-type", "host"}
        assert interaction["request"]["uri"].startswith("https://api.openai.com/v1/")


def request(**fields):
    """Vcrpy's request, as far as the hooks see it."""
    there = {"method": "POST", "uri": "http://127.0.0.1:8080/v1/chat/completions", "headers": {}}
    return SimpleNamespace(**{**there, "body": b"", **fields})


def response(body, code=200, kind="application/json", **headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    shown = {"Content-Type": [kind], **{name: [value] for name, value in headers.items()}}
    return {"status": {"code": code, "message": "x"}, "headers": shown, "body": {"string": data}}


def places(key):
    """Requests and responses that carry a secret, each in another place."""
    asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
    mcp = {"type": "mcp", "server_label": "x", "server_url": f"https://mcp.example/?token={key}",
           "authorization": key, "headers": {"X-Api-Key": key}}  # fmt: skip
    hidden = {"password": {"type": "string", "default": key}}
    schema = {"type": "object", "properties": hidden}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    given = json.dumps({"api_key": key, "city": "Paris"})
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": given}}
    bodies = [
        {**asked, "user": key, "metadata": {"session": key}, "safety_identifier": key},
        {**asked, "tools": [mcp]},
        {**asked, "tools": [tool]},
        {**asked, "no_such_field": {"deep": [key]}, "extra": key},
        {**asked, "messages": [{"role": "assistant", "content": None, "tool_calls": [call]}]},
        {**asked, "messages": [{"role": "user", "content": f"my api_key='{key}'"}]},
        {"model": "x", "messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": f"https://u:{key}@x.example/a.png?sig={key}"}}]}]},
    ]  # fmt: skip
    yield from (("request", request(body=json.dumps(body).encode())) for body in bodies)
    yield "request", request(uri=f"https://x.example/v1/models?key={key}&limit=2&api-version=1")
    yield "request", request(uri=f"https://me:{key}@x.example/v1/models?sig={key}")
    for name in (
        "Authorization",
        "x-api-key",
        "api-key",
        "Cookie",
        "X-Custom",
        "Proxy-Authorization",
    ):
        yield "request", request(headers={name: f"Bearer {key}", "Accept": "application/json"})
    yield "request", request(headers={"Content-Type": f"multipart/form-data; boundary={key}"},
                             body=f"--x\r\nfile={key}".encode())  # fmt: skip
    yield "request", request(body=f"grant_type=client_credentials&client_secret={key}".encode())
    answer = {"id": "chatcmpl-1", "object": "chat.completion", "choices": [], "usage": {}}
    yield "response", response({**answer, "account": key, "debug": {"headers": {"auth": key}}})
    yield "response", response({"error": {"message": f"Incorrect key: {key}", "code": "k"}}, 401)
    yield "response", response({"error": f"no right: {key}"}, 403)
    yield "response", response(f"<html>{key}</html>".encode(), 502, "text/html")
    yield "response", response(f"data: {json.dumps({**answer, 'secret': key})}\n\n: {key}\n\n"
                               f"id: {key}\n\nevent: {key}x\ndata: {key}\n\n".encode(),
                               kind="text/event-stream")  # fmt: skip
    for name in ("x-ratelimit-key", "x-ratelimit-limit-requests", "x-ratelimit-reset-tokens",
                 "ratelimit-policy", "ratelimit", "retry-after", "set-cookie", "x-request-id",
                 "anthropic-ratelimit-tokens-remaining", "location", "openai-project"):  # fmt: skip
        yield "response", response(answer, **{name: key})
    yield "response", response(answer, kind=f"application/json; key={key}")


def as_text(kind, given):
    hooks = vcr_config()
    if kind == "response":
        return repr(hooks["before_record_response"](given))
    kept = hooks["before_record_request"](given)
    return repr((kept.uri, kept.headers, kept.body))


@pytest.mark.parametrize("shape", SHAPES)
def test_no_secret_of_any_shape_is_written_from_any_place(shape):
    """URL, headers, bodies, tools, arguments, links, errors, event streams, pages, limits."""
    key = SHAPES[shape]
    found = [(kind, as_text(kind, given)) for kind, given in places(key)]
    assert len(found) > 30
    leaks = [(number, kind, text) for number, (kind, text) in enumerate(found) if key in text]
    assert not leaks


def test_a_key_that_the_server_echoes_is_known_from_its_header():
    """Also in a good answer, with stars in its middle, and of no shape that anybody knows."""
    hooks = vcr_config()
    key = "correct-horse-battery-staple"
    for header in ({"Authorization": f"Bearer {key}"}, {"x-api-key": key}, {"Cookie": f"a={key}"}):
        hooks["before_record_request"](request(headers=header))
    said = f"You ({key}) said hi; corr****ple is your key"
    answer = {"choices": [{"message": {"role": "assistant", "content": said}}]}
    text = repr(hooks["before_record_response"](response(answer)))
    assert key not in text
    assert "corr*" not in text
    assert "said hi" in text


def test_what_matching_and_replaying_need_is_kept():
    """Messages, tools, arguments, limits, waits, usage, event streams: word for word."""
    hooks = vcr_config()
    body = {
        "model": "gpt-4o", "temperature": 0.1, "stream": True, "max_tokens": 9,
        "messages": [
            {"role": "user", "content": "What is it?"},
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": "call_4b20b35f5c88463d8b00", "type": "function",
                 "function": {"name": "f", "arguments": '{"city":  "Paris"}'}}]},
            {"role": "tool", "content": "sunny", "tool_call_id": "call_4b20b35f5c88463d8b00"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {
            "type": "object", "properties": {"any_name": {"type": "string"}}}}}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "strict": True,
            "schema": {"type": "object", "properties": {"who": {"type": "string"}}}}},
    }  # fmt: skip
    kept = hooks["before_record_request"](request(body=json.dumps(body).encode()))
    assert json.loads(kept.body) == body
    limits = {
        "x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-tokens": "149,984",
        "x-ratelimit-reset-tokens": "6m0s", "x-ratelimit-reset-requests": "1.5s",
        "retry-after": "3",
        "retry-after-ms": "250", "x-should-retry": "false",
        "anthropic-ratelimit-input-tokens-reset": "2026-01-01T00:00:00Z",
        "ratelimit-policy": '"burst";q=100;w=60', "ratelimit": '"burst";r=50;t=30',
        "llm_provider-x-ratelimit-limit-requests": "60",
    }  # fmt: skip
    told = hooks["before_record_response"](response({"usage": {"prompt_tokens": 3}}, 429, **limits))
    assert set(told["headers"]) == {"Content-Type", *limits}
    assert json.loads(told["body"]["string"]) == {"usage": {"prompt_tokens": 3}}
    piece = {"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {"content": "Pa"}}]}
    stream = f"event: message.delta\ndata: {json.dumps(piece)}\n\ndata: [DONE]\n\n".encode()
    told = hooks["before_record_response"](
        response(stream, kind="text/event-stream; charset=utf-8")
    )
    lines = told["body"]["string"].decode().split("\n")
    assert (lines[0], lines[3]) == ("event: message.delta", "data: [DONE]")
    assert json.loads(lines[1].removeprefix("data: ")) == piece


def test_ids_stay_apart_and_scrubbing_twice_changes_nothing():
    """Two unknown ids are still two; a recording that is read again is scrubbed to itself."""
    body = {"messages": [
        {"role": "tool", "tool_call_id": name, "content": "x"} for name in ("secret/1", "secret/2")
    ]}  # fmt: skip
    once = vcr_config()["before_record_request"](request(body=json.dumps(body).encode()))
    first = json.loads(once.body)["messages"]
    assert first[0]["tool_call_id"] != first[1]["tool_call_id"]
    again = vcr_config()["before_record_request"](request(uri=once.uri, body=once.body))
    assert (again.uri, again.body) == (once.uri, once.body)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_real_recording_holds_no_secret(shape, tmp_path):
    """The SDK's own request, a real server's answer, the file on the disk; and it replays."""
    key, path = SHAPES[shape], tmp_path / "made.yaml"
    extra = {"tools_token": key, "metadata": {"k": key}}

    def ask(base_url):
        with httpx2.Client() as http:
            client = openai.OpenAI(
                base_url=base_url, api_key=key, http_client=http, organization=key,
                default_query={"key": key}, default_headers={"X-Secret": key},
            )  # fmt: skip
            return client.chat.completions.create(
                model="simulated", messages=[{"role": "user", "content": "hi"}], extra_body=extra
            )

    with SimulatedProvider(rpm=5000) as provider:
        with vcr.VCR(**vcr_config()).use_cassette(str(path), record_mode="all"):
            said = ask(provider.base_url)
    assert key not in path.read_text()
    with vcr.VCR(**vcr_config()).use_cassette(str(path), record_mode="none") as used:
        again = ask("https://api.openai.com/v1")
    assert used.all_played
    assert again.choices[0].message.content == said.choices[0].message.content
    assert again.usage == said.usage

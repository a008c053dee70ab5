"""No secret is written that a stream cuts, or that stands where a value of another kind belongs."""

from __future__ import annotations

import base64
import json

import pytest

from agentrm_plugins.redaction import masked
from agentrm_plugins.testing.cassettes import vcr_config
from tests.test_cassette_scrub import SHAPES, as_text, request, response

KEY = SHAPES["openai"]
EVENTS = "text/event-stream"


def cut(text, parts=4):
    size = max(1, len(text) // parts)
    return [text[start : start + size] for start in range(0, len(text), size)]


def chat(**delta):
    return {"id": "chatcmpl-1", "choices": [{"index": 0, "delta": delta}]}


def token(piece):
    told = {"token": piece, "logprob": -1, "bytes": list(piece.encode()), "top_logprobs": []}
    return {"choices": [{"index": 0, "delta": {}, "logprobs": {"content": [told]}}]}


def arguments(piece):
    return chat(tool_calls=[{"index": 0, "function": {"arguments": piece}}])


def part(kind, name):
    """Anthropic's."""
    return lambda piece: {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": kind, name: piece},
    }


def item(kind):
    """Those of OpenAI's responses."""
    return lambda piece: {"type": kind, "item_id": "msg_1", "output_index": 0, "delta": piece}


TEXTS = {
    "a word": lambda piece: chat(content=piece),
    "a thought": lambda piece: chat(reasoning_content=piece),
    "responses": item("response.output_text.delta"),
    "anthropic": part("text_delta", "text"),
    "anthropic's thought": part("thinking_delta", "thinking"),
    "google": lambda piece: {"candidates": [{"content": {"parts": [{"text": piece}]}}]},
    "a completion": lambda piece: {"choices": [{"index": 0, "text": piece}]},
    "probabilities": token,
}
CALLS = {
    "arguments": arguments,
    "responses": item("response.function_call_arguments.delta"),
    "anthropic": part("input_json_delta", "partial_json"),
}


def streamed(pieces, kind=EVENTS):
    if kind == EVENTS:
        body = "".join(f"data: {json.dumps(piece)}\n\n" for piece in pieces) + "data: [DONE]\n\n"
    else:
        body = "".join(f"{json.dumps(piece)}\n" for piece in pieces)
    hooks = vcr_config()
    text = hooks["before_record_response"](response(body.encode(), kind=kind))["body"]["string"]
    lines = [line.removeprefix("data: ") for line in text.decode().split("\n")]
    return [json.loads(line) for line in lines if line and line != "[DONE]"]


def leaves(value):
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from leaves(each)
    else:
        yield str(value)


def said(pieces):
    return "".join(text for piece in pieces for text in leaves(piece))


@pytest.mark.parametrize("kind", [EVENTS, "application/x-ndjson"])
@pytest.mark.parametrize("shape", sorted(set(SHAPES) - {"of no known shape", "short"}))
@pytest.mark.parametrize("where", TEXTS)
def test_a_key_in_pieces_is_hidden(where, shape, kind):
    """However it is cut; what was said before and behind it stays."""
    made = TEXTS[where]
    for parts in (2, 3, 7):
        pieces = ["Your key is ", *cut(SHAPES[shape], parts), " and", " so on"]
        kept = streamed(list(map(made, pieces)), kind)
        assert len(kept) == len(pieces)
        text = said(kept)
        assert SHAPES[shape] not in text
        assert "(hidden)" in text
        assert "Your key is " in text
        assert SHAPES[shape][-5:] not in text
        assert "so on" in text


@pytest.mark.parametrize("where", CALLS)
def test_arguments_in_pieces_are_hidden_by_their_names(where):
    """Also a value of no shape that anybody knows, where its name says what it is."""
    given = json.dumps({"city": "Paris", "api_key": "correct-horse", "password": "hunter two"})
    text = said(streamed(list(map(CALLS[where], cut(given, 9)))))
    assert "Pari" in text
    assert "horse" not in text
    assert "hunter" not in text


def test_what_holds_no_secret_stays_cut_as_it_was():
    """Two choices and two calls at once are texts of their own."""
    pieces = [
        {"choices": [{"index": number, "delta": {"content": word}}]}
        for word in ("Hel", "lo ", "you") for number in (0, 1)
    ]  # fmt: skip
    pieces += [arguments('{"a": '), arguments("1}")]
    assert streamed(pieces) == pieces
    half = len(KEY) // 2
    mixed = [
        {"choices": [{"index": number, "delta": {"content": word}}]}
        for number, word in ((0, KEY[:half]), (1, "fine"), (0, KEY[half:]), (1, " too"))
    ]
    texts = [piece["choices"][0]["delta"]["content"] for piece in streamed(mixed)]
    assert texts == ["(hidden)", "fine", "", " too"]


def test_a_key_that_was_sent_is_known_in_pieces():
    """Of whatever shape: in a stream, and in a list of one's pieces."""
    hooks = vcr_config()
    key = "correct-horse-battery-staple"
    hooks["before_record_request"](request(headers={"Authorization": f"Bearer {key}"}))
    pieces = [TEXTS["google"](piece) for piece in cut(key)]
    told = hooks["before_record_response"](response(pieces))
    assert "horse" not in said(json.loads(told["body"]["string"]))


def kinds(key):
    """Requests and responses in which a secret stands where another kind of value belongs."""
    body = {"id": "chatcmpl-1"}
    yield "request", request(headers={"Accept": key})
    yield "request", request(headers={"Accept": f"text/{key}"})
    for name in ("alt", "api-version", "order", "version", "beta"):
        yield "request", request(uri=f"https://x.example/v1/models?{name}={key}")
    for data in (json.dumps(key).encode(), json.dumps([key]).encode()):
        yield "request", request(body=data)
        yield "response", response(data)
        yield "response", response(b"data: " + data, kind=EVENTS)
    yield "response", response(body, kind=f"application/{key}")
    yield "response", response(body, kind=f"application/json; charset={key}")
    yield "response", {**response(body), "url": f"https://x/?key={key}", "http_version": key}
    yield "response", response(98765432109876)
    yield "response", response(body, **{"x-ratelimit-limit-requests": "98765432109876"})


@pytest.mark.parametrize("shape", SHAPES)
def test_a_value_is_kept_only_where_its_kind_belongs(shape):
    """A media type, a version, a switch, an amount; and nothing that stands under no name."""
    found = [as_text(kind, given) for kind, given in kinds(SHAPES[shape])]
    assert not [text for text in found if SHAPES[shape] in text or "98765432109876" in text]


def test_the_kinds_that_are_needed_are_kept():
    """As the SDKs send them."""
    hooks = vcr_config()
    for accept in ("application/json", "application/json, text/event-stream", "*/*", "audio/mpeg"):
        kept = hooks["before_record_request"](request(headers={"Accept": accept}))
        assert kept.headers["Accept"] == accept
    query = "api-version=2024-10-21&alt=sse&limit=20&order=desc&beta=true"
    kept = hooks["before_record_request"](request(uri=f"https://x.example/v1/models?{query}"))
    assert kept.uri.endswith(f"?{query}")
    kept = hooks["before_record_request"](
        request(uri="https://x.example/v1/models?api-version=2025-03-01-preview")
    )
    assert kept.uri.endswith("=2025-03-01-preview")
    told = hooks["before_record_response"](
        response({}, kind="application/json; charset=UTF-8", **{"x-ratelimit-limit": "60, 60"})
    )
    assert len(told["headers"]) == 2


def test_a_file_of_text_is_searched_as_a_text():
    """What base64 hides from the eye is written hidden; a picture stays as it is."""
    text = f"{'x ' * 200} OPENAI_API_KEY={KEY}"
    picture = "data:image/png;base64," + base64.b64encode(bytes(range(256)) * 2).decode()
    blocks = [
        {"type": "file", "file": {"file_data": "data:text/plain;base64,"
                                  + base64.b64encode(text.encode()).decode()}},
        {"type": "image_url", "image_url": {"url": picture}},
    ]  # fmt: skip
    body = json.dumps({"messages": [{"role": "user", "content": blocks}]}).encode()
    kept = json.loads(vcr_config()["before_record_request"](request(body=body)).body)
    file, image = kept["messages"][0]["content"]
    written = base64.b64decode(file["file"]["file_data"].partition(",")[2]).decode()
    assert KEY not in written
    assert "OPENAI_API_KEY=(hidden)" in written
    assert image["image_url"]["url"] == picture


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("export API_KEY=correct-horse", "export API_KEY=(hidden)"),
        ("curl -H 'X-Api-Key: correct-horse' x", "curl -H 'X-Api-Key: (hidden)' x"),
        ("password: pa55wd", "password: (hidden)"),
        ("Server=x;Password=hunter;Pwd=horse;", "Server=x;Password=(hidden);Pwd=(hidden);"),
        ("<password>hunter</password>", "<password>(hidden)</password>"),
        ("The password: it must be long", "The password: it must be long"),
        ("api_key: Field required", "api_key: Field required"),
        ("max_token=4096", "max_token=4096"),
    ],
)
def test_a_secret_without_quotes_is_masked(text, kept):
    """As shells, headers, connection strings and XML have it; a sentence stays one."""
    assert masked(text) == kept


@pytest.mark.parametrize("where", TEXTS)
@pytest.mark.parametrize(
    "pieces",
    [
        ("The ta", "sk-management of it"),
        ("see https://docs.example.com", "/a/Ab1cdefghijklmnopqrstuv/x"),
    ],
)
def test_what_only_a_cut_makes_look_like_a_secret_stays(where, pieces):
    """As the same text whole does, in the request of the next turn."""
    assert masked("".join(pieces)) == "".join(pieces)
    kept = list(map(TEXTS[where], pieces))
    assert streamed(kept) == kept


def test_texts_that_are_whole_in_each_event_are_looked_at_alone():
    """They are no pieces: put together, the key of the second would be the end of a word."""
    events = [{"result": {"content": [{"type": "text", "text": text}]}} for text in ("end", KEY)]
    assert KEY not in said(streamed(events))


def test_vectors_under_no_name_are_kept():
    """As Hugging Face's servers answer; a large number may be a secret."""
    hooks = vcr_config()
    vectors = [[0.1, -0.25], [12, 3e-9], [None, True]]
    kept = hooks["before_record_response"](response(vectors))["body"]["string"]
    assert json.loads(kept) == vectors
    hidden = hooks["before_record_response"](response([98765432109876, 98765432109876.0]))
    assert json.loads(hidden["body"]["string"]) == ["(hidden)"] * 2


@pytest.mark.parametrize(
    "kind",
    [
        'application/json; charset="utf-8"',
        "application/x-amz-json-1.1",
        "application/vnd.api+json",
        "application/problem+json; charset=utf-8",
        "application/jsonl",
        "audio/wav; codecs=1",
        "audio/L16;codec=pcm;rate=24000",
    ],
)
def test_content_types_are_kept(kind):
    """Without one the SDK reads the body as something else."""
    told = vcr_config()["before_record_response"](response({}, kind=kind))
    assert [*told["headers"].values()] == [[kind]]

"""What is recorded replays: a second turn that sends the first one's scrubbed answer, and texts."""

from __future__ import annotations

import json

import pytest

from agentrm_plugins.redaction import HIDDEN
from agentrm_plugins.testing.cassettes import vcr_config
from tests.test_cassette_scrub import SHAPES, request, response

HOOKS = vcr_config()
SECRET = "correct-horse-battery-staple"
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAAenc"}
ITEMS = {
    "reasoning": REASONING,
    "reasoning of full length": {**REASONING, "encrypted_content": "gAAAAABor0Awx" + "Zk9_-x" * 90},
    "web search": {"type": "web_search_call", "id": "ws_1", "status": "completed",
                   "action": {"type": "search", "query": "q"}},
    "mcp call": {"type": "mcp_call", "id": "mcp_1", "name": "n", "arguments": '{"token":"abcd"}',
                 "server_label": "s", "output": "o"},
    "computer": {"type": "computer_call", "id": "cu_1", "call_id": "call_c", "status": "completed",
                 "action": {"type": "click", "x": 1, "y": 2, "button": "left"},
                 "pending_safety_checks": [{"id": "sc_1", "code": "c", "message": "m"}]},
    "code": {"type": "code_interpreter_call", "id": "ci_1", "code": "print(1)",
             "container_id": "cntr_1", "status": "completed",
             "outputs": [{"type": "logs", "logs": "1"}]},
    "file search": {"type": "file_search_call", "id": "fs_1", "status": "completed",
                    "queries": ["q"],
                    "results": [{"file_id": "file-1", "filename": "a", "score": 0.5,
                                 "text": "t", "attributes": {"owner": "ann"}}]},
    "compaction": {"type": "compaction", "id": "cmp_1", "encrypted_content": "encx" * 20},
    "an unknown item": {"type": "new_call", "id": "zz_9", "vault": "what stands here", "text": "t"},
}  # fmt: skip


def scrubbed_request(**body):
    return json.loads(HOOKS["before_record_request"](request(body=json.dumps(body).encode())).body)


def scrubbed_response(body, **given):
    return json.loads(HOOKS["before_record_response"](response(body, **given))["body"]["string"])


@pytest.mark.parametrize("kind", ITEMS)
def test_a_second_turn_asks_the_same_in_the_replay(kind):
    """The recorded turn sends the real item, the replayed one the scrubbed item: both are one."""
    item = ITEMS[kind]
    recorded = scrubbed_request(model="m", input=[{"role": "user", "content": "x"}, item])
    answered = scrubbed_response({"id": "resp_1", "object": "response", "output": [item]})[
        "output"
    ][0]
    replayed = scrubbed_request(model="m", input=[{"role": "user", "content": "x"}, answered])
    assert replayed == recorded
    assert scrubbed_request(**recorded) == recorded, "scrubbing twice is scrubbing once"


def test_an_item_of_the_input_is_held_to_the_known_fields():
    """A name that nobody knows is not written: an item is no tool's input."""
    asked = scrubbed_request(model="m", input=[ITEMS["an unknown item"], ITEMS["file search"]])
    assert "vault" not in asked["input"][0]
    assert "attributes" not in asked["input"][1]["results"][0]


@pytest.mark.parametrize(
    "text",
    [
        '{"password_policy":"strong","secret_count":3}',
        '{"auth": {"token": "x"}, "ok": true}',
        '[{"api_key": "a b", "n": [1, {"cookie": "c"}]}]',
        json.dumps({"nested": json.dumps({"password": SECRET})}),
        f'Here: {{"password": "{SECRET}", "n": 1}}',
    ],
)
def test_json_in_a_text_stays_json(text):
    """The answer of a structured output parses in the replay as it did in the recording."""
    answer = {"choices": [{"message": {"role": "assistant", "content": text}}]}
    kept = scrubbed_response(answer)["choices"][0]["message"]["content"]
    start = min(at for at in (kept.find("{"), kept.find("[")) if at >= 0)
    assert HIDDEN in json.dumps(json.loads(kept[start:]))
    assert SECRET not in kept
    again = {"choices": [{"message": {"role": "assistant", "content": kept}}]}
    assert scrubbed_response(again)["choices"][0]["message"]["content"] == kept


def test_json_without_a_secret_keeps_its_blanks():
    """Nothing is written in another way that is not hidden."""
    text = '{ "city":"Paris",\n "n" : 1.50 }'
    answer = {"choices": [{"message": {"role": "assistant", "content": text}}]}
    assert scrubbed_response(answer)["choices"][0]["message"]["content"] == text


@pytest.mark.parametrize(
    "part",
    ["tok_9f8e7d6c5b4a3928170699", "s3cr3tpassword", "my-short-tok", "bot123456:AAH-abcdefghijk",
     "v1;key=matrixSEC77", "hunter2", "acme-corp", "%73k-plain"],
)  # fmt: skip
@pytest.mark.parametrize(
    "shape", ["/{}/v1/chat/completions", "/v1/{}/chat", "/v1/files/{}/content"]
)
def test_a_part_of_a_path_that_no_api_has_is_not_written(part, shape):
    """By a list of words, not by its looks."""
    kept = HOOKS["before_record_request"](request(uri="http://x.example" + shape.format(part))).uri
    assert part not in kept
    assert "hidden" in kept


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions",
        "/v1/responses/resp_abc123/input_items",
        "/v1beta/models/gemini-2.5-flash:streamGenerateContent",
        "/openai/deployments/gpt-4o/chat/completions",
        "/model/anthropic.claude-3-5-sonnet-v2:0/converse-stream",
        "/v1/models/meta-llama%2FLlama-3.1-8b",
        "/api/chat",
        "/v1/publishers/anthropic/models/claude-3-5-sonnet@20240620:rawPredict",
        "/models/meta-llama/Llama-3.1-8b",
        "/v1beta/tunedModels/mine:generateContent",
    ],
)
def test_the_paths_of_the_apis_stay(path):
    """Words, ids and the names of models."""
    kept = HOOKS["before_record_request"](request(uri="http://x.example" + path)).uri
    assert kept == f"https://api.openai.com{path}"


def test_what_answers_say_besides_text_replays():
    """Log probabilities, models, moderation, citations and signatures."""
    token = {"token": "hello", "logprob": -0.1, "bytes": [1], "top_logprobs": []}
    logprobs = {"choices": [{"logprobs": {"content": [token]}}]}
    assert scrubbed_response(logprobs) == logprobs
    models = {"object": "list", "data": [{"id": "gpt-4o", "object": "model", "created": 1}]}
    assert scrubbed_response(models) == models
    judged = {"results": [{"flagged": True, "categories": {"hate": True, "self-harm/intent": False},
                           "category_scores": {"hate": 0.9}}]}  # fmt: skip
    assert scrubbed_response(judged) == judged
    cited = {"citations": [{"type": "char_location", "cited_text": "c", "document_index": 0,
                            "document_title": "t", "start_char_index": 0}]}  # fmt: skip
    assert scrubbed_response(cited) == cited
    signed = scrubbed_response({"parts": [{"text": "a", "thoughtSignature": "c2ln"}]})
    assert signed == {"parts": [{"text": "a", "thoughtSignature": "KGhpZGRlbik="}]}


def test_a_name_that_hides_in_numbers_is_not_kept():
    """Only amounts stand below the provider's own names."""
    assert scrubbed_response({"categories": {"hate": "secret words", "Ab9": True}}) == {
        "categories": {}
    }


def test_sound_is_kept_and_a_text_called_sound_is_not():
    """Bytes that are no text; and none with what was sent as a key."""
    sound = b"ID3\x00\xff\xfb\x90"
    assert (
        HOOKS["before_record_response"](response(sound, kind="audio/mpeg"))["body"]["string"]
        == sound
    )
    told = HOOKS["before_record_response"](response(SECRET.encode(), kind="audio/mpeg"))
    assert told["body"]["string"] == HIDDEN.encode()
    hooks = vcr_config()
    hooks["before_record_request"](request(headers={"Authorization": f"Bearer {SECRET}"}))
    echoed = hooks["before_record_response"](response(sound + SECRET.encode(), kind="audio/mpeg"))
    assert echoed["body"]["string"] == HIDDEN.encode()


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({SHAPES["openai"]: {"owner": "x"}}),
        json.dumps({"keys": [{SHAPES["azure"]: 1}]}),
        '{"password": "SECRET", "password": "(hidden)"}'.replace("SECRET", SECRET),
        f'{{"a": "{SHAPES["openai"]}", "a": 1}}',
    ],
)
def test_names_in_json_and_names_that_come_twice_hide_no_secret(text):
    """A map by key, as an admin's tool gives one; of a name that comes twice the last is read."""
    answer = {"choices": [{"message": {"role": "assistant", "content": text}}]}
    kept = scrubbed_response(answer)["choices"][0]["message"]["content"]
    assert not any(one in kept for one in (SECRET, SHAPES["openai"], SHAPES["azure"]))
    json.loads(kept)


def test_tokens_do_not_spell_what_the_text_hides():
    """A key in pieces: neither the tokens nor their bytes give it away."""
    pieces = [
        "Your",
        " key",
        " is",
        " ",
        *(SHAPES["openai"][at : at + 5] for at in range(0, 28, 5)),
    ]
    content = [
        {"token": one, "logprob": -0.1, "bytes": list(one.encode()), "top_logprobs": [
            {"token": one, "logprob": -0.1, "bytes": None}]}
        for one in pieces
    ]  # fmt: skip
    kept = scrubbed_response({"choices": [{"logprobs": {"content": content}}]})
    tokens = kept["choices"][0]["logprobs"]["content"]
    assert len(tokens) == len(pieces)
    assert {one["token"] for one in tokens} == {HIDDEN}
    assert not any(one["bytes"] or one["top_logprobs"] for one in tokens)

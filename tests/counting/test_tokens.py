from __future__ import annotations

import base64
import json
import struct
import uuid

import pytest

from agentrm_plugins.counting import ranks as shipped
from agentrm_plugins.counting.encodings import counter_for, encoding_name
from agentrm_plugins.counting.images import image_tokens
from agentrm_plugins.counting.tokens import estimate_text
from agentrm_plugins.types.message import from_openai

pytestmark = pytest.mark.lowest

HARD = {
    "cjk": "深圳仓库的订单编号是多少，请尽快告诉我。" * 20,
    "uuid": " ".join(str(uuid.UUID(int=n * 10**30)) for n in range(1, 40)),
    "base64": base64.b64encode(bytes(range(256)) * 8).decode(),
    "json": json.dumps([{"id": n, "name": f"item-{n}", "ok": True} for n in range(80)]),
    "english": "the quick brown fox jumps over the lazy dog " * 40,
    "code": "def f(x):\n    return {k: v for k, v in x.items() if v}\n" * 20,
}


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4", "gpt-5-mini", "gpt-oss-20b", "openai/gpt-4o"])
@pytest.mark.parametrize("kind", HARD)
def test_counts_are_those_of_the_models_encoding(model, kind):
    """The counter agrees with tiktoken to the token, on texts where approximations fail."""
    name = encoding_name(model)
    assert name in shipped.SHIPPED
    expected = len(shipped.load_encoding(name).encode_ordinary(HARD[kind]))
    assert counter_for(model).text(HARD[kind]) == expected


@pytest.mark.parametrize("kind", HARD)
def test_estimates_are_never_low(kind):
    """Without an encoding the count errs on the high side, and stays below four times it."""
    exact = counter_for("gpt-4o").text(HARD[kind])
    assert exact <= counter_for("some-model-nobody-knows").text(HARD[kind]) <= 1.4 * exact
    assert exact <= estimate_text(HARD[kind]) <= 4 * exact


def test_reported_usage_corrects_an_estimate_and_leaves_an_exact_count():
    """The factor rises at once to what the provider reported and falls slowly."""
    counter = counter_for("claude-something")
    counter.report(1000, 1500)
    assert counter.factor == pytest.approx(1.95)
    counter.report(1000, 500)
    assert 1.8 < counter.factor < 1.95
    exact = counter_for("gpt-4o")
    exact.report(1000, 5000)
    assert exact.factor == 1.0


def test_calls_ids_names_and_tools_are_counted():
    """Everything that is sent costs tokens."""
    counter = counter_for("gpt-4o")
    bare = counter.message(from_openai({"role": "assistant", "content": "hi"}))
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    full = from_openai({"role": "assistant", "content": "hi", "tool_calls": [call]})
    assert counter.message(full) > bare + 8
    tool = {
        "type": "function",
        "function": {
            "name": "f",
            "description": "does it",
            "parameters": {
                "type": "object",
                "properties": {"a": {"type": "integer", "description": "what"}},
            },
        },
    }
    assert counter.tools([tool]) >= counter.text(json.dumps(tool))
    assert counter.tools([]) == 0


def test_an_images_size_is_read_from_its_header():
    """A small PNG costs one tile, a link of unknown size the rule's most."""
    png = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + struct.pack(">II", 512, 512) + b"\0" * 8
    data = "data:image/png;base64," + base64.b64encode(png).decode()
    block = {"type": "image_url", "image_url": {"url": data}}
    assert image_tokens(block, "gpt-4o") == 85 + 170
    link = {"type": "image_url", "image_url": {"url": "https://example.org/x.png"}}
    assert image_tokens(link, "gpt-4o") == 85 + 170 * 4
    assert image_tokens({**link, "image_url": {"url": "x", "detail": "low"}}, "gpt-4o") == 85
    assert image_tokens(block, "claude-x") == 351


def test_very_long_texts_do_not_break_the_encoder():
    """A million blanks, on which the encoder overflows its stack, are counted in pieces."""
    assert counter_for("gpt-4o").text(" " * 300_000) > 0


def test_a_changed_rank_file_is_refused(monkeypatch):
    """The SHA-256 is checked before the ranks are used."""
    monkeypatch.setitem(shipped._SHA256, "cl100k_base", "0" * 64)
    with pytest.raises(shipped.EncodingDataError, match="SHA-256"):
        shipped._ranks("https://x/cl100k_base.tiktoken")
    with pytest.raises(shipped.EncodingDataError, match="not shipped"):
        shipped.load_encoding("gpt2")

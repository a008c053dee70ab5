"""A text of ten megabytes holds up nobody: what is counted before a call is judged by samples."""

from __future__ import annotations

import asyncio

import pytest

from agentrm_plugins.counting import encodings
from agentrm_plugins.counting.encodings import counter_for, request_counter

MOST_CHARS = 41_000
KINDS = {
    "json": '{"k": 12, "n": "x"},',
    "words": "hello world 12 ",
    "chinese": "今天天气很好，我们去公园散步。",
    "letters": "a",
}


@pytest.fixture
def looked_at(monkeypatch):
    """The characters that are gone through."""
    seen = []

    def noted(name, count):
        def counted(*given):
            seen.append(len(given[-1]))
            return count(*given)

        monkeypatch.setattr(encodings, name, counted)

    noted("estimate_text", encodings.estimate_text)
    noted("_encoded", encodings._encoded)
    encodings._remembering.cache_clear()
    request_counter.cache_clear()
    yield seen
    encodings._remembering.cache_clear()
    request_counter.cache_clear()


@pytest.mark.parametrize("ready", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", ["gpt-4o", "claude-sonnet-4-5"])
def test_a_large_text_is_judged_by_samples(looked_at, monkeypatch, kind, ready, model):
    """Also while the encoding is being built; and rightly, as far as each goes."""
    text = KINDS[kind] * (10_000_000 // len(KINDS[kind]))
    counter_for(model).text("built")
    looked_at.clear()
    monkeypatch.setattr(encodings, "_ready", {"o200k_base"} if ready else set())
    monkeypatch.setattr(encodings, "_begun", {"o200k_base"})

    async def main():
        return request_counter(model).text(text)

    told = asyncio.run(main())
    assert sum(looked_at) <= MOST_CHARS
    if ready:
        assert told == pytest.approx(counter_for(model).text(text), rel=0.02)


def test_a_text_that_is_not_large_is_counted_to_the_token(looked_at):
    """All of it."""
    text = "hello world 12 " * 2_000
    assert request_counter("gpt-4o").text(text) == counter_for("gpt-4o").text(text)
    assert looked_at.count(len(text)) == 2

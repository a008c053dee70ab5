"""Events that come in whatever pieces: told alike, and each byte is looked at once."""

from __future__ import annotations

import json
import time

import pytest

from agentrm_openai.retelling import Retold

SAID = b'data: {"choices": [{"delta": {"content": "Hi"}}]}'
LIMIT = b'data: {"detail": "Rate limit exceeded"}'


def passed_on(pieces):
    """What comes of these pieces."""
    told = Retold()
    return b"".join([*map(told.told, pieces), told.rest()])


def cpu_s(size):
    """Of so many single bytes before any event ends."""
    told, begun_s = Retold(), time.process_time()
    for _ in range(size):
        told.told(b"x")
    return time.process_time() - begun_s


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_pieces_of_any_size_are_told_alike(end, size):
    """An end may lie across several."""
    for event in (SAID, LIMIT):
        whole = b": ping" + end + event + end + SAID + end
        pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
        assert passed_on(pieces) == passed_on([whole])
    assert passed_on([SAID + end]) == SAID + end
    kind, data = passed_on([LIMIT + end]).splitlines()[:2]
    assert kind == b"event: error"
    assert json.loads(data[6:])["error"]["message"] == "Rate limit exceeded"


def test_a_long_event_is_searched_once():
    """Eight times the bytes took 64 times as long: 10 s for 64 kB, on the event loop."""
    assert cpu_s(40_000) < 24 * max(min(cpu_s(5_000) for _ in range(3)), 0.002)

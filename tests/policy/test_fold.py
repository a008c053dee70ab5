"""What a fleet saw of an endpoint goes from fold to fold as a plain value."""

from __future__ import annotations

import zlib

import pytest

from agentrm_plugins.config import EndpointConfig
from agentrm_plugins.policy.endpoint import snapshot
from agentrm_plugins.policy.endpoint.endpoint import Endpoint
from agentrm_plugins.policy.endpoint.fold import fold
from agentrm_plugins.policy.endpoint.headers import parse_report
from agentrm_plugins.policy.endpoint.reports import plain_report
from agentrm_plugins.policy.endpoint.snapshot import dump_endpoint, load_endpoint
from agentrm_plugins.policy.fleet.allot import PROTOCOL
from agentrm_plugins.types.verdicts import RESOURCES

NAME = "api/model"
SAID = {"tpm": 60_000.0, "burst_s": 2.0}
TOLD = EndpointConfig(tpm=60_000.0, burst_s=2.0)


def endpoint(now_s=0.0):
    return Endpoint(NAME, TOLD, now_s, first=8)


def lent(state, told, number, at_ms):
    seen = {"n": 10, "ok": 10, "sent": dict.fromkeys(RESOURCES, 100.0)}
    return {
        "id": number,
        "state": state,
        "since": at_ms - 1000.0,
        "seen": seen,
        "events": [],
        "running": 0,
        "told": told,
        "said": told.get("said", SAID),
    }


def test_a_state_is_whole_in_the_next_fold():
    """Each attribute of each part is there again, whatever classes it is made of."""
    first = endpoint()
    again = endpoint()
    load_endpoint(again, dump_endpoint(first))
    for resource, meter in first.meters.items():
        for kind in type(meter).__mro__:
            for name in getattr(kind, "__slots__", ()):
                assert hasattr(again.meters[resource], name), name
    told = fold(endpoint(), lent("", {"allowed": {}, "source": {}, "limit": {}}, 1, 1000.0), 1000.0)
    for number in range(2, 5):
        at_ms = 1000.0 * number
        told = fold(
            endpoint(at_ms / 1000.0), lent(told["state"], told["told"], number, at_ms), at_ms
        )
    assert told["told"]["rate"]["tokens"] == 1000.0


def test_what_is_said_is_kept_as_it_is_said():
    """Nothing is added to it: whoever compares the two would ask for a fold each time."""
    said = {"tpm": 60_000.0}
    told = {"allowed": {}, "source": {}, "limit": {}, "said": said}
    found = fold(endpoint(), lent("", told, 1, 1000.0), 1000.0)
    assert found["told"]["said"] == said
    slow = found["told"]["cap"]["tokens"]
    wide = {**said, "burst_s": 6.0}  # somebody joins who says so
    asked = {**lent(found["state"], found["told"], 2, 2000.0), "said": wide}
    ours = Endpoint(NAME, EndpointConfig(tpm=60_000.0, burst_s=6.0), 2.0, first=8)
    found = fold(ours, asked, 2000.0)
    assert found["told"]["said"] == wide
    assert found["told"]["cap"]["tokens"] > 2 * slow


def served(words, per_s=2.0, seconds=60):
    """A server gives so much per second whatever its words say: how many calls it took, refused."""
    free, taken, turned_away, asks = 60.0 * per_s, 0, 0, 40.0
    found = {"state": "", "told": {"allowed": {}, "source": {}, "limit": {}, "said": {}}}
    amounts = {**dict.fromkeys(RESOURCES, 0.0), "requests": 1.0}
    for second in range(1, seconds):
        at_ms, free = 1000.0 * second, free + per_s
        sent = min(50, int(max(0.0, asks)))
        well = min(sent, int(free))
        free, taken, turned_away = free - well, taken + well, turned_away + sent - well
        report = plain_report(parse_report({}, 1.7e9 + second, words))
        when = {"at": at_ms - 500.0, "sent": at_ms - 900.0}
        event = {"kind": "limit", **when, "amounts": amounts, "report": report}
        asked = {
            **lent(found["state"], found["told"], second, at_ms),
            "seen": {
                "n": sent,
                "ok": well,
                "sent": {"requests": float(sent)},
                "held": {"requests": 1},
            },
            "events": [event] * min(sent - well, 10),
            "said": {},
        }
        found = fold(Endpoint(NAME, EndpointConfig(), float(second - 1), first=8), asked, at_ms)
        rate = found["told"]["rate"].get("requests", 0.0)
        asks = found["level"].get("requests", 0.0) + rate
    return taken, turned_away


@pytest.mark.parametrize("limit", ["600 per 1 minute", "8 per 1 minute"])
def test_words_that_are_wrong_are_not_believed_in_each_fold(limit):
    """A quota that is shared with others, or one of something else: the rate is searched for."""
    assert served(f"Rate limit exceeded: {limit}") == served("Rate limit exceeded")


def test_a_state_of_another_shape_is_of_another_version():
    """Attributes are read by their place: releases whose parts differ must not share a fleet.

    Whoever comes here with another shape sets the next `PROTOCOL`, and what is expected here.
    """
    whole = [*sorted(dump_endpoint(endpoint())), *sorted(vars(snapshot)["_OBJECTS"])]
    whole += sorted(vars(snapshot)["_TUPLES"])
    for kind, names in vars(snapshot)["_ATTRIBUTES"].items():
        whole += [kind.__name__, *names]
    assert (PROTOCOL, zlib.crc32(" ".join(whole).encode())) == (5, 4149639354)

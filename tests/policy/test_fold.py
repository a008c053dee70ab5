"""What a fleet saw of an endpoint goes from fold to fold as a plain value."""

from __future__ import annotations

import zlib

from agentrm_plugins.config import EndpointConfig
from agentrm_plugins.policy.endpoint import snapshot
from agentrm_plugins.policy.endpoint.endpoint import Endpoint
from agentrm_plugins.policy.endpoint.fold import fold
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


def test_a_state_of_another_shape_is_of_another_version():
    """Attributes are read by their place: releases whose parts differ must not share a fleet.

    Whoever comes here with another shape sets the next `PROTOCOL`, and what is expected here.
    """
    whole = [*sorted(dump_endpoint(endpoint())), *sorted(vars(snapshot)["_OBJECTS"])]
    whole += sorted(vars(snapshot)["_TUPLES"])
    for kind, names in vars(snapshot)["_ATTRIBUTES"].items():
        whole += [kind.__name__, *names]
    assert (PROTOCOL, zlib.crc32(" ".join(whole).encode())) == (4, 2820890498)

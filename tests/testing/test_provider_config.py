from __future__ import annotations

import pytest

from agentrm_plugins.errors import ClosedError, ConfigError
from agentrm_plugins.testing.provider import (
    Change,
    Distribution,
    ModelConfig,
    ProviderConfig,
    SimulatedProvider,
    Status,
    key_fingerprint,
)
from agentrm_plugins.testing.provider.headers import go_duration
from agentrm_plugins.testing.provider.schema import example
from agentrm_plugins.testing.provider.seeding import unit


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", 1.5),
        ("rpm", 0),
        ("tpm", -1),
        ("window_s", 0),
        ("time_scale", None),
        ("burst", 0),
        ("burst", 2),
        ("limit_scope", "team"),
        ("charge", "later"),
        ("header_style", "google"),
        ("retry_after", "soon"),
        ("capacity", 0),
        ("capacity_retry_after_s", -1),
        ("hang_rate", 1.1),
        ("hang_s", -1),
        ("slow_factor", 0.5),
        ("error_statuses", (404,)),
        ("error_statuses", ()),
        ("tokens_per_chunk", 0),
        ("agent_rounds", -1),
        ("rejection_cost", -1),
        ("token_time_s", "fast"),
        ("token_time_s", float("nan")),
        ("output_tokens", -1),
        ("usage_factor", -1),
        ("responder", 3),
    ],
)
def test_a_bad_value_is_named(field, value):
    """Each bad value is refused at construction, naming the field and the way out."""
    with pytest.raises(ConfigError) as caught:
        ProviderConfig(**{field: value})
    assert caught.value.field == field
    assert caught.value.remedy


def test_a_bad_combination_is_named():
    """Shares of faults add up to at most 1; models and changes are checked too."""
    with pytest.raises(ConfigError, match="sum at most 1"):
        ProviderConfig(hang_rate=0.6, reset_rate=0.6)
    with pytest.raises(ConfigError, match="ModelConfig"):
        ProviderConfig(models={"m": 3})
    with pytest.raises(ConfigError, match="rpm"):
        ModelConfig(rpm=-1)
    with pytest.raises(ConfigError, match="hang_rate"):
        ModelConfig(hang_rate=2)
    with pytest.raises(ConfigError, match="nonsense"):
        Change(1.0, {"nonsense": 1})
    with pytest.raises(ConfigError, match="at_s"):
        Change(-1.0, {})
    with pytest.raises(ConfigError, match="limit_factor"):
        ProviderConfig(schedule=(Change(1.0, {"limit_factor": -1}),))
    with pytest.raises(ConfigError, match=r"Status\.status"):
        Status(200)
    with pytest.raises(ConfigError, match="retry_after"):
        Status(429, retry_after=-1)


def test_a_raw_key_is_never_shown():
    """A key given where a fingerprint belongs is refused without being printed."""
    with pytest.raises(ConfigError) as caught:
        ProviderConfig(accepted_keys=frozenset({"my-raw-key"}))
    assert "my-raw-key" not in str(caught.value)
    assert len(key_fingerprint("my-raw-key")) == 12


def test_an_unused_provider_says_so():
    """Before the start and after the close each call says what to do."""
    provider = SimulatedProvider()
    with pytest.raises(ClosedError, match="with block"):
        _ = provider.base_url
    provider.close()
    with pytest.raises(ClosedError, match="new one"):
        provider.start()
    with pytest.raises(ConfigError, match="bogus"):
        SimulatedProvider(bogus=1)
    with pytest.raises(ConfigError, match="ProviderConfig"):
        SimulatedProvider({"seed": 1})
    with pytest.raises(ConfigError, match="port"):
        SimulatedProvider(port=70_000)
    assert SimulatedProvider(ProviderConfig(seed=3), rpm=5).config.seed == 3


@pytest.mark.parametrize(
    ("distribution", "median"),
    [
        (Distribution.constant(2.0), 2.0),
        (Distribution.uniform(1.0, 3.0), 2.0),
        (Distribution.lognormal(2.0, 0.5), 2.0),
        (Distribution.exponential(2.0), 1.386),
        (Distribution.exponential(2.0, cap=1.0), 1.0),
    ],
)
def test_distributions_meet_their_median(distribution, median):
    """The quantile at one half is the median that the formula gives."""
    assert distribution.at(0.5) == pytest.approx(median, rel=0.01)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Distribution.constant(-1),
        lambda: Distribution.uniform(3, 1),
        lambda: Distribution.uniform(0, -1),
        lambda: Distribution.lognormal(0, 1),
        lambda: Distribution.exponential(1, cap=0),
    ],
)
def test_a_bad_distribution_is_refused(build):
    """A distribution that could give nonsense is refused at construction."""
    with pytest.raises(ConfigError, match="Distribution"):
        build()


def test_draws_are_even_and_depend_on_each_part():
    """A thousand draws are spread over (0, 1); another seed gives others."""
    draws = [unit(1, "x", index) for index in range(1000)]
    assert 0.45 < sum(draws) / 1000 < 0.55
    assert min(draws) > 0
    assert max(draws) < 1
    assert unit(1, "x") != unit(2, "x") != unit(2, "y")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"),
        (0.012, "12ms"),
        (1, "1s"),
        (8.64, "8.64s"),
        (360, "6m0s"),
        (3723, "1h2m3s"),
        (3600, "1h0m0s"),
    ],
)
def test_durations_look_like_openai_s(seconds, text):
    """Reset headers carry Go's duration format."""
    assert go_duration(seconds) == text


def test_examples_satisfy_their_schema():
    """References, enums, unions, bounds, formats and recursion give plausible values."""
    schema = {
        "$defs": {
            "Node": {
                "type": "object",
                "properties": {"next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}},
            }
        },
        "type": "object",
        "properties": {
            "kind": {"enum": ["a", "b"]},
            "constant": {"const": 7},
            "given": {"type": "integer", "default": 4},
            "count": {"type": "integer", "minimum": 5, "maximum": 9},
            "over": {"type": "integer", "exclusiveMinimum": 5},
            "under": {"type": "number", "exclusiveMaximum": 0},
            "ratio": {"type": "number", "minimum": 0.5, "maximum": 0.7},
            "step": {"type": "integer", "minimum": 7, "multipleOf": 5},
            "when": {"type": "string", "format": "date"},
            "short": {"type": "string", "maxLength": 3},
            "long": {"type": "string", "minLength": 90},
            "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2},
            "pair": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "boolean"}]},
            "maybe": {"type": ["null", "boolean"]},
            "nothing": {"type": "null"},
            "both": {
                "allOf": [
                    {"properties": {"x": {"type": "integer"}}},
                    {"properties": {"y": {"type": "integer"}}},
                ]
            },
            "chain": {"$ref": "#/$defs/Node"},
            "free": {},
        },
    }
    value = example(schema, text="hello world")
    chain = value.pop("chain")
    assert "next" in chain
    assert len(value.pop("long")) == 90
    assert 0.5 <= value.pop("ratio") <= 0.7
    assert value == {
        "kind": "a",
        "constant": 7,
        "given": 4,
        "count": 5,
        "over": 6,
        "under": -1.0,
        "step": 10,
        "when": "2026-01-15",
        "short": "hel",
        "tags": ["hello world", "hello world"],
        "pair": [1, True],
        "maybe": True,
        "nothing": None,
        "both": {"x": 1, "y": 1},
        "free": "hello world",
    }

"""One set of checks: the same words everywhere, no secret in them, and no value too strange."""

from __future__ import annotations

import pickle
from math import inf, nan

import pytest

from agentrm_plugins.config import (
    BreakerConfig,
    BudgetConfig,
    Config,
    ContextConfig,
    EndpointConfig,
    LaneGroup,
    LeaseConfig,
    Price,
    SchedulerConfig,
    ShareConfig,
    TenantConfig,
)
from agentrm_plugins.demo.settings import DemoSettings
from agentrm_plugins.errors import ConfigError
from agentrm_plugins.redaction import HIDDEN, masked, names_a_secret, shown
from agentrm_plugins.testing.provider import ModelConfig, ProviderConfig
from agentrm_plugins.types.calls import Call, Usage

HUGE = 10**5000
WRONG = [HUGE, -HUGE, nan, inf, -inf, True, "1", [1], {"a": 1}, object(), b"x", 1j]

NUMBERS = [
    (lambda v: Usage(v), "input_tokens"),
    (lambda v: Call("a", max_output_tokens=v), "max_output_tokens"),
    (lambda v: Call("a", wait_timeout_s=v), "wait_timeout_s"),
    (lambda v: LaneGroup("g", v), "capacity"),
    (lambda v: SchedulerConfig(share_half_life_s=v), "share_half_life_s"),
    (lambda v: LeaseConfig(silence_timeout_s=v), "silence_timeout_s"),
    (lambda v: TenantConfig(weight=v), "weight"),
    (lambda v: BreakerConfig(share=v), "share"),
    (lambda v: BreakerConfig(least_calls=v), "least_calls"),
    (lambda v: EndpointConfig(rpm=v), "rpm"),
    (lambda v: EndpointConfig(concurrency=v), "concurrency"),
    (lambda v: Price(v, 1), "input_per_1m"),
    (lambda v: BudgetConfig(v, agent="a"), "limit"),
    (lambda v: BudgetConfig(1, agent="a", soft=v), "soft"),
    (lambda v: ShareConfig(v, agent="a"), "share"),
    (lambda v: ContextConfig(budget_tokens=v), "budget_tokens"),
    (lambda v: ContextConfig(hot_share=v), "hot_share"),
    (lambda v: ContextConfig(recency_weight=v), "recency_weight"),
    (lambda v: ProviderConfig(rpm=v), "rpm"),
    (lambda v: ProviderConfig(hang_rate=v), "hang_rate"),
    (lambda v: ProviderConfig(capacity=v), "capacity"),
    (lambda v: ProviderConfig(window_s=v), "window_s"),
    (lambda v: ModelConfig(hang_rate=v), "models[...].hang_rate"),
    (lambda v: DemoSettings(lanes=v), "--lanes"),
    (lambda v: DemoSettings(hang_rate=v), "--hang-rate"),
]
WHOLE = {"input_tokens", "max_output_tokens", "capacity", "least_calls", "concurrency",
         "budget_tokens"}  # fmt: skip


@pytest.mark.parametrize(("make", "field"), NUMBERS)
@pytest.mark.parametrize("value", WRONG, ids=lambda v: type(v).__name__)
def test_whatever_is_no_such_number_is_refused_in_one_line(make, field, value):
    """Whole numbers of 5,000 digits, nan, infinities, booleans, objects: field, value, way out."""
    if value is HUGE and field in WHOLE:
        return  # large, and a whole number all the same
    with pytest.raises(ConfigError) as caught:
        make(value)
    error = caught.value
    assert error.field == field
    assert str(error) == f"{field}={shown(value)}: {error.remedy}"
    assert len(str(error)) < 400
    assert error.remedy.startswith(("give a ", "give seconds "))


@pytest.mark.parametrize(
    ("makers", "value"),
    [
        ((lambda v: BreakerConfig(share=v), lambda v: ProviderConfig(burst=v)), 2),
        ((lambda v: LaneGroup("g", v), lambda v: EndpointConfig(concurrency=v)), 0),
        ((lambda v: EndpointConfig(rpm=v), lambda v: ProviderConfig(rpm=v)), -1),
        ((lambda v: Call("a", total_timeout_s=v), lambda v: LeaseConfig(total_timeout_s=v)), -1),
        ((lambda v: Config(tenants=v), lambda v: Config(prices=v)), 7),
    ],
)  # fmt: skip
def test_the_same_fault_has_the_same_words(makers, value):
    """Two fields of one kind are refused alike, wherever they stand."""
    ways = []
    for make in makers:
        with pytest.raises(ConfigError) as caught:
            make(value)
        ways.append(caught.value.remedy.removesuffix(", or None").replace(" of the quota", ""))
        ways[-1] = ways[-1].replace("TenantConfig", "X").replace("Price", "X")
    assert len(set(ways)) == 1, ways


KEYS = [
    "sk-" + "proj-abcdefgh12345678",
    "sk-" + "ant-api03-abcdefgh",
    "gsk" + "_abcdefghijkl",
    "gh" + "p_" + "a1B2" * 9,
    "xox" + "b-123456-abcdef",
    "AK" + "IAABCDEFGHIJKLMNOP",
    "AI" + "za" + "SyA1b2C3d4E5f6G7h8I9j0K1l2M3",
    "ey" + "JhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcDEF123",
    "Bearer abcdef123456",
    "0123456789abcdef" * 2,
    "Zm9v" + "YmFyMTIzQUJDZGVmNDU2",
    "https://user:" + "hunter2@proxy.example/v1",
    "https://x.example/v1?api" + "_key=hunter2",
]


@pytest.mark.parametrize("key", KEYS)
def test_no_error_shows_a_secret(key):
    """In a field of any name, in a container, in an object's own words, in the pickled error."""

    class Told:
        def __repr__(self) -> str:
            return f"<client {key}>"

    secret = key.rpartition("=")[2] if "=" in key else key
    secret = "hunter2" if "hunter2" in key else secret
    for value in (key, f"told {key} twice", [key], {"x": {"y": key}}, (1, key), Told()):
        error = ConfigError("order", value, "use 'mlfq'")
        assert secret not in str(error)
        assert HIDDEN in str(error)
    again = pickle.loads(pickle.dumps(ConfigError("order", [key], "use 'mlfq'")))
    assert secret not in str(again)
    assert secret not in repr(ConfigError("x", key, "y").value)


def test_a_text_under_the_name_of_a_secret_is_hidden_whole():
    """By the field's name, and by a key's in a mapping; numbers of tokens are no secrets."""
    assert "hush" not in str(ConfigError("api_key", "hush", "give a string"))
    assert "hush" not in str(ConfigError("headers", {"Authorization": "hush"}, "x"))
    assert names_a_secret("x-api-key")
    assert names_a_secret("OPENAI_API_KEY")
    assert not names_a_secret("max_tokens")
    assert not names_a_secret("messages_key")
    assert names_a_secret("key")
    assert shown({"max_tokens": 12}) == "{'max_tokens': 12}"


@pytest.mark.parametrize(
    "harmless",
    ["gpt-4o-2024-08-06", "anthropic.claude-3-5-sonnet-20241022-v2:0", "thread-7", "a/b",
     "550e8400-e29b-41d4-a716-446655440000", "meta-llama/Llama-3.3-70B-Instruct-Turbo",
     "api.openai.com/gpt-4o#abcdef012345", "深圳", ""],
)  # fmt: skip
def test_names_of_models_threads_and_endpoints_are_shown(harmless):
    """What users need to see of their own names they see."""
    assert masked(harmless) == harmless


def test_what_cannot_be_printed_is_named_by_its_type():
    """An object whose repr fails, a text of a megabyte and a deep nest give a short line."""

    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError

    nest: list = []
    nest.append(nest)
    assert shown(Broken()) == "<Broken>"
    assert len(shown("x" * 1_000_000)) <= 205
    assert len(shown(nest)) < 100
    assert shown(b"secret") == "<6 bytes>"


HALF = "a\ud800"


@pytest.mark.parametrize(
    "make",
    [
        lambda: Call(HALF),
        lambda: Call("a", tenant=HALF),
        lambda: Call("a", endpoint=HALF),
        lambda: Call("a", parent_agent=HALF),
        lambda: LaneGroup(HALF, 1),
        lambda: Config(tenants={HALF: TenantConfig()}),
        lambda: Config(endpoints={HALF: EndpointConfig(rpm=1)}),
        lambda: BudgetConfig(1, agent=HALF),
        lambda: ShareConfig(0.5, tenant=HALF),
    ],
)
def test_a_name_that_no_file_can_hold_is_refused_at_the_door(make):
    """Half a surrogate pair would break JSON, stores and servers later; a whole one does not."""
    with pytest.raises(ConfigError, match="half a surrogate pair"):
        make()
    assert Call("ä\U0001f600", tenant="漢").agent == "ä\U0001f600"


def test_a_label_is_for_people_and_written_so_that_it_can_be_read():
    """It is no name: what cannot be written becomes its escape."""
    assert Call("a", label=HALF).label == "a\\ud800"


@pytest.mark.parametrize(
    "code",
    [
        "def f(token=None, secret=False): return token",
        "if token==expected_value: token = read(token)",
        'API_KEY=os.environ["KEY"], token=read_token()',
        "token = tokens2[0]; TOKEN = read_2nd(x)",
        "(token=>other_1), node->token->next_1, token>=limit_1",
        "tokenizer: cl100k_base, tokenization: byte-level, tokenizer='gpt2'",
        "secretary: anne-marie. The signature: 2024-05-01",
        "TOKEN_LIMIT = 8_000_000",
    ],
)
def test_code_and_sentences_about_secrets_are_no_secrets(code):
    """An agent that writes code is replayed with code that runs."""
    assert masked(code) == code


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("PASSWORD = hunter22", "PASSWORD = (hidden)"),
        ("X-Api-Key: abcdefgh", "X-Api-Key: (hidden)"),
        ("password: Tr0ub4dor&3 is it", "password: (hidden) is it"),
        ("PASSWORD=None4you", "PASSWORD=(hidden)"),
        ("https://x.example/?token=abcd&page=2", "https://x.example/?token=(hidden)&page=2"),
    ],
)
def test_secrets_as_files_of_settings_and_headers_have_them_are_hidden(text, kept):
    """Also with an `&` in them, and where the value begins like a word of a program."""
    assert masked(text) == kept

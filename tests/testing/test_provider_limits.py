from __future__ import annotations

import threading
import time

import httpx2
import openai
import pytest

from agentrm_plugins.testing.provider import Change, Hang, ModelConfig, ProviderConfig

MESSAGES = [{"role": "user", "content": "hi"}]


@pytest.fixture
def post():
    """Post one chat completion without any client's retries; gives the raw response."""
    with httpx2.Client(timeout=5) as client:

        def send(provider, key="test-key", model="m", **body):
            return client.post(
                f"{provider.base_url}/chat/completions",
                headers={"authorization": f"Bearer {key}"},
                json={"model": model, "messages": MESSAGES, **body},
            )

        yield send


def test_requests_are_limited_with_openai_s_headers(start, post):
    """The third of two is a 429 that names the limit, the wait and OpenAI's headers."""
    provider = start(rpm=2, tpm=1000, window_s=60, rejection_cost=0)
    first = post(provider, max_tokens=10)
    assert first.headers["x-ratelimit-limit-requests"] == "2"
    assert first.headers["x-ratelimit-remaining-requests"] == "1"
    assert first.headers["x-ratelimit-reset-requests"] == "30s"
    assert first.headers["x-ratelimit-limit-tokens"] == "1000"
    assert first.headers["x-ratelimit-remaining-tokens"] == str(1000 - 10 - 8)
    post(provider, max_tokens=10)
    refused = post(provider, max_tokens=10)
    assert refused.status_code == 429
    assert 29 <= int(refused.headers["retry-after"]) <= 30
    assert 29_000 <= int(refused.headers["retry-after-ms"]) <= 30_000
    error = refused.json()["error"]
    assert (error["type"], error["code"], error["param"]) == (
        "requests",
        "rate_limit_exceeded",
        None,
    )
    assert "requests per min (RPM): Limit 2, Used 2, Requested 1." in error["message"]
    record = provider.log[2]
    assert (record.cause, record.limit_requests, record.limit_tokens) == ("requests", 2, 1000)
    assert provider.statistics().rejected == 1


def test_tokens_are_reserved_and_settled(start, post):
    """Input and max_tokens are taken up front; what was not used comes back at the end."""
    provider = start(tpm=1000, output_tokens=10)
    first = post(provider, max_tokens=900)
    assert first.headers["x-ratelimit-remaining-tokens"] == str(1000 - 908)
    second = post(provider, max_tokens=900)
    assert second.status_code == 200
    assert int(second.headers["x-ratelimit-remaining-tokens"]) >= 1000 - 18 - 908
    provider.reconfigure(charge="reserve_only")
    assert post(provider, max_tokens=700).status_code == 200
    refused = post(provider, max_tokens=700)
    assert refused.status_code == 429
    assert refused.json()["error"]["type"] == "tokens"


def test_actual_charging_lets_in_what_has_input_to_spare(start, post):
    """With charge="actual" only the real usage counts, after the fact, even into debt."""
    provider = start(tpm=100, charge="actual", output_tokens=150)
    assert post(provider, max_tokens=5000).status_code == 200
    assert post(provider, max_tokens=5000).status_code == 429


def test_a_request_larger_than_the_limit_never_passes(start, post):
    """It is told so, and no retry-after promises otherwise."""
    refused = post(start(tpm=100), max_tokens=500)
    assert refused.status_code == 429
    assert "Request too large" in refused.json()["error"]["message"]
    assert "retry-after" not in refused.headers
    assert "retry-after-ms" not in refused.headers


def test_a_window_of_a_tenth_of_a_second(start, chat):
    """Scaled limits refill in real time: the SDK's retry after `retry-after-ms` succeeds."""
    provider = start(rpm=1, window_s=10, time_scale=0.01, burst=1.0)
    model = chat(provider, max_retries=3)
    for _ in range(3):
        assert model.invoke("hi").text
    assert provider.statistics().ok == 3
    assert provider.statistics().rejected >= 1


@pytest.mark.parametrize(
    ("style", "present", "absent"),
    [
        ("openai", "x-ratelimit-reset-tokens", "anthropic-ratelimit-tokens-limit"),
        ("anthropic", "anthropic-ratelimit-tokens-reset", "x-ratelimit-limit-tokens"),
        ("azure", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
        ("gateway", "x-ratelimit-limit-tokens", "x-ratelimit-reset-tokens"),
        ("ietf", "ratelimit-policy", "x-ratelimit-limit-tokens"),
        ("plain", "x-ratelimit-limit", "x-ratelimit-limit-tokens"),
        ("mistral", "x-ratelimit-remaining-tokens-minute", "x-ratelimit-limit-tokens"),
        ("cerebras", "x-ratelimit-reset-tokens-minute", "x-ratelimit-limit-tokens"),
        ("none", "x-request-id", "x-ratelimit-limit-tokens"),
    ],
)
def test_header_styles(start, post, style, present, absent):
    """Each style sends its own headers, on success and on rejection, and its own error body."""
    provider = start(rpm=1, tpm=5000, header_style=style)
    for answer in (post(provider), post(provider)):
        assert present in answer.headers
        assert absent not in answer.headers
    error = answer.json()["error"]
    kinds = {"anthropic": "rate_limit_error", "gateway": "throttling_error"}
    assert error["type"] == kinds.get(style, "requests")
    if style == "anthropic":
        assert answer.headers["anthropic-ratelimit-requests-remaining"] == "0"
        assert answer.headers["anthropic-ratelimit-tokens-reset"].endswith("Z")


@pytest.mark.parametrize(("style", "names"), [("s", {"retry-after"}), ("none", set())])
def test_retry_after_styles(start, post, style, names):
    """Whole seconds only, or nothing at all."""
    provider = start(rpm=1, retry_after=style)
    post(provider)
    answer = post(provider)
    assert {name for name in answer.headers if name.startswith("retry-after")} == names


def test_limits_of_models_and_keys_are_apart(start, post):
    """Each model and each key has its own buckets, or shares them, as the scope says."""
    models = {"big": ModelConfig(rpm=3)}
    provider = start(rpm=1, models=models)
    codes = [post(provider, model=m, key=k).status_code for m in "ab" for k in ("k1", "k2")]
    assert codes == [200] * 4
    assert post(provider, model="a", key="k1").status_code == 429
    assert [post(provider, model="big").status_code for _ in range(4)] == [200] * 3 + [429]
    shared = start(rpm=1, limit_scope="model")
    assert [post(shared, key=k).status_code for k in ("k1", "k2")] == [200, 429]
    keyed = start(rpm=1, limit_scope="key")
    assert [post(keyed, model=m).status_code for m in "ab"] == [200, 429]
    assert "k1" not in repr(provider.log) + repr(provider.statistics())


def test_input_and_output_are_limited_apart(start, post):
    """Anthropic's separate limits; cached input does not count if so configured."""
    provider = start(input_tpm=20, output_tpm=1000, header_style="anthropic")
    assert post(provider, max_tokens=10).status_code == 200
    assert post(provider, max_tokens=10).status_code == 200
    assert post(provider, max_tokens=10).status_code == 429
    assert provider.log[2].cause == "input_tokens"
    cached = start(input_tpm=20, cached_share=0.9, cached_counts=False)
    assert [post(cached).status_code for _ in range(5)] == [200] * 5


def test_capacity_answers_503(start, post):
    """More than `capacity` at once are turned away, with or without a retry-after."""
    provider = start(capacity=1)
    provider.script([Hang()])
    with httpx2.Client(timeout=0.5) as impatient:

        def hang():
            with pytest.raises(httpx2.ReadTimeout):
                body = {"model": "m", "messages": MESSAGES}
                impatient.post(f"{provider.base_url}/chat/completions", json=body)

        caller = threading.Thread(target=hang)
        caller.start()
        provider.wait_for(lambda s: s.in_flight == 1)
        refused = post(provider)
        assert refused.status_code == 503
        assert "retry-after" not in refused.headers
        assert post(provider, model="other").status_code == 200
        provider.reconfigure(capacity_retry_after_s=2.0)
        assert post(provider).headers["retry-after"] == "2"
        caller.join(5)
    provider.wait_for(lambda s: s.in_flight == 0)
    assert post(provider).status_code == 200
    assert provider.statistics().overloaded == 2


def test_an_exhausted_quota_is_not_a_rate_limit(start, chat):
    """insufficient_quota is a 429 with its own code, that key only."""
    provider = start(quota_tokens=20)
    model = chat(provider)
    model.invoke("hi")
    with pytest.raises(openai.RateLimitError) as refused:
        model.invoke("hi")
    assert refused.value.code == refused.value.type == "insufficient_quota"
    assert chat(provider, api_key="another-key").invoke("hi").text


def test_reconfigure_takes_effect_at_once(start, post):
    """New limits, latencies and faults hold for the next request; nonsense is refused."""
    provider = start()
    assert post(provider).status_code == 200
    provider.reconfigure(rpm=1)
    assert [post(provider).status_code for _ in range(2)] == [200, 429]
    provider.reconfigure(rpm=None, error_rate=1.0, error_statuses=(502,))
    assert post(provider).status_code == 502
    assert provider.config.error_rate == 1.0
    for wrong in ({"bogus": 1}, {"seed": 2}, {"rpm": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            provider.reconfigure(**wrong)


def test_limits_fall_and_come_back_by_schedule(start, post):
    """The schedule runs from the first request: 100 %, 40 %, 100 %."""
    provider = start(
        rpm=1000,
        time_scale=0.01,
        schedule=(Change(60.0, {"limit_factor": 1.0}), Change(20.0, {"limit_factor": 0.4})),
    )
    seen = []
    while len(seen) < 3:
        limit = int(post(provider).headers["x-ratelimit-limit-requests"])
        if not seen or seen[-1] != limit:
            seen.append(limit)
    assert seen == [1000, 400, 1000]
    times = [record.started_s for record in provider.log if record.limit_requests == 400]
    assert 0.19 < times[0] - provider.log[0].started_s < 2


def test_fixed_windows(start, post):
    """In a fixed window nothing comes back until its end, then all of it."""
    provider = start(rpm=2, window_s=0.4, window="fixed")
    codes = [post(provider).status_code for _ in range(3)]
    assert codes == [200, 200, 429]
    while (answer := post(provider)).status_code == 429:
        assert int(answer.headers["retry-after-ms"]) <= 400
    assert post(provider).status_code == 200


@pytest.mark.parametrize("style", ["openai", "anthropic", "ietf", "plain", "cerebras"])
def test_resets_can_be_left_out(start, post, style):
    """Limit and remaining stay, and nothing says when they are whole again."""
    answer = post(start(rpm=5, header_style=style, reset_headers=False))
    assert not [name for name in answer.headers if "reset" in name]
    assert ";t=" not in answer.headers.get("ratelimit", "")
    assert [name for name in answer.headers if "ratelimit" in name]


def test_the_structured_fields_of_the_ietf(start, post):
    """A policy per limit with its quota and window, and what is left of each."""
    answer = post(start(rpm=5, tpm=900, header_style="ietf", window_s=30), max_tokens=10)
    assert answer.headers["ratelimit-policy"] == '"requests";q=5;w=30, "tokens";q=900;w=30'
    assert answer.headers["ratelimit"].startswith('"requests";r=4;t=6, "tokens";r=882;t=')


def test_the_older_fields_of_the_ietf(start, post):
    """One dictionary of limit, remaining and reset, with the policy beside it."""
    answer = post(start(rpm=5, header_style="ietf-07", window_s=30), max_tokens=10)
    assert answer.headers["ratelimit-policy"] == "5;w=30"
    assert answer.headers["ratelimit"] == "limit=5, remaining=4, reset=6"


def test_a_limiter_says_its_limit_in_words(start, post):
    """And its resets as moments, in whole seconds of Unix time."""
    provider = start(rpm=1, header_style="limiter", window="fixed", window_s=30)
    before_s = time.time()
    reset_s = float(post(provider).headers["x-ratelimit-reset"]) - before_s
    assert 29.0 <= reset_s <= 32.0
    assert post(provider).json() == {"error": "Rate limit exceeded: 1 per 30 seconds"}


def test_a_gateway_with_clock_minutes(start, post):
    """Limit and remaining, no reset, no retry-after, a code of "429"; the window ends by clock."""
    provider = start(
        rpm=2, window="clock", window_s=1.0, header_style="gateway", retry_after="none"
    )
    refused = [answer for answer in (post(provider) for _ in range(5)) if answer.status_code == 429]
    assert refused
    assert refused[0].json()["error"]["code"] == "429"
    assert refused[0].headers["x-ratelimit-remaining-requests"] == "0"
    assert not [name for name in refused[0].headers if name.startswith("retry") or "reset" in name]
    while post(provider).status_code == 429:
        pass
    assert time.time() % 1.0 < 0.9
    served = [record.started_s for record in provider.log if record.status == 200]
    assert len(served) >= 3


def test_steps_longer_than_the_window_are_refused():
    """An enforcement by the minute of a limit per second makes no sense."""
    with pytest.raises(ValueError, match="enforce_s"):
        ProviderConfig(rpm=5, window_s=1.0, enforce_s=60.0)

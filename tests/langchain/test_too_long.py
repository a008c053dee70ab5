"""What providers say when a prompt is too long, or roles do not take turns: once more, fitted."""

from __future__ import annotations

import itertools

import httpx2
import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI

from agentrm_langchain import wrap_chat_model
from agentrm_langchain.overflow import is_overflow, share_that_fits, wants_turns
from agentrm_plugins import AgentRM
from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from tests.counting.canned import Canned

# As the providers' references, sources and users' reports quote them.
WORDS = {
    "openai": (400, {"message": "This model's maximum context length is 8192 tokens. However, "
               "your messages resulted in 9000 tokens.",
               "code": "context_length_exceeded"}, 8192 / 9000),
    "openai, no numbers": (400, {"message": "Your input exceeds the context window of this model.",
                                 "code": "context_length_exceeded"}, None),
    "vllm": (400, {"message": "This model's maximum context length is 4096 tokens. However, you "
             "requested 5096 tokens (4096 in the messages, 1000 in the completion). Please reduce "
             "the length of the messages or completion.", "type": "BadRequestError"}, 3096 / 4096),
    "vllm, input alone": (400, {"message": "This model's maximum context length is 4096 tokens. "
                          "However, your request has 5000 input tokens. Please reduce the length "
                          "of the input messages.", "type": "BadRequestError"}, 4096 / 5000),
    "vllm, decoder": (400, {"message": "The decoder prompt (length 5000) is longer than the "
                      "maximum model length of 4096."}, 4096 / 5000),
    "mistral": (400, {"message": "Prompt contains 40000 tokens and 0 draft tokens, too large for "
                "model with 32768 maximum context length", "type": "invalid_request_prompt",
                "code": "3051"}, 32768 / 40000),
    "deepseek": (400, {"message": "This model's maximum context length is 65536 tokens. However, "
                 "you requested 70000 tokens (62000 in the messages, 8000 in the completion). "
                 "Please reduce the length of the messages or completion.",
                 "type": "invalid_request_error"}, 57536 / 62000),
    "groq": (400, {"message": "Please reduce the length of the messages or completion.",
                   "type": "invalid_request_error", "code": "context_length_exceeded"}, None),
    "openrouter": (400, {"message": "This endpoint's maximum context length is 131072 tokens. "
                   "However, you requested about 140000 tokens (139000 of text input, 1000 in the "
                   "output). Please reduce the length of either one, or use the middle-out "
                   "transform.", "code": 400}, 130072 / 139000),
    "anthropic": (400, {"message": "prompt is too long: 210000 tokens > 200000 maximum",
                        "type": "invalid_request_error"}, 200 / 210),
    "anthropic, with output": (400, {"message": "input length and `max_tokens` exceed context "
                               "limit: 199211 + 20000 > 200000, decrease input length or "
                               "`max_tokens` and try again"}, 180000 / 199211),
    "xai": (400, {"message": "This model's maximum prompt length is 131072 but the request "
            "contains 537812 tokens."}, 131072 / 537812),
    "gemini": (400, {"message": "The input token count (1200000) exceeds the maximum number of "
               "tokens allowed (1048576).", "code": 400, "status": "INVALID_ARGUMENT"},
               1048576 / 1200000),
    "bedrock": (400, {"message": "Input is too long for requested model."}, None),
    "llama.cpp": (400, {"message": "the request exceeds the available context size, try increasing "
                  "it", "type": "exceed_context_size_error", "code": 400}, None),
    "sglang": (400, {"message": "Requested token count exceeds the model's maximum context length "
               "of 4096 tokens. You requested a total of 6000 tokens: 5000 tokens from the input "
               "messages and 1000 tokens for the completion."}, 3096 / 5000),
    "litellm": (400, {"message": "litellm.ContextWindowExceededError: This model's maximum context "
                "length is 8192 tokens. However, your messages resulted in 9000 tokens.",
                "code": "400"}, 8192 / 9000),
}  # fmt: skip
TURNS = {
    "vllm": "Conversation roles must alternate user/assistant/user/assistant/...",
    "anthropic": 'messages: roles must alternate between "user" and "assistant", but found '
    'multiple "user" roles in a row',
    "deepseek": "deepseek-reasoner does not support successive user or assistant messages "
    "(messages[1] and messages[2] in your input).",
    "perplexity": "After the (optional) system message(s), user or tool message(s) should "
    "alternate with assistant message(s).",
}


def talk(turns=40):
    listed = [SystemMessage("Be brief.")]
    for n in range(turns):
        listed += [HumanMessage(f"Item {n} is KX-{n}. " + "bla " * 40), AIMessage("Noted, go on.")]
    return [*listed, HumanMessage("What is item 3?")]


def asked(refusals, ways, budget=3_000):
    """What the server was asked, refused first; one call after the other in one conversation."""
    server = Canned(text="KX-3", refusals=refusals)
    config = {"metadata": {"thread_id": "t"}}
    with (
        server,
        AgentRM(lanes=1) as rm,
        httpx2.Client() as http,
        ContextLifecycle(ContextConfig(budget_tokens=budget)) as manager,
    ):
        bare = ChatOpenAI(
            model="gpt-4o", base_url=server.base_url, api_key="test-key", max_retries=0,
            http_client=http,
        )  # fmt: skip
        model = wrap_chat_model(bare, rm, context=manager)
        for way in ways:
            if way == "stream":
                list(model.stream(talk(), config))
            else:
                assert model.invoke(talk(), config).text == "KX-3"
        assert rm.statistics().lanes_in_use == 0
        return [request["messages"] for request in server.asked]


@pytest.mark.parametrize("provider", WORDS)
def test_too_long_in_a_providers_words_is_compacted_and_sent_once_more(provider):
    """One more request, smaller; the next turn fits at once."""
    status, error, _ = WORDS[provider]
    first, second, third = asked([(status, {"error": error})], ["invoke", "invoke"])
    size = [sum(len(str(m["content"])) for m in request) for request in (first, second, third)]
    assert size[1] < size[0]
    assert size[2] <= size[0]


@pytest.mark.parametrize("provider", WORDS)
def test_the_share_that_fits_is_read_from_the_words(provider):
    """The window less the answer's maximum, where that was part of what was asked for."""
    _, error, share = WORDS[provider]
    found = share_that_fits(ValueError(f"Error code: 400 - {error}"))
    assert found == (None if share is None else pytest.approx(0.95 * share))


@pytest.mark.parametrize("provider", TURNS)
@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_roles_are_made_to_take_turns_after_a_provider_says_so(provider, way):
    """Once more with notes, recall and task in one message; from then on at once."""
    refusal = (400, {"error": {"message": TURNS[provider], "type": "BadRequestError"}})
    first, second, third = asked([refusal], [way, way], budget=1_000)
    roles = [[message["role"] for message in request] for request in (first, second, third)]
    assert any(a == b for a, b in zip(roles[0], roles[0][1:], strict=False))
    for listed in roles[1:]:
        assert all(a != b for a, b in itertools.pairwise(listed)), listed
    assert second[-1]["content"].endswith("What is item 3?")


def test_a_refusal_that_fitting_does_not_cure_is_raised():
    """The same words again are the caller's: no third request."""
    from openai import BadRequestError

    refusal = (400, {"error": {"message": TURNS["vllm"]}})
    with pytest.raises(BadRequestError):
        asked([refusal, refusal], ["invoke"], budget=1_000)
    with pytest.raises(BadRequestError):
        asked([(400, {"error": {"message": "temperature: must be at most 2"}})], ["invoke"])


def test_other_words_are_neither():
    """Limits, bad keys and bad fields."""
    for words in (
        "Rate limit reached: Limit 30000, Requested 35000",
        "invalid api key",
        "role: bad",
    ):
        assert not is_overflow(ValueError(words))
        assert not wants_turns(ValueError(words))

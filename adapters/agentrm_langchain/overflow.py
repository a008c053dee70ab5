"""A provider will not take a prompt as it is: change what it names, and go again once.

Too long: where our count is an estimate, where the window is smaller than the budget says, or where
something between us and the provider adds to the prompt. Which words mean that is told by the
providers' tables (`Provider.too_long`). Roles in a row: strict chat templates want them to take
turns, and say so in words of their own.
"""

from __future__ import annotations

import re

from agentrm_plugins.integration import wire

__all__ = ["is_overflow", "share_that_fits", "wants_turns"]

_CLASSES = frozenset({"ContextOverflowError", "ContextWindowExceededError"})
_MARGIN = 0.95
"""Of what the provider's numbers allow, for what it adds to the prompt by itself. Guessed."""
_N = r"(\d[\d,]{1,12})"
# Each names the window, what was asked for, and of that the output if it is told apart.
_IN_ALL = (
    # OpenAI, DeepSeek, vLLM, OpenRouter: "... is 4096 tokens. However, you requested about 5000
    # tokens (4000 in the messages, 1000 in the completion)".
    rf"context length is {_N} tokens.{{1,60}}?requested (?:about )?{_N} tokens \({_N} (?:in|of)",
    # SGLang: "... maximum context length of 4096 tokens. You requested a total of 6000 tokens: 5000
    # tokens from the input messages ...".
    rf"context length of {_N} tokens.{{1,60}}?total of {_N} tokens: {_N} tokens from",
)
_WITH_OUTPUT = (
    # Anthropic: "... exceed context limit: 199211 + 20000 > 200000".
    rf"context limit: {_N} \+ {_N} > {_N}",
    # vLLM: "max_tokens is too large: 1000 ... (1000 > 4096 - 4000)".
    rf"\({_N} > {_N} - {_N}\)",
    # Text Generation Inference: "must be <= 4096. Given: 4000 `inputs` tokens and 100".
    rf"must be <= {_N}\. Given: {_N} .{{1,20}} tokens and {_N}",
)
_IN_ALL_RE = [re.compile(text, re.DOTALL) for text in _IN_ALL]
_WITH_OUTPUT_RE = [re.compile(text, re.DOTALL) for text in _WITH_OUTPUT]
_NUMBER = re.compile(r"(?<![\w.])\d[\d,]{2,12}(?![\w])")
_TURNS = re.compile(
    r"(?:role|message)(?:s|\(s\))?.{0,40}(?:must|should) (?:be )?alternat"
    r"|(?:successive|consecutive) (?:user|assistant)"
    r"|alternate (?:between )?.{0,4}user|consecutive messages (?:with|of) the same role",
    re.IGNORECASE,
)
_LOOKED_AT = 4_000
_STATUS = 400
_HTTP = frozenset({400, 413, 422, 500})


def is_overflow(error: BaseException) -> bool:
    """Whether a provider refused a prompt for its length."""
    # By name: older versions of langchain-core have no such class.
    if any(kind.__name__ in _CLASSES for kind in type(error).__mro__):
        return True
    return wire.judge(error)[0].why == "too_long"


def wants_turns(error: BaseException) -> bool:
    """Whether a provider refused roles that do not alternate."""
    return _TURNS.search(wire.spoken(error)[:_LOOKED_AT]) is not None


def share_that_fits(error: BaseException) -> float | None:
    """Read from the provider's words which share of the prompt would fit; None if they do not say.

    Where the answer's maximum is part of what was asked for, it is kept and the prompt gives way.
    """
    text = wire.spoken(error)[:_LOOKED_AT]
    share = _told(text)
    if share is None:
        numbers = [int(found.replace(",", "")) for found in _NUMBER.findall(text)]
        two = [number for number in numbers if number != _STATUS][:2]
        if len(two) < 2 or two[0] == two[1]:  # noqa: PLR2004 - the window and what was asked for
            return None
        share = min(two) / max(two)
    share *= _MARGIN
    return share if 0 < share < 1 else None


def _told(text: str) -> float | None:
    """The share of the prompt that fits, where its words are known: window less output."""
    for pattern in _IN_ALL_RE:
        found = pattern.search(text)
        if found is not None:
            window, asked, prompt = _numbers(found)
            return _share(window - max(0, asked - prompt), prompt)
    for place, pattern in enumerate(_WITH_OUTPUT_RE):
        found = pattern.search(text)
        if found is not None:
            one, two, three = _numbers(found)
            order = ((three, one, two), (two, three, one), (one, two, three))[place]
            window, prompt, output = order
            return _share(window - output, prompt)
    return None


def _numbers(found: re.Match[str]) -> tuple[int, int, int]:
    one, two, three = (int(text.replace(",", "")) for text in found.groups())
    return one, two, three


def _share(room: int, prompt: int) -> float:
    return room / prompt if room > 0 < prompt else 0.0

"""The right token counter for a model: exact where the encoding ships, estimated elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from tiktoken.model import MODEL_PREFIX_TO_ENCODING, MODEL_TO_ENCODING

from agentrm_plugins.counting.ranks import SHIPPED, EncodingDataError, load_encoding
from agentrm_plugins.counting.tokens import TokenCounter, estimate_text

__all__ = ["counter_for", "encoding_name"]

_LATER_PREFIXES = (("gpt-4.1", "o200k_base"), ("gpt-4o", "o200k_base"), ("gpt-5", "o200k_base"),
                   ("o4", "o200k_base"), ("gpt-oss", "o200k_harmony"))  # fmt: skip
"""Models that the lowest supported tiktoken does not list."""


def encoding_name(model: str) -> str | None:
    """Name the shipped encoding of a model; None when it has none. Never loads or downloads."""
    name = model.rpartition("/")[2] if model.startswith(("openai/", "azure/")) else model
    found = MODEL_TO_ENCODING.get(name)
    if found is None:
        pairs = sorted(MODEL_PREFIX_TO_ENCODING.items(), key=lambda pair: -len(pair[0]))
        for prefix, encoding in (*pairs, *_LATER_PREFIXES):
            if name.startswith(prefix):
                found = encoding
                break
    return found if found in SHIPPED else None


def counter_for(model: str) -> TokenCounter:
    """Make a counter. The encoding is loaded at the first count, once per process.

    A model that tiktoken does not know is counted by o200k_base times a factor, and where the rank
    file cannot be read by `estimate_text`; `counter.exact` tells.
    """
    name = encoding_name(model)
    return TokenCounter(model, _lazy(name or "o200k_base"), exact=name is not None)


@cache
def _lazy(encoding: str) -> Callable[[str], int]:
    def count(text: str) -> int:
        try:
            return len(load_encoding(encoding).encode_ordinary(text))
        except EncodingDataError:
            return estimate_text(text)
        except BaseException as error:
            # The encoder panics when its regular expressions overflow the stack.
            if type(error).__name__ != "PanicException":
                raise
            return estimate_text(text)

    return count

"""How many tokens a call will send, counted before it is made: by the core's one count.

It is the count that the context's budget goes by, and the OpenAI SDK's requests: exact for texts of
models whose encoding ships, stated estimates elsewhere. The messages are read in place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentrm_langchain.messages import parts_of
from agentrm_plugins.integration import form_of, request_counter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langchain_core.messages import BaseMessage

__all__ = ["input_tokens"]


def input_tokens(messages: Sequence[BaseMessage], options: Mapping[str, Any], model: str) -> int:
    """Tokens of a request.

    Args:
        messages: The prompt.
        options: The call's other arguments: tools, functions and a response format count too.
        model: Its name, "" if that is not known.
    """
    form = form_of(options) if options else ()
    return request_counter(model).request(map(parts_of, messages), form)

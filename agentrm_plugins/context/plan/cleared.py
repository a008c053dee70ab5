"""Whether a tool's result that a caller shows otherwise than before is the same result."""

from __future__ import annotations

from agentrm_plugins.context.notes.note import TOOLS, squeezed
from agentrm_plugins.context.notes.values import values_of
from agentrm_plugins.context.plan.bodies import Source, identity_of, role_of, within
from agentrm_plugins.context.plan.entry import Entry
from agentrm_plugins.counting.tokens import TokenCounter
from agentrm_plugins.types.message import Message, from_openai, plain_text

__all__ = ["cleared"]


def cleared(entry: Entry, source: Source, place: int, counter: TokenCounter) -> bool:
    """Whether a tool result is shown cleared or shortened, or whole again: the same result.

    Another role or call, or what was not there before ("pending", then the result), is new.
    """
    if entry.role not in TOOLS or role_of(source) != entry.role:
        return False
    message = within(source) if isinstance(source, Message) else from_openai(source, place)
    if message.tool_call_id != entry.answers:
        return False
    if identity_of(message) == entry.digest:
        return True
    known = entry.message
    tokens, most = counter.message(message), entry.tokens
    if known is None:
        return tokens <= most
    most = max(most, counter.message(known))
    if tokens * 2 <= most:
        return True
    said = squeezed(plain_text(known))
    told = values_of(plain_text(message))
    return tokens <= most and all(value.norm in said for value in told)

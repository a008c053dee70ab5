"""One message as a caller hands it over: read, checked, made an entry. Pure."""

from __future__ import annotations

from agentrm_plugins.context.plan.bodies import Source, body_of, identity_of, within
from agentrm_plugins.context.plan.entry import Entry, time_of
from agentrm_plugins.errors import BadMessage
from agentrm_plugins.types.message import KNOWN_BLOCKS, Message, from_openai

__all__ = ["entry_of", "read"]


def read(source: Source, place: int, unknown_blocks: str, repairs: list[str]) -> Message:
    """Read a message; a content block of unknown type is passed on and told, or refused.

    Args:
        source: The message.
        place: Its index in the caller's list, for what is told.
        unknown_blocks: "keep" or "error".
        repairs: Gets what is told.

    Raises:
        BadMessage: A message that no provider would take, or a block of unknown type with "error".
    """
    message = within(source) if isinstance(source, Message) else from_openai(source, place)
    if isinstance(message.content, str):
        return message
    for at, block in enumerate(message.content):
        kind = str(block.get("type"))
        if kind in KNOWN_BLOCKS:
            continue
        where = f"messages[{place}].content[{at}].type={kind!r}"
        if unknown_blocks == "error":
            way = f"use one of {', '.join(sorted(KNOWN_BLOCKS))}, or unknown_blocks='keep'"
            raise BadMessage(f"{where}: unknown content block; {way}")
        repairs.append(f"{where}: passed on as it is, counted by its JSON text")
    return message


def entry_of(message: Message, seq: int, mark: int, tokens: int, now_s: float) -> Entry:
    """Make an entry of a message that is new.

    Args:
        message: The message.
        seq: Its place.
        mark: Its fingerprint in this process.
        tokens: Its count.
        now_s: Seconds since the epoch, where the message does not tell when it was said.
    """
    body = body_of(message)
    return Entry(
        seq=seq,
        role=message.role,
        tokens=tokens,
        digest=identity_of(message, body),
        mark=mark,
        at_s=time_of(message, now_s),
        message=message,
        calls=tuple(call.id for call in message.tool_calls),
        answers=message.tool_call_id,
        empty=not message.content and not message.tool_calls,
        body=body,
    )

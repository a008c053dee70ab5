"""Messages as they are archived and told apart: read, bounded, written, fingerprinted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from agentrm_plugins.context.plan.align import digest_of
from agentrm_plugins.errors import BadMessage, StoreCorrupt
from agentrm_plugins.types.message import FRAMEWORK, Message, copied, from_openai, read_openai
from agentrm_plugins.types.plain import is_plain, json_text

__all__ = [
    "Source",
    "body_of",
    "check_list",
    "identity_in",
    "identity_of",
    "message_of",
    "role_of",
    "within",
]

Source = Mapping[str, Any] | Message
_TIGHT = (",", ":")
LONG_CHARS = 200_000
"""About half a millisecond of writing. Guessed."""


_USUAL = frozenset({dict, Message})


def check_list(messages: Any, known: int = 0) -> None:
    """Refuse what is no list of messages.

    Args:
        messages: What a caller hands over.
        known: So many at its head were looked at before.

    Raises:
        BadMessage: The text names the place and what stands there.
    """
    if not isinstance(messages, Sequence) or isinstance(messages, str | bytes):
        way = "give a list of messages"
        raise BadMessage(f"messages={type(messages).__name__}: {way}")
    fresh = messages[known:] if known else messages
    if set(map(type, fresh)) <= _USUAL:
        return
    for at, source in enumerate(fresh, known):
        if type(source) is not dict and not isinstance(source, Message | Mapping):
            way = "give a dict with 'role' and 'content', or a Message"
            raise BadMessage(f"messages[{at}]={type(source).__name__}: {way}")


def body_of(message: Message) -> str:
    """Give a message as the JSON text that is archived."""
    return _written(message.to_openai())


def _written(data: Mapping[str, Any]) -> str:
    body = "".join(_parts(data))
    try:
        body.encode()
    except UnicodeEncodeError:
        # Half a surrogate pair, as from an answer that was cut: no store takes it unescaped.
        body = json_text(data, ensure_ascii=True, separators=_TIGHT)
    return body


def _parts(data: Any) -> Iterator[str]:
    """Write JSON text; a long text in slices, so that no other thread waits for all of it."""
    if isinstance(data, str) and len(data) > LONG_CHARS:
        yield '"'
        for at in range(0, len(data), LONG_CHARS):
            yield json_text(data[at : at + LONG_CHARS])[1:-1]
        yield '"'
    elif isinstance(data, Mapping) and _holds_long(data.values()) and _has_names(data):
        yield "{"
        for at, (key, value) in enumerate(data.items()):
            yield ("," if at else "") + json_text(key) + ":"
            yield from _parts(value)
        yield "}"
    elif isinstance(data, list | tuple) and _holds_long(data):
        yield "["
        for at, value in enumerate(data):
            yield "," if at else ""
            yield from _parts(value)
        yield "]"
    else:
        yield json_text(data, separators=_TIGHT)


def _has_names(data: Mapping[Any, Any]) -> bool:
    return all(isinstance(key, str) for key in data)


def _holds_long(values: Iterable[Any]) -> bool:
    for value in values:
        if isinstance(value, str):
            if len(value) > LONG_CHARS:
                return True
        elif isinstance(value, Mapping):
            if _holds_long(value.values()):
                return True
        elif isinstance(value, list | tuple) and _holds_long(value):
            return True
    return False


def identity_of(message: Message, body: str | None = None) -> str:
    """Fingerprint a message by what is sent of it, not by what a framework keeps beside it.

    Args:
        message: The message.
        body: As `body_of` gave it, if that is known.
    """
    if message.raw is None or FRAMEWORK not in message.raw:
        return digest_of(body_of(message) if body is None else body)
    sent = {key: value for key, value in message.raw.items() if key != FRAMEWORK}
    return digest_of("".join(_parts(sent)))


def identity_in(source: Source, place: int) -> str:
    """Fingerprint a message as a caller hands it over; the same as `identity_of` what is read.

    Raises:
        BadMessage: A message that no provider would take.
    """
    if isinstance(source, Message):
        return identity_of(within(source))
    if not is_plain(source) or FRAMEWORK in source:
        return identity_of(from_openai(source, place))
    return digest_of(_written(source))


_READ = json.JSONDecoder().raw_decode
"""As `json.loads`, without its steps around it: waking reads hundreds."""


def message_of(body: str) -> Message:
    """Read an archived message.

    Raises:
        StoreCorrupt: The text is no message.
    """
    try:
        read, end = _READ(body)
        return read_openai(read if end == len(body) else json.loads(body))
    except (ValueError, AttributeError, RecursionError) as error:
        way = "its text is damaged; restore a copy of the archive"
        raise StoreCorrupt(f"an archived message cannot be read ({error}); {way}") from error


def within(message: Message) -> Message:
    """Give a caller's own message; where it is nested without an end, one that is not."""
    parts = {"content": message.content, "metadata": message.metadata}
    if is_plain(parts) and is_plain(message.raw):
        return message
    parts = copied(parts)  # to the depth that it has inside the message, so as it is read back
    if not isinstance(parts["content"], str):
        parts["content"] = tuple(parts["content"])
    return replace(message, raw=copied(message.raw), **parts)


def role_of(source: Source) -> Any:
    """Give a message's role as it stands there."""
    return source.role if isinstance(source, Message) else source.get("role")

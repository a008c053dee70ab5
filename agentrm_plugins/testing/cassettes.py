"""Settings for vcrpy with which a cassette of model calls can be kept in a repository.

What is written is what is listed here, everything else is left out: no key, no cookie, no
organisation, no name of a machine. The headers that a rate controller lives on are kept. Leave
`allow_playback_repeats` off (vcrpy's default): each recording then plays once and in its order, so
that "429, then 200" replays as just that.

vcrpy is not imported here: the result is a plain dict, for `vcr.VCR(**vcr_config())` or for the
`vcr_config` fixture of pytest-recording.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit, urlunsplit

__all__ = ["vcr_config"]

_REQUEST_HEADERS = frozenset({"accept", "content-type", "host"})
_RESPONSE_HEADERS = re.compile(
    r"content-type|retry-after(-ms)?|x-should-retry|x-ratelimit-.+|anthropic-ratelimit-.+",
    re.IGNORECASE,
)
_SECRETS = re.compile(rb"(?:sk|sess|pk)-[\w*-]{6,}|\borg-[\w-]+|\bproj_\w+")


def _scrubbed(data: bytes | str) -> bytes:
    return _SECRETS.sub(b"scrubbed", data.encode() if isinstance(data, str) else data)


def vcr_config(origin: str = "https://api.openai.com") -> dict[str, Any]:
    """Keyword arguments for `vcr.VCR`.

    Args:
        origin: Scheme and host that are written instead of the real ones, so that a recording
            made elsewhere (a proxy, a simulated provider on some port) replays without it.
    """
    wanted = urlsplit(origin)

    def request(recorded: Any) -> Any:
        there = urlsplit(recorded.uri)
        recorded.uri = urlunsplit((wanted.scheme, wanted.netloc, *there[2:]))
        kept = {k: v for k, v in recorded.headers.items() if k.lower() in _REQUEST_HEADERS}
        recorded.headers = {**kept, "host": wanted.netloc}
        return recorded

    def response(recorded: dict[str, Any]) -> dict[str, Any]:
        headers = recorded["headers"].items()
        kept = {key: value for key, value in headers if _RESPONSE_HEADERS.fullmatch(key)}
        body = {**recorded["body"], "string": _scrubbed(recorded["body"]["string"])}
        return {**recorded, "headers": kept, "body": body}

    return {
        # The port and the host are where it was recorded; the path and the body are what was asked.
        "match_on": ["method", "path", "query", "body"],
        "decode_compressed_response": True,
        "before_record_request": request,
        "before_record_response": response,
    }

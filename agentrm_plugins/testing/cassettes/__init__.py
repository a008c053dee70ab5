"""Cassettes of model calls that can be kept in a repository, recorded and replayed with vcrpy.

What is written is what is listed in `fields`, everything else is left out: no key, no cookie, no
account, no name of a machine. The headers that a rate controller lives on are kept. Leave
`allow_playback_repeats` off (vcrpy's default): each recording then plays once and in its order, so
that "429, then 200" replays as just that.

`vcr_config` gives a plain dict for `vcr.VCR(**vcr_config())` or for the `vcr_config` fixture of
pytest-recording; `cassette` records or replays one, and says in a few lines what differs when a
request does not fit. vcrpy is imported when that is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agentrm_plugins.errors import CassetteMismatch
from agentrm_plugins.testing.cassettes.mismatch import explain
from agentrm_plugins.testing.cassettes.scrub import Scrubber

__all__ = ["CassetteMismatch", "cassette", "mismatch_in", "vcr_config"]

_ORIGIN = "https://api.openai.com"


def vcr_config(origin: str = _ORIGIN) -> dict[str, Any]:
    """Keyword arguments for `vcr.VCR`.

    Args:
        origin: Scheme and host that are written instead of the real ones, so that a recording
            made elsewhere (a proxy, a simulated provider on some port) replays without it.
    """
    scrubber = Scrubber(origin)
    return {
        # The port and the host are where it was recorded; the path and the body are what was asked.
        "match_on": ["method", "path", "query", "body"],
        "decode_compressed_response": True,
        "before_record_request": scrubber.request,
        "before_record_response": scrubber.response,
    }


@contextmanager
def cassette(path: str | Path, *, origin: str = _ORIGIN, record_mode: str = "none") -> Iterator[Any]:
    """Replay a cassette in this block, or record it.

    Args:
        path: Its file.
        origin: As for `vcr_config`.
        record_mode: vcrpy's: "none" replays, "all" records over what was there.

    Yields:
        vcrpy's cassette.

    Raises:
        CassetteMismatch: A request that no recording fits; the text says what differs.
    """
    try:
        import vcr
    except ModuleNotFoundError as error:
        msg = "cassettes need vcrpy: pip install 'agentrm-plugins[cassettes]'"
        raise ModuleNotFoundError(msg, name=error.name) from None
    try:
        with vcr.VCR(**vcr_config(origin)).use_cassette(str(path), record_mode=record_mode) as used:
            yield used
    except Exception as error:
        found = mismatch_in(error)
        if found is None:
            raise
        raise found from None


def mismatch_in(error: BaseException) -> CassetteMismatch | None:
    """Find vcrpy's refusal in an error, its causes and its group; None if there is none.

    For a test's own hook: pytest's plugin `agentrm_plugins.testing.fixtures` uses it.
    """
    waiting, seen = [error], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if type(one).__name__ == "CannotOverwriteExistingCassetteException":
            return _explained(one)
        waiting += [other for other in (one.__cause__, one.__context__) if other is not None]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
    return None


def _explained(error: Any) -> CassetteMismatch:
    used = error.cassette
    asked = used.filter_request(error.failed_request)
    played = [used.play_counts[number] > 0 for number in range(len(used.requests))]
    return CassetteMismatch(explain(asked, used.requests, played, Path(used._path).name))  # noqa: SLF001

"""Whether the configuration holds, its files can be written, and its fleet can be reached."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from agentrm_plugins.cli.doctor.finding import NOTE, OK, PROBLEM, Finding
from agentrm_plugins.config import Coordination
from agentrm_plugins.errors import ConfigError
from agentrm_plugins.hosts.journal import plain
from agentrm_plugins.settings import Settings, load
from agentrm_plugins.telemetry.timeline.fleet import fleet_rows, told_of
from agentrm_plugins.types.looking import Unopened

__all__ = ["configured", "fleet", "left_closed", "store", "writable"]

_WAYS = {
    "process": "it has not exchanged for half a lease: see whether it stands still, or make "
    "lease_s longer",
    "limit": "nobody goes there now; `agentrm top` says why",
}
_LEASE_S = 5.0  # of the look at the fleet's server: it waits a fifth of that for each answer


def configured() -> tuple[list[Finding], Settings | None]:
    """The configuration that `AgentRM.from_config` would find here."""
    try:
        found = load()
    except ConfigError as error:
        return [Finding("config", PROBLEM, str(error), "mend it, then run `agentrm config`")], None
    said = sorted({source.rpartition(":")[0] or source for source in found.origins.values()})
    text = f"read from {', '.join(said)}" if said else "nothing is configured here: all defaults"
    findings = [Finding("config", OK, text)]
    path = found.record.get("path")
    if isinstance(path, str):
        findings.append(writable(Path(path), "record"))
    if found.coordination is not None:
        findings += fleet(found.coordination)
    return findings, found


def left_closed(closed: Unopened) -> Iterator[Finding]:
    """What a program's cores would have opened, had it not only been looked at."""
    for path in dict.fromkeys(closed.records):
        found = writable(Path(path), "record")
        text = f"{found.text}; recording was off while doctor imported the program"
        yield replace(found, text=text) if found.status == OK else found
    if closed.monitors:
        yield Finding("monitor", OK, "was off while doctor imported the program: no socket")


def writable(path: Path, check: str) -> Finding:
    """Whether a file can be written; it is not opened."""
    try:
        folder = path.absolute().parent
        while not folder.exists():  # the recorder makes them
            folder = folder.parent
        target = path if path.exists() else folder
    except (OSError, ValueError) as error:  # too long a name, a folder that may not be entered
        return Finding(check, PROBLEM, f"{path}: {error}"[:300], "give the path of another file")
    if path.is_dir():
        return Finding(check, PROBLEM, f"{path} is a folder", "give the path of a file")
    if not folder.is_dir():
        return Finding(check, PROBLEM, f"{folder} is no folder", "give the path of another file")
    if not os.access(target, os.W_OK):
        return Finding(check, PROBLEM, f"{path} may not be written", f"chmod u+w {target}")
    return Finding(check, OK, f"{path} can be written")


def store(context: Any) -> Finding:
    """The archive of a `ContextLifecycle`: whether it can be written, and who may read it."""
    path = str(getattr(context.store, "path", ""))
    kind = type(context.store).__name__
    if not path or path == ":memory:":
        text = f"{kind} keeps conversations in memory: they end with the process"
        return Finding("store", NOTE, text, "ContextLifecycle(store=SqliteStore('archive.db'))")
    found = writable(Path(path), "store")
    if found.status == OK and Path(path).exists():
        mode = stat.S_IMODE(Path(path).stat().st_mode)
        if mode & 0o077:
            text = f"{path} can be read by others (mode {mode:04o}): it holds conversations"
            return Finding("store", PROBLEM, text, f"chmod 600 {path}")
    return found


def fleet(coordination: Coordination) -> Iterator[Finding]:
    """Whether the server of a coordination answers, its version, and who is there."""
    from agentrm_plugins.fleet.link import Link, Unreachable

    try:
        link = Link(replace(coordination, lease_s=_LEASE_S))
    except ConfigError as error:
        yield Finding("coordination", PROBLEM, str(error), error.remedy)
        return
    with closing(link):
        try:
            link.look()
            told, members = link.seen()
            looked = link.looked()
        except (ConfigError, Unreachable) as error:
            way = "start the server, or correct the URL; an empty AGENTRM_COORDINATION is alone"
            yield Finding("coordination", PROBLEM, plain(error), getattr(error, "remedy", way))
            return
    text = f"{link.shown} answers: {told}; {members} process(es) in {link.namespace!r}"
    yield Finding("coordination", OK, text)
    yield from shared(looked)


def shared(looked: Mapping[str, Any]) -> Iterator[Finding]:
    """Who holds what in a fleet, and what it may do: as `Link.looked` gives it."""
    from agentrm_plugins.fleet.view import endpoint_of, lanes_of, peer_of

    peers = [asdict(peer_of(row)) for row in looked["peers"] or ()]
    plain = {
        "lanes": {name: asdict(one) for name, one in lanes_of(looked["pool"] or {}).items()},
        "peers": peers,
        "endpoints": {
            name: asdict(endpoint_of(share))
            for name, share in sorted(dict(looked["shares"] or {}).items())
        },
    }
    if not peers:
        return
    for row in fleet_rows(plain):
        status = NOTE if row.alarm else OK
        yield Finding("fleet", status, told_of(row), _WAYS[row.what] if row.alarm else "")

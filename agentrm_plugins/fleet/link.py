"""The way to the server: a client, the script, and what its errors mean.

The client's own retries are switched off: an exchange is sent again by its number, and what is
sent late must not be sent for ever. Errors are told apart by the names of their classes, which
redis-py and valkey-py share.
"""

from __future__ import annotations

import hashlib
import json
import logging
from importlib import import_module
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from agentrm_plugins.errors import ConfigError, CoordinatorUnavailable
from agentrm_plugins.redaction import without_login
from agentrm_plugins.types.plain import parsed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentrm_plugins.config.fleet import Coordination

__all__ = ["Link", "Unreachable"]

_LOG = logging.getLogger("agentrm.fleet")
_SCRIPT = files("agentrm_plugins.fleet").joinpath("sync.lua").read_text(encoding="utf-8")
_LOOK = files("agentrm_plugins.fleet").joinpath("look.lua").read_text(encoding="utf-8")
_SHA = hashlib.sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()
_PARTS = ("s", "m", "x", "h", "n", "o", "e", "r", "g", "y")
_SCHEMES = ("redis", "rediss", "unix", "valkey", "valkeys")
_OLDEST = (6, 0)
_LONGEST_S = 5.0  # guessed: a server that is silent for so long does not answer any more
_IN_SCRIPT = "user executing the script can't"  # NOPERM's words for a command of a script
_COMMANDS = (
    "+eval +evalsha +blpop +lpush +exists +pexpire +time +hget +hset +hmget +hdel +hlen +hexists "
    "+zadd +zrem +zrange +zrangebyscore +zcard +zrank"
)


class Unreachable(Exception):
    """The server did not answer, or not as it should; or it was only `slow`."""

    def __init__(self, text: str, *, slow: bool = False) -> None:
        super().__init__(text)
        self.slow = slow


class Link:
    """A way to one namespace on one server.

    Args:
        coordination: Where it is, and how it is called.

    Raises:
        ConfigError: The server cannot be understood, or the client library is missing.
    """

    def __init__(self, coordination: Coordination) -> None:
        self._timeout_s = min(max(0.25, coordination.lease_s / 5), _LONGEST_S)
        self.namespace = coordination.namespace
        self.shown = _shown(coordination.server)
        self._server = coordination.server
        self.prefix = f"{{arm:{coordination.namespace}}}:"
        self._keys = [self.prefix + part for part in _PARTS]
        self._client, self._waker = self._clients()
        self._warned = False

    def _clients(self) -> tuple[Any, Any]:
        """A client for exchanges, and one that waits to be woken."""
        server = self._server
        if not isinstance(server, str):
            if not hasattr(server, "evalsha") or hasattr(server, "__aenter__"):
                raise ConfigError.of_kind(
                    "coordination",
                    server,
                    "give a URL, or a synchronous client of redis-py or valkey-py",
                )
            return _own(server, self._timeout_s), _own(server, self._timeout_s + 2.0)
        if urlsplit(server).scheme not in _SCHEMES:
            raise ConfigError(
                "coordination", self.shown, "use redis://, rediss:// or unix://, or give a client"
            )
        redis = _library()
        url = server.replace("valkey", "redis", 1) if server.startswith("valkey") else server
        try:
            return tuple(
                getattr(redis, "Redis", redis).from_url(
                    url,
                    socket_timeout=timeout_s,
                    retry=_no_retry(redis),
                    **({} if url.startswith("unix") else {"socket_connect_timeout": 1.0}),
                )
                for timeout_s in (self._timeout_s, self._timeout_s + 2.0)
            )
        except ValueError as error:
            way = "give a URL as redis://user:password@host:6379/0"
            raise ConfigError("coordination", self.shown, way) from error.__class__(way)

    def reset(self) -> None:
        """In the child after a fork: connections of its own."""
        self._client, self._waker = self._clients()

    # -- exchanges ----------------------------------------------------------------------------

    def exchange(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Send an exchange.

        Raises:
            Unreachable: There was no answer, or one that is none.
            ConfigError: The server refuses us, and will go on doing so.
        """
        text = json.dumps(asked, separators=(",", ":"))
        arguments = (*self._keys, text, f"{self.prefix}w:", "")
        try:
            try:
                answer = self._client.evalsha(_SHA, len(self._keys), *arguments)
            except Exception as error:
                if "NoScriptError" not in _names(error):
                    raise
                answer = self._client.eval(_SCRIPT, len(self._keys), *arguments)
            told: dict[str, Any] = parsed(answer)
        except Exception as error:  # noqa: BLE001 - of whichever client, or JSON
            self._explain(error)
            text = f"{self.shown}: {type(error).__name__}: {error}"
            raise Unreachable(text, slow="TimeoutError" in _names(error)) from None
        if "protocol" in told:
            raise ConfigError(
                "namespace",
                self.namespace,
                f"its processes speak version {told['protocol']} of the exchange and this one "
                f"version {asked['v']}; let the older ones end first, or use another namespace",
            )
        return told

    def _explain(self, error: Exception) -> None:
        """Raise what a user has to mend."""
        names, text = _names(error), str(error)
        if "NoPermissionError" in names or "NOPERM" in text or _IN_SCRIPT in text:
            raise ConfigError(
                "coordination",
                self.shown,
                "its user lacks a permission (NOPERM); give it: "
                f"ACL SETUSER <name> '~{self.prefix}*' {_COMMANDS}",
            ) from None
        refused = (
            "AuthenticationError",
            "AuthorizationError",
            "AuthenticationWrongNumberOfArgsError",
        )
        words = ("NOAUTH", "WRONGPASS", "invalid username-password", "invalid password")
        if names & set(refused) or any(word in text for word in words):
            raise ConfigError(
                "coordination",
                self.shown,
                "the server wants another user or password; put them into the URL "
                "(redis://user:password@host) or into the client",
            ) from None
        if "non deterministic" in text or "Unknown Redis command" in text:
            raise ConfigError(
                "coordination", self.shown, "the server is too old; use Redis 6, Valkey, or newer"
            ) from None

    def look(self) -> None:
        """Look at the server's version and memory policy, if we may.

        Raises:
            ConfigError: It is too old.
        """
        try:
            info = self._client.info()
        except Exception:  # noqa: BLE001 - not permitted, or a cluster: then it is not looked at
            return
        version = str(info.get("redis_version", "")) if isinstance(info, dict) else ""
        if version and version[0].isdigit():
            numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
            if numbers < _OLDEST:
                raise ConfigError(
                    "coordination", self.shown, f"Redis {version} is too old; use 6 or newer"
                )
        policy = info.get("maxmemory_policy", "") if isinstance(info, dict) else ""
        if info and info.get("maxmemory") and policy not in {"", "noeviction"}:
            _LOG.warning(
                "the fleet's server %s evicts keys (maxmemory-policy %s): use noeviction, or give "
                "the fleet a server of its own; what is lost heals, with a pause",
                *(self.shown, policy),
            )

    def seen(self) -> tuple[str, int]:
        """The server in words, and how many members its namespace has. For people.

        Raises:
            Unreachable: There was no answer.
        """
        try:
            members = self._client.hlen(f"{self.prefix}m")
        except Exception as error:  # noqa: BLE001 - of whichever client
            raise Unreachable(f"{self.shown}: {type(error).__name__}: {error}") from None
        try:
            info = self._client.info("server")
        except Exception:  # noqa: BLE001 - a user who may not ask
            return "a server whose version it does not tell", members
        name = "Valkey" if "valkey_version" in info else "Redis"
        number = info.get("valkey_version") or info.get("redis_version") or "of unknown version"
        return f"{name} {number}", members

    def looked(self, most: int = 50) -> dict[str, Any]:
        """Who is in the namespace, what each holds, what endpoints allow. Nobody joins by it.

        Args:
            most: Members that are told of at most: those whose lease ends first.

        Raises:
            Unreachable: There was no answer.
            ConfigError: The server refuses us.
        """
        try:
            told: dict[str, Any] = json.loads(
                self._client.eval(_LOOK, len(self._keys), *self._keys, most)
            )
        except Exception as error:  # noqa: BLE001 - of whichever client, or JSON
            self._explain(error)
            raise Unreachable(f"{self.shown}: {type(error).__name__}: {error}") from None
        return told

    def woken(self, member: str, timeout_s: float) -> bool:
        """Block until somebody wakes this member, at most so long.

        Raises:
            Unreachable: The server cannot be asked.
        """
        try:
            return bool(self._waker.blpop([f"{self.prefix}w:{member}"], timeout=timeout_s))
        except Exception as error:  # noqa: BLE001 - of whichever client
            if "NOPERM" in str(error) or "NoPermissionError" in _names(error):
                self._warn_of_waking()
            raise Unreachable(str(error)) from None

    def _warn_of_waking(self) -> None:
        """The user may exchange and not wait: the fleet works, more slowly. Said once."""
        if not self._warned:
            self._warned = True
            _LOG.warning(
                "nobody can wake this process, for its user at %s may not (NOPERM): it looks at "
                "told times instead; give the user +blpop, or say Coordination(wake=False)",
                self.shown,
            )

    def close(self) -> None:
        """Close the connection for exchanges; a client of the user's is left to the user."""
        if self._client is not self._server:
            _close(self._client)

    def close_waker(self) -> None:
        """Close the connection that waits.

        Only whoever waits may: a socket that is closed under a thread may be somebody else's by the
        time that the thread looks at it, and then it waits there.
        """
        if self._waker is not self._server:
            _close(self._waker)


def _close(client: Any) -> None:
    try:
        client.close()
    except Exception:  # noqa: BLE001 - it is given up anyway
        _LOG.debug("a connection to the fleet's server did not close", exc_info=True)


def _library() -> Any:
    try:
        import redis
    except ImportError:
        try:
            valkey = import_module("valkey")
        except ImportError:
            way = "a URL needs a client: pip install 'agentrm-plugins[redis]'"
            raise ConfigError.of_kind("coordination", "", way) from None
        return valkey
    return redis


def _no_retry(library: Any) -> Any:
    name = library.__name__
    retry = import_module(f"{name}.retry").Retry
    return retry(import_module(f"{name}.backoff").NoBackoff(), 0)


def _own(client: Any, timeout_s: float) -> Any:
    """A client like the user's with our timeouts, where that can be made; else the user's own."""
    pool = getattr(client, "connection_pool", None)
    kind = type(client).__module__.partition(".")[0]
    if pool is None or type(pool).__name__ not in {"ConnectionPool", "BlockingConnectionPool"}:
        return client
    library = import_module(kind)
    settings = {**pool.connection_kwargs, "socket_timeout": timeout_s, "retry": _no_retry(library)}
    settings.pop("maint_notifications_config", None)
    own = library.ConnectionPool(connection_class=pool.connection_class, **settings)
    return type(client)(connection_pool=own)


def _names(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def _shown(server: Any) -> str:
    """The server for people: without user, password and options."""
    if not isinstance(server, str):
        return f"a {type(server).__name__}"
    try:
        parts = urlsplit(server)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "a URL that cannot be read"
    if not parts.netloc and parts.scheme != "unix":
        return without_login(server)  # no URL: what was given tells what is wrong with it
    path = parts.path if parts.scheme == "unix" or parts.path.strip("/").isdigit() else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{path}"


def unreachable(shown: str, error: Exception) -> CoordinatorUnavailable:
    """The error of a start without a server."""
    return CoordinatorUnavailable(
        f"coordination={shown!r} was never reached ({error}); look at the URL and the server, or "
        "say how many processes share the limits (Coordination(expected_processes=...)), so that "
        "each may begin with its part"
    )

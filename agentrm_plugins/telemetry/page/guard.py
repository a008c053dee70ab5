"""Who may see the live page: the rules before anything is answered.

Law: a request is answered if it comes from this machine, names it as its host, was not begun by a
page of another origin, only reads, and carries the token. The token is compared in constant time.
It comes once in the address, where it becomes a cookie and disappears, or else in a header. It is
taken out of the address before anybody could write it to a log.

A host's name is checked because of DNS rebinding: another site's name may be made to mean
127.0.0.1, but the browser still says that name.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from agentrm_plugins.errors import ConfigError

__all__ = ["LOOPBACK", "Answer", "Guard", "checked_token"]

_LEAST_TOKEN = 16

LOOPBACK = ("localhost", "127.0.0.1", "[::1]", "testserver")
"""Names of this machine. "testserver" is what Starlette's test client calls it; a name without a
dot is nobody's in public."""


def checked_token(token: str | None) -> str:
    """The token, or a random one.

    Raises:
        ConfigError: It is no text, or too short to be a token.
    """
    if token is None:
        return secrets.token_urlsafe(24)
    if not isinstance(token, str):
        raise ConfigError.of_kind("token", token, "give a text")
    if len(token) < _LEAST_TOKEN:
        way = f"give at least {_LEAST_TOKEN} characters, or leave it out for a random one"
        raise ConfigError("token", "*" * len(token), way)
    return token


class Answer(NamedTuple):
    """What to answer instead of the page: a status, a text and headers."""

    status: int
    text: str
    headers: Mapping[str, str] = {}


class Guard:
    """The rules.

    Args:
        token: What a viewer has to know; not empty.
        hosts: Names under which the page may be asked for; None: from this machine only. "*" is
            any name, and any machine.

    Raises:
        ConfigError: The hosts are no names.
    """

    def __init__(self, token: str, hosts: Iterable[str] | None = None) -> None:
        if isinstance(hosts, str) or not isinstance(hosts, Iterable | None):
            raise ConfigError("hosts", hosts, "give a list of names")
        self._token = token.encode("utf-8")
        self._local = hosts is None
        self.hosts = frozenset(name.lower() for name in (LOOPBACK if hosts is None else hosts))
        digest = hashlib.sha256(b"agentrm cookie" + self._token).hexdigest()
        # Cookies know no ports: two pages on one machine must not share a cookie's name. The cookie
        # holds a value made from the token rather than the token itself.
        self._cookie = f"agentrm_{digest[:8]}"
        self._proof = hmac.new(self._token, b"agentrm viewer", "sha256").hexdigest()

    def look(self, scope: dict[str, Any]) -> Answer | None:
        """What to answer at once; None if the page may be shown. Takes the token out of `scope`."""
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope.get("headers", ())
        }
        given = self._taken(scope)
        refused = self._refused(scope, headers)
        if refused is not None:
            return refused
        if given is not None and self._same(given):
            return self._welcome(scope)
        bearer = headers.get("authorization", "")
        scheme, _, credentials = bearer.partition(" ")
        if scheme.lower() == "bearer" and self._same(credentials.strip()):
            return None
        if hmac.compare_digest(_cookie(headers, self._cookie).encode(), self._proof.encode()):
            return None
        way = "open the address that was printed, or send the token as 'Authorization: Bearer'"
        return Answer(401, f"This page needs its token: {way}.\n", {"www-authenticate": "Bearer"})

    def _refused(self, scope: Mapping[str, Any], headers: Mapping[str, str]) -> Answer | None:
        if scope.get("method", "GET") not in {"GET", "HEAD"}:
            return Answer(405, "This page only shows.\n", {"allow": "GET, HEAD"})
        host = headers.get("host", "")
        if not self._known(host):
            names = "give its name: hosts=[...], or agentrm dash --allow-host"
            return Answer(403, f"This page is not served under that name; {names}.\n")
        client = scope.get("client")
        if self._local and client and not _is_local(client[0]):
            way = "hosts=[...] opens it to others"
            return Answer(403, f"This page is for this machine only; {way}.\n")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return Answer(403, "Another site's page asked for this.\n")
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") not in {
            "navigate",
            None,
        }:
            return Answer(403, "Another site's page asked for this.\n")
        return None

    def _known(self, host: str) -> bool:
        if "*" in self.hosts:
            return True
        host = host.lower()
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        return name in self.hosts

    def _same(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "replace"), self._token)

    def _taken(self, scope: dict[str, Any]) -> str | None:
        """The token in the address, which is not there any more."""
        query = scope.get("query_string", b"")
        if b"token" not in query:
            return None
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
        scope["query_string"] = urlencode([p for p in pairs if p[0] != "token"]).encode("ascii")
        return next((value for name, value in pairs if name == "token"), None)

    def _welcome(self, scope: Mapping[str, Any]) -> Answer:
        """To the same page without the token, which the browser keeps as a cookie."""
        root = str(scope.get("root_path", "")).rstrip("/")
        secure = "; Secure" if scope.get("scheme") == "https" else ""
        query = scope["query_string"].decode("ascii")
        cookie = f"{self._cookie}={self._proof}; Path={root or '/'}; HttpOnly; SameSite=Strict"
        return Answer(
            303,
            "",
            {
                "location": f"{root}/" + (f"?{query}" if query else ""),
                "set-cookie": cookie + secure,
            },
        )


def _cookie(headers: Mapping[str, str], name: str) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value


def _is_local(address: str) -> bool:
    """Whether a client is on this machine; what is no address (a test, a Unix socket) is."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return True
    mapped = getattr(found, "ipv4_mapped", None)
    return bool((mapped or found).is_loopback)

from __future__ import annotations

import asyncio
import json
import threading
import time

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from agentrm_plugins import AgentRM, ConfigError
from agentrm_plugins.telemetry import LivePage, asgi_app
from agentrm_plugins.telemetry.page.guard import Guard
from agentrm_plugins.telemetry.page.live import Live
from agentrm_plugins.telemetry.sources import ReplaySource

TOKEN = "a-token-of-some-length"
BEARER = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def rm():
    with AgentRM(lanes=2) as core:
        yield core


@pytest.fixture
def page(rm):
    made = asgi_app(rm, token=TOKEN)
    yield made
    made.close()


def viewer(app, **more) -> TestClient:
    return TestClient(app, follow_redirects=False, **more)


def work(rm: AgentRM, agent: str = "ada") -> None:
    with rm.slot(agent=agent, priority="batch"):
        pass


def shown(client: TestClient, path: str = "/snapshot", calls: int = 1) -> dict:
    """The snapshot that tells of so many calls, once it does."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        seen = client.get(path, headers=BEARER).json()
        if seen["counts"].get("Settled", 0) >= calls:
            return seen
        time.sleep(0.05)
    raise AssertionError(seen)


def test_what_a_core_does_is_shown(rm, page) -> None:
    """A call made after the mounting is in the snapshot, with its agent."""
    with viewer(page) as client:
        work(rm)
        assert shown(client)["agents"][0]["name"] == "ada"


@pytest.mark.parametrize("prefix", ["/monitor", "/deep/down/here"])
def test_it_mounts_under_any_path(rm, page, prefix: str) -> None:
    """In FastAPI below a prefix: the page, its parts, the cookie and the way back all fit it."""
    app = FastAPI()
    app.mount(prefix, page)
    client = viewer(app)
    answer = client.get(page.path(prefix))
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{prefix}/"
    assert f"Path={prefix};" in answer.headers["set-cookie"]
    for name in ("", "page.js", "page.css", "plotly.js", "snapshot"):
        assert client.get(f"{prefix}/{name}").status_code == 200, name
    work(rm)
    shown(client, f"{prefix}/snapshot")


def test_the_token_becomes_a_cookie_and_disappears(page) -> None:
    """With the address once, then with the cookie; the cookie does not hold the token."""
    client = viewer(page)
    assert client.get("/").status_code == 401
    answer = client.get(f"/?token={TOKEN}&view=wide")
    assert answer.headers["location"] == "/?view=wide"
    cookie = answer.headers["set-cookie"]
    assert TOKEN not in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert client.get("/").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": "Bearer"},
        {"cookie": f"agentrm={TOKEN}"},
        {"cookie": "=;;; \x80"},
    ],
)
@pytest.mark.parametrize("path", ["/", "/snapshot", "/events", "/plotly.js", "/nowhere"])
def test_nothing_is_shown_without_the_token(page, headers: dict, path: str) -> None:
    """No path answers anything else than 401, and the answer does not hold the token."""
    answer = viewer(page).get(path, headers={k: v.encode("latin-1") for k, v in headers.items()})
    assert answer.status_code == 401
    assert TOKEN not in answer.text + str(answer.headers)


@pytest.mark.parametrize(
    ("headers", "fits"),
    [
        ({"host": "localhost:8000"}, True),
        ({"host": "127.0.0.1"}, True),
        ({"host": "[::1]:8000"}, True),
        ({"host": "rebound.example:8000"}, False),
        ({"host": "localhost.example"}, False),
        ({"host": ""}, False),
        ({"host": "localhost:8000", "origin": "http://localhost:8000"}, True),
        ({"host": "localhost:8000", "origin": "http://localhost:9000"}, False),
        ({"host": "localhost:8000", "origin": "https://elsewhere.example"}, False),
        ({"host": "localhost:8000", "origin": "null"}, False),
        ({"host": "localhost", "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, False),
        ({"host": "localhost", "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}, True),
    ],
)
def test_other_names_and_origins_are_refused(page, headers: dict, fits: bool) -> None:
    """A rebound name and another site's page get nothing, even with the token."""
    answer = viewer(page).get("/snapshot", headers={**BEARER, **headers})
    assert answer.status_code == (200 if fits else 403)


@pytest.mark.parametrize(
    ("address", "fits"),
    [("127.0.0.1", True), ("::1", True), ("::ffff:127.0.0.1", True), ("192.0.2.7", False)],
)
def test_other_machines_are_refused_unless_told_otherwise(rm, page, address, fits) -> None:
    """On this machine only; `hosts` opens it to others, under those names."""
    client = viewer(page, client=(address, 1234))
    assert client.get("/snapshot", headers=BEARER).status_code == (200 if fits else 403)
    opened = asgi_app(rm, token=TOKEN, hosts=["box.example"])
    client = viewer(opened, client=(address, 1234), base_url="http://box.example:8080")
    assert client.get("/snapshot", headers=BEARER).status_code == 200
    assert client.get("/snapshot", headers={**BEARER, "host": "localhost"}).status_code == 403
    opened.close()


def test_it_only_shows(page) -> None:
    """No method that could change anything is answered."""
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert viewer(page).request(method, "/", headers=BEARER).status_code == 405


def test_what_may_run_in_the_page_is_bounded(page) -> None:
    """Scripts of its own origin only, no frame around it, nothing kept, nobody told from where."""
    headers = viewer(page).get("/", headers=BEARER).headers
    policy = headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"


def test_the_token_is_taken_out_before_a_log_could_have_it() -> None:
    """The scope, from which servers write their logs, has it no longer, right or wrong."""
    guard = Guard(TOKEN)
    for token in (TOKEN, "wrong-token-of-length"):
        scope = {
            "type": "http",
            "method": "GET",
            "headers": [(b"host", b"localhost")],
            "query_string": f"a=1&token={token}".encode(),
        }
        guard.look(scope)
        assert token.encode() not in scope["query_string"]
        assert scope["query_string"] == b"a=1"


def test_tokens_are_random_long_and_in_no_repr(rm) -> None:
    """Each page has its own; a short one is refused without being repeated."""
    pages = [asgi_app(rm), asgi_app(rm)]
    assert len({made.token for made in pages}) == 2
    assert all(len(made.token) >= 32 and made.token not in repr(made) for made in pages)
    for made in pages:
        made.close()
    with pytest.raises(ConfigError) as caught:
        asgi_app(rm, token="secret")
    assert "secret" not in str(caught.value)


async def stream(page: LivePage, until, *, slow_s: float = 0.0) -> list[str]:
    """What one viewer is sent, until it has seen enough; `slow_s` is how long it takes each."""
    got: list[str] = []
    gone = asyncio.Event()

    async def receive():
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        got.append(message.get("body", b"").decode())
        await asyncio.sleep(slow_s)
        if until("".join(got)):
            gone.set()

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/events",
        "raw_path": b"/events",
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"authorization", f"Bearer {TOKEN}".encode())],
        "http_version": "1.1",
        "scheme": "http",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    async with asyncio.timeout(60):
        await page(scope, receive, send)
    return got


async def test_several_viewers_are_sent_states_and_the_end(rm, page) -> None:
    """Each viewer gets whole states; when the core closes, each is told."""
    work(rm)

    def ended(text: str) -> bool:
        if "event: snapshot" in text and not rm.closed:
            rm.close()
        return "event: end" in text

    found = await asyncio.gather(*(stream(page, ended) for _ in range(3)))
    for got in found:
        states = [text for text in got if text.startswith("event: snapshot")]
        assert json.loads(states[-1].partition("data: ")[2])["counts"]["Settled"] == 1


async def test_a_slow_viewer_holds_nobody_up(rm, page) -> None:
    """While one takes a second for each state, calls go on and another viewer sees them."""

    async def busy() -> None:
        for number in range(30):
            await asyncio.to_thread(work, rm, f"agent-{number}")
            await asyncio.sleep(0.02)

    slow = asyncio.create_task(stream(page, lambda text: '"Settled":30' in text, slow_s=1.0))
    quick = asyncio.create_task(stream(page, lambda text: '"Settled":30' in text))
    await asyncio.gather(busy(), quick)
    await slow


def test_a_late_viewer_knows_what_ran_before(rm) -> None:
    """Mounted while a call holds a lane: the call is drawn since its true beginning."""
    release = threading.Event()
    held = threading.Event()

    def hold() -> None:
        with rm.slot(agent="early"):
            held.set()
            release.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(30)
    page = asgi_app(rm, token=TOKEN)
    seen = viewer(page).get("/snapshot", headers=BEARER).json()
    release.set()
    thread.join(30)
    page.close()
    assert seen["spans"]["agents"] == ["early"]
    assert seen["spans"]["kind"] == ["open"]
    assert seen["spans"]["begin"][0] <= 0


def test_events_that_were_lost_are_owned_up_to(rm) -> None:
    """A source that lost events says how many, and the page shows it."""

    class Lossy(ReplaySource):
        dropped = 7

    live = Live(Lossy([{"event": "Submitted", "at_s": 0.0, "ticket": 1, "agent": "a"}]))
    live.read()
    assert json.loads(live.text()[1])["dropped"] == 7
    live.close()

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading

import httpx
import httpx2
import pytest

from agentrm_openai import ManagedAsyncTransport, observe_client
from agentrm_plugins import CallReaped
from agentrm_plugins.testing.provider import Hang, Stall

ASK = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


def reaped(ticket=7) -> CallReaped:
    return CallReaped("reaped", ticket=ticket, agent="a", cause="silence", held_s=1.0)


def in_thread(work):
    """Run `work` in a thread; gives (thread, list that will hold its outcome)."""
    outcome = []

    def run():
        try:
            outcome.append(work())
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


def wait_in_server(provider, number=1):
    """Until the provider has begun to serve so many requests."""
    pause = threading.Event()
    for _ in range(500):
        if provider.statistics().requests >= number:
            return
        pause.wait(0.01)
    raise AssertionError("the request did not arrive")


def test_abort_wakes_a_thread_that_waits_for_headers(start, sync_ai, recorder):
    """A hung call that is aborted raises at once, in its own thread, through the SDK, unretried."""
    provider = start()
    provider.script([Hang()])
    client = sync_ai(provider, max_retries=2)
    thread, outcome = in_thread(lambda: client.chat.completions.create(**ASK))
    assert recorder.requested.wait(5)
    wait_in_server(provider)
    recorder.exchanges[0].abort(reaped())
    recorder.exchanges[0].abort(reaped(8))
    thread.join(5)
    assert isinstance(outcome[0], CallReaped)
    assert outcome[0].ticket == 7
    assert recorder.words == ["request", "error", "end"]
    assert client.chat.completions.create(**ASK).choices


def test_abort_wakes_a_thread_in_the_middle_of_a_stream(start, sync_ai, recorder):
    """A stream that fell silent raises at once when it is aborted."""
    provider = start()
    provider.script([Stall(after_tokens=4)])
    client = sync_ai(provider)
    thread, outcome = in_thread(lambda: list(client.chat.completions.create(**ASK, stream=True)))
    assert recorder.begun.wait(5)
    recorder.exchanges[0].abort(reaped())
    thread.join(5)
    assert isinstance(outcome[0], CallReaped)
    assert recorder.words[-2:] == ["error", "end"]


def test_a_late_abort_spares_the_next_call_on_the_connection(start, sync_ai, recorder):
    """When a call is over its connection is somebody else's."""
    provider = start(token_time_s=0.01, output_tokens=20)
    client = sync_ai(provider)
    client.chat.completions.create(**ASK)
    pieces = client.chat.completions.create(**ASK, stream=True)
    next(pieces)
    recorder.exchanges[0].abort(reaped())
    assert list(pieces)
    pieces.close()


def test_an_abort_before_the_connection_counts(start, sync_ai, recorder):
    """Aborted while it was being connected, a request is never written."""
    provider = start()
    recorder.on_request = lambda exchange, now_s: exchange.abort(reaped())
    with pytest.raises(CallReaped):
        sync_ai(provider).chat.completions.create(**ASK)
    assert provider.statistics().requests == 0


async def test_an_async_caller_gets_it_at_the_next_piece(start, async_ai, recorder):
    """An aborted async stream raises when its next piece is asked for."""
    provider = start(token_time_s=0.005, output_tokens=40)
    async with async_ai(provider) as client:
        pieces = await client.chat.completions.create(**ASK, stream=True)
        await anext(pieces)
        recorder.exchanges[0].abort(reaped())
        with pytest.raises(CallReaped):
            async for _ in pieces:
                pass
    assert recorder.words[-2:] == ["error", "end"]


async def test_an_async_stream_that_breaks_after_an_abort_gets_the_abort(recorder):
    """Whatever the connection says of it, the abort is the reason."""

    class Pieces(httpx2.AsyncByteStream):
        async def __aiter__(self):
            recorder.exchanges[0].abort(reaped())
            raise httpx2.ReadError("gone")
            yield b""

    answer = httpx2.MockTransport(lambda request: httpx2.Response(200, stream=Pieces()))
    async with httpx2.AsyncClient(transport=ManagedAsyncTransport(recorder, answer)) as client:
        with pytest.raises(CallReaped):
            await client.post("http://h/", json={"model": "m"})


async def test_an_async_call_aborted_before_its_answer_gets_the_abort(recorder):
    """What comes after an abort is not passed on, whatever it is."""

    async def answer(request):
        recorder.exchanges[0].abort(reaped())
        raise httpx2.ReadError("gone")

    transport = ManagedAsyncTransport(recorder, httpx2.MockTransport(answer))
    async with httpx2.AsyncClient(transport=transport) as client:
        with pytest.raises(CallReaped):
            await client.post("http://h/", json={"model": "m"})


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for localhost, made for this run."""
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost"
    command += " -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem"
    try:
        subprocess.run(command.split(), cwd=folder, check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no openssl command to make a certificate with")
    return folder


@pytest.mark.parametrize("library", [httpx2, httpx])
def test_abort_wakes_a_thread_that_reads_over_tls(certificate, recorder, library):
    """The socket is shut down below TLS, so the reader ends with no broken state."""
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    arrived, closed = threading.Event(), threading.Event()

    def serve(listener):
        connection, _ = listener.accept()
        with server_side.wrap_socket(connection, server_side=True) as tls:
            request = b""
            while not request.endswith(b"}"):
                request += tls.recv(65536)
            arrived.set()
            with contextlib.suppress(OSError):
                tls.recv(65536)
            closed.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server, _ = in_thread(lambda: serve(listener))
        trust = ssl.create_default_context(cafile=str(certificate / "cert.pem"))
        with library.Client(verify=trust, timeout=20) as http:
            observe_client(http, recorder)
            url = f"https://127.0.0.1:{listener.getsockname()[1]}/v1"
            thread, outcome = in_thread(lambda: http.post(url, json={"model": "m"}))
            assert arrived.wait(5)
            recorder.exchanges[0].abort(reaped())
            thread.join(5)
        assert isinstance(outcome[0], CallReaped)
        assert closed.wait(5)
        server.join(5)

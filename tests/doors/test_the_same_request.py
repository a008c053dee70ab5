"""What is sent is what would be sent without us: fields, options, clients, retries, connections."""

from __future__ import annotations

import gc
import inspect
import json
import os
import threading
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import openai
import pytest
from langchain.chat_models import init_chat_model
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from agentrm_langchain import hooks, wrap_chat_model
from agentrm_openai import manage_client
from agentrm_plugins import AgentRM

CHUNKS = [
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "hello"}}]},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
]


class Server:
    """An OpenAI-compatible server on loopback that writes down each request's body."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.refuse: Any = lambda _path, _body: None  # (status, error) or None
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

            def do_GET(self) -> None:
                self.answer({})

            def do_POST(self) -> None:
                self.answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))

            def answer(self, body: dict[str, Any]) -> None:
                server.bodies.append(body)
                server.paths.append(self.path)
                refused = server.refuse(self.path, body)
                status, answer = refused or (200, server.reply(body))
                if status == 200 and body.get("stream"):
                    lines = [f"data: {json.dumps({'id': 'c', **chunk})}\n\n" for chunk in CHUNKS]
                    content, kind = "".join([*lines, "data: [DONE]\n\n"]), "text/event-stream"
                else:
                    content, kind = json.dumps(answer), "application/json"
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content.encode())

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"

    @staticmethod
    def reply(body: dict[str, Any]) -> dict[str, Any]:
        """What was asked comes back as the answer's text."""
        messages = body.get("messages") or [{"content": ""}]
        message = {"role": "assistant", "content": messages[-1]["content"]}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
        return {
            "id": "c",
            "object": "chat.completion",
            "created": 1,
            "model": "gpt-4o",
            "choices": [choice],
            "usage": usage,
            "data": [],
        }

    def close(self) -> None:
        """Answer nobody any more."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@pytest.fixture(autouse=True)
def _clients_that_are_dropped() -> Iterator[None]:
    """Bare clients and their copies are dropped unclosed here: not another test's business."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def server() -> Any:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def rm() -> Any:
    with AgentRM(lanes=4) as core:
        yield core
        assert core.statistics().running == 0


def chat(server: Server, **fields: Any) -> ChatOpenAI:
    return ChatOpenAI(base_url=server.url, api_key="test", model="gpt-4o", **fields)


# -- a stream's usage -----------------------------------------------------------------------------


def test_a_server_of_the_users_own_is_asked_what_it_would_be_asked_bare(
    server: Server, rm: AgentRM
) -> None:
    """Nothing is added to a stream's request for a host that we know nothing of."""
    bare = chat(server)
    assert list(bare.stream("a"))
    assert list(wrap_chat_model(bare, rm).stream("a"))
    assert server.bodies[0] == server.bodies[1]
    assert "stream_options" not in server.bodies[0]
    assert list(wrap_chat_model(chat(server, stream_usage=True), rm).stream("a"))
    assert server.bodies[-1]["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        ("api.openai.com", True),
        ("mine.openai.azure.com", True),
        ("api.deepseek.com", True),
        ("127.0.0.1:8000", False),
        ("api.openai.com.evil.example", False),
        ("gateway.example.com", False),
    ],
)
def test_usage_is_asked_for_where_it_is_known_to_be_understood(host: str, asked: bool) -> None:
    """By the provider's own documents; what the user said stays."""
    bare = ChatOpenAI(base_url=f"https://{host}/v1", api_key="test", model="m")
    assert hooks.reporting_usage(bare).stream_usage is (True if asked else None)
    said = bare.model_copy(update={"stream_usage": False})
    assert hooks.reporting_usage(said).stream_usage is False


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_refusal_that_names_it_is_heeded_once(
    server: Server, rm: AgentRM, monkeypatch: Any, is_async: bool
) -> None:
    """The request goes again without it, and none has it from then on."""
    monkeypatch.setattr(hooks, "_REPORTING", ("127.0.0.1",))
    error = {"error": {"message": "Unrecognized request argument: stream_options"}}
    server.refuse = lambda _path, body: (422, error) if "stream_options" in body else None
    model = wrap_chat_model(chat(server), rm)
    for _turn in range(2):
        if is_async:
            text = "".join([str(chunk.content) async for chunk in model.astream("a")])
        else:
            text = "".join(str(chunk.content) for chunk in model.stream("a"))
        assert text == "hello"
    assert ["stream_options" in body for body in server.bodies] == [True, False, False]


# -- fields ---------------------------------------------------------------------------------------


def test_a_copy_with_other_fields_sends_them(server: Server, rm: AgentRM) -> None:
    """`model_copy(update=)` acts on what is sent, by whatever way the model is used then."""
    model = wrap_chat_model(chat(server, temperature=0.1), rm, agent="a")
    copy = model.model_copy(update={"temperature": 0.3, "model_name": "gpt-4o-mini", "agent": "b"})
    copy.invoke("a")
    list(copy.stream("a"))
    copy.model_copy(update={"temperature": 0.4}).bind(stop=["x"]).invoke("a")
    model.invoke("a")
    assert [body["temperature"] for body in server.bodies] == [0.3, 0.3, 0.4, 0.1]
    assert [body["model"] for body in server.bodies] == [*["gpt-4o-mini"] * 3, "gpt-4o"]
    assert {name: one.calls for name, one in rm.statistics().agents.items()} == {"b": 3, "a": 1}


@tool
def look(text: str) -> str:
    """Look."""
    return text


@pytest.mark.parametrize("fields", ["any", ("model", "temperature")])
def test_a_configurable_model_is_managed_and_stays_configurable(
    server: Server, rm: AgentRM, fields: Any
) -> None:
    """`init_chat_model(configurable_fields=)` is wrapped as it is, tools and configs included."""
    bare = init_chat_model(
        "openai:gpt-4o", configurable_fields=fields, base_url=server.url, api_key="k", temperature=0
    )
    model: Any = wrap_chat_model(bare, rm, agent="a")  # type: ignore[arg-type]
    assert type(model).__name__ == type(bare).__name__
    assert isinstance(model, type(bare))
    config: Any = {"configurable": {"temperature": 0.7, "model": "gpt-4o-mini"}}
    model.invoke("a", config)
    model.bind_tools([look]).invoke("a", config)
    model.with_config(config).invoke("a")
    model.bind_tools([look]).with_config(config).invoke("a")
    list(model.stream("a"))
    assert [body["temperature"] for body in server.bodies] == [0.7, 0.7, 0.7, 0.7, 0]
    assert [bool(body.get("tools")) for body in server.bodies] == [False, True, False, True, False]
    assert rm.statistics().agent("a").calls == len(server.bodies) == 5


# -- the SDK's client -----------------------------------------------------------------------------


def test_a_managed_client_is_the_client_that_it_was(server: Server, rm: AgentRM) -> None:
    """Signatures, strict validation, retries and settings are the client's own."""
    bare = openai.OpenAI(
        base_url=server.url, api_key="k", max_retries=5, _strict_response_validation=True
    )
    managed = manage_client(bare, rm, retry=None)
    assert isinstance(managed, openai.OpenAI)
    assert managed.max_retries == 5
    assert managed._strict_response_validation
    for method in ("copy", "with_options"):
        assert inspect.signature(getattr(managed, method)) == inspect.signature(
            getattr(bare, method)
        )
    assert inspect.signature(type(managed)) == inspect.signature(openai.OpenAI)
    copy = managed.copy(timeout=7, default_headers={"x-mine": "1"})
    assert (copy.timeout, copy.max_retries, copy._strict_response_validation) == (7, 5, True)
    with pytest.raises(TypeError, match="no_such_option"):
        managed.copy(no_such_option=1)  # type: ignore[call-arg]
    server.refuse = lambda _path, _body: (200, {"nonsense": True})
    for client in (managed, copy):
        with pytest.raises(openai.APIResponseValidationError):
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": "a"}])
    assert rm.statistics().submitted == 2


def test_retries_are_the_ones_that_were_said(server: Server, rm: AgentRM) -> None:
    """Requests that ask no model keep the SDK's retries; `with_options` bounds ours."""
    server.refuse = lambda _path, _body: (500, {"error": {"message": "no"}})
    bare = openai.OpenAI(base_url=server.url, api_key="k", max_retries=1)
    managed = manage_client(bare, rm)
    for client in (bare, managed):
        with pytest.raises(openai.InternalServerError):
            client.models.list()
    assert len(server.paths) == 4
    for most in (0, 2):
        server.paths.clear()
        with pytest.raises(openai.InternalServerError):
            managed.with_options(max_retries=most).chat.completions.create(
                model="m", messages=[{"role": "user", "content": "a"}]
            )
        assert len(server.paths) == most + 1


def test_a_clients_own_class_need_not_take_the_sdks_arguments(server: Server, rm: AgentRM) -> None:
    """A subclass with a constructor of its own is managed as it is."""

    class Mine(openai.OpenAI):
        def __init__(self, url: str) -> None:
            super().__init__(base_url=url, api_key="k")
            self.note = "mine"

    managed = manage_client(Mine(server.url), rm)
    managed.chat.completions.create(model="m", messages=[{"role": "user", "content": "a"}])
    assert (managed.note, rm.statistics().settled) == ("mine", 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize("kind", ["client", "model"])
def test_forked_children_read_their_own_answers(server: Server, rm: AgentRM, kind: str) -> None:
    """Each child opens its own connection, so that no answer goes to another one."""
    if kind == "client":
        client = manage_client(openai.OpenAI(base_url=server.url, api_key="k"), rm)

        def ask(text: str) -> Any:
            said: Any = [{"role": "user", "content": text}]
            answer = client.chat.completions.create(model="m", messages=said)
            return answer.choices[0].message.content
    else:
        model = wrap_chat_model(chat(server), rm)

        def ask(text: str) -> Any:
            return model.invoke([HumanMessage(text)]).content

    assert ask("parent") == "parent"  # its connection is in the pool now
    children = []
    for number in range(4):
        pid = os.fork()
        if pid == 0:
            try:
                texts = [f"{number}-{turn}" for turn in range(5)]
                os._exit(sum(ask(text) != text for text in texts))
            finally:
                os._exit(99)
        children.append(pid)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [0] * 4
    assert ask("parent again") == "parent again"

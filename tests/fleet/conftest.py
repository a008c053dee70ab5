"""One server for each test module and kind of server; each test has a namespace of its own."""

from __future__ import annotations

import itertools

import pytest

from tests.fleet.servers import Server, wanted

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="module", params=wanted())
def server(request):
    running = Server(request.param)
    yield running
    running.close()


@pytest.fixture
def own_server():
    """A server that this test may stop, pause and empty."""
    running = Server()
    yield running
    running.close()


@pytest.fixture
def namespace(request):
    name = "".join(sign if sign.isalnum() else "-" for sign in request.node.name)
    return f"{name[:80]}-{next(_NUMBERS)}"

"""Which servers and clients fit, and what is said where one does not."""

from __future__ import annotations

import functools
import gc
import logging
import threading
import time
import traceback
import weakref

import pytest
import redis

from agentrm_plugins import AgentRM, ConfigError, Coordination, CoordinatorUnavailable
from agentrm_plugins.fleet import link
from agentrm_plugins.policy.fleet.allot import PROTOCOL
from tests.fleet.servers import Server, free_port
from tests.hosts.worlds import wait_until

SECRET = "hunter2-is-secret"
GONE = -2  # as the server says it of a key that was emptied since


def works(rm, lanes=2):
    """A few calls go through it, never more at once than there are lanes."""
    running, most, lock = [0], [0], threading.Lock()

    def work():
        for _ in range(5):
            with rm.slot(agent="a"):
                with lock:
                    running[0] += 1
                    most[0] = max(most[0], running[0])
                time.sleep(0.002)
                with lock:
                    running[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    rm._host.read(lambda kernel: kernel.validate())
    return most[0] <= lanes


def test_a_url_a_client_and_the_environment(server, namespace, monkeypatch):
    """All three name the same fleet."""
    with (
        AgentRM(lanes=2, coordination=server.url, namespace=namespace) as first,
        AgentRM(lanes=2, coordination=server.client(), namespace=namespace) as second,
    ):
        monkeypatch.setenv("AGENTRM_COORDINATION", server.url)
        monkeypatch.setenv("AGENTRM_NAMESPACE", namespace)
        with AgentRM(lanes=2) as third:
            assert works(first)
            assert works(second)
            assert works(third)
            assert third._fleet.statistics().members == 3
            assert server.url in third._fleet._link.shown


def test_a_unix_socket(tmp_path, namespace):
    """unix:// is a way as well."""
    server = Server("redis-server", "--unixsocket", str(tmp_path / "s"))
    try:
        url = f"unix://{tmp_path / 's'}"
        with AgentRM(lanes=2, coordination=url, namespace=namespace) as rm:
            assert works(rm)
    finally:
        server.close()


def test_without_the_setting_nothing_is_imported(monkeypatch):
    """The embedded core needs no client library and starts no thread."""
    monkeypatch.delenv("AGENTRM_COORDINATION", raising=False)
    with AgentRM(lanes=2) as rm:
        assert rm._fleet is None
        assert works(rm)


def test_a_namespace_alone_is_a_mistake(monkeypatch):
    """Who names a namespace means a fleet."""
    monkeypatch.delenv("AGENTRM_COORDINATION", raising=False)
    with pytest.raises(ConfigError, match=r"namespace='prod'.*coordination"):
        AgentRM(namespace="prod")


@pytest.mark.parametrize(
    ("server", "says"),
    [
        ("http://localhost", "use redis://, rediss:// or unix://"),
        (f"amqp://user:{SECRET}@host/0", "use redis://"),
        ("redis://host:port/0", "redis://user:password@host:6379/0"),
        (f"redis://:{SECRET}@host:99999999/0", "redis://user:password@host:6379/0"),
        (42, "give a URL, or a synchronous client"),
        (redis.asyncio.Redis(), "synchronous client"),
    ],
)
def test_what_is_no_server(server, says):
    """The field and the way out are named, a password never is."""
    with pytest.raises(ConfigError) as caught:
        AgentRM(coordination=server)
    text = "".join(traceback.format_exception(caught.value))
    assert caught.value.field == "coordination"
    assert says in str(caught.value)
    assert SECRET not in text


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"namespace": "a{b}"}, "namespace"),
        ({"namespace": ""}, "namespace"),
        ({"lease_s": 0.2}, "lease_s"),
        ({"lease_s": float("nan")}, "lease_s"),
        ({"on_outage": "hope"}, "on_outage"),
        ({"expected_processes": 0}, "expected_processes"),
        ({"outage_share": 1.5}, "outage_share"),
        ({"wake": "yes"}, "wake"),
    ],
)
def test_terms_that_cannot_be(settings, field):
    """They are refused when they are made."""
    with pytest.raises(ConfigError) as caught:
        Coordination("redis://localhost", **settings)
    assert caught.value.field == field


def test_a_password_is_never_shown(own_server):
    """Neither in the error of a wrong one, nor in what a configuration shows of itself."""
    own_server.client().config_set("requirepass", "right")
    url = f"redis://:{SECRET}@127.0.0.1:{own_server.port}/0"
    with pytest.raises(ConfigError, match="another user or password") as caught:
        AgentRM(coordination=url)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert SECRET not in repr(Coordination(url))
    with pytest.raises(ConfigError, match="another user or password"):
        AgentRM(coordination=own_server.url)  # NOAUTH
    right = f"redis://:right@127.0.0.1:{own_server.port}/0"
    with AgentRM(lanes=2, coordination=right) as rm:
        assert works(rm)


def test_an_unreachable_server_at_the_start():
    """A typo in the URL does not mean no limit; who says how many there are begins with a part."""
    url = f"redis://:{SECRET}@127.0.0.1:{free_port()}/0"
    with pytest.raises(CoordinatorUnavailable, match="expected_processes") as caught:
        AgentRM(coordination=url)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    terms = Coordination(url, expected_processes=4)
    with AgentRM(lanes=8, coordination=terms) as rm:
        assert works(rm, lanes=2)
        assert rm._fleet.statistics().state == "alone"


def test_a_part_that_is_idle_in_an_outage_is_kept(monkeypatch):
    """Who is alone and does nothing for a while has its lanes still: nobody else wants them."""
    tries = []
    real = link.Link.exchange

    def counted(self, asked):
        tries.append(1)
        return real(self, asked)

    monkeypatch.setattr(link.Link, "exchange", counted)
    url = f"redis://127.0.0.1:{free_port()}/0"
    with AgentRM(lanes=8, coordination=Coordination(url, expected_processes=4)) as rm:
        wait_until(lambda: len(tries) > 5, "some idle time")
        assert works(rm, lanes=2)


def test_it_joins_once_the_server_is_there(namespace):
    """A process that began alone joins."""
    server = Server()
    server.stop()
    try:
        terms = Coordination(server.url, namespace, lease_s=1.0, expected_processes=4)
        with AgentRM(lanes=8, coordination=terms) as rm:
            assert works(rm, lanes=2)
            server.start()
            wait_until(lambda: rm._fleet.statistics().state == "joined")
            assert works(rm, lanes=8)
    finally:
        server.close()


def test_a_restricted_user_suffices(own_server, namespace):
    """The commands that the error names are enough, on keys of the fleet only."""
    client = own_server.client()
    terms = ["on", f">{SECRET}", "resetkeys", "~{arm:*", "-@all", *link._COMMANDS.split()]
    client.execute_command("ACL", "SETUSER", "fleet", *terms)
    url = f"redis://fleet:{SECRET}@127.0.0.1:{own_server.port}/0"
    with (
        AgentRM(lanes=2, coordination=url, namespace=namespace) as first,
        AgentRM(lanes=2, coordination=url, namespace=namespace) as second,
    ):
        assert works(first)
        assert works(second)


def test_a_missing_permission_is_named(own_server):
    """With what to type."""
    client = own_server.client()
    client.execute_command("ACL", "SETUSER", "poor", "on", f">{SECRET}", "~*", "-@all", "+ping")
    url = f"redis://poor:{SECRET}@127.0.0.1:{own_server.port}/0"
    with pytest.raises(ConfigError, match=r"NOPERM.*ACL SETUSER.*evalsha") as caught:
        AgentRM(coordination=url)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("right", ["+eval", "+evalsha", "+hget", "+zadd", "+time", "~{arm:*"])
def test_any_permission_that_the_start_needs_is_named(own_server, namespace, right):
    """Also one that only a command inside the script lacks, of which the server says less."""
    terms = ["on", f">{SECRET}", "~{arm:*", "-@all", *link._COMMANDS.split()]
    client = own_server.client()
    client.execute_command("ACL", "SETUSER", "poor", *(one for one in terms if one != right))
    url = f"redis://poor:{SECRET}@127.0.0.1:{own_server.port}/0"
    with pytest.raises(ConfigError, match=r"NOPERM.*ACL SETUSER.*~{arm:.*evalsha"):
        AgentRM(coordination=url, namespace=namespace)


def test_a_user_who_may_not_wait_is_told_so_once(own_server, namespace, caplog):
    """The fleet works by told times; nothing says that it is slower but this."""
    terms = [one for one in link._COMMANDS.split() if one != "+blpop"]
    own_server.client().execute_command(
        "ACL", "SETUSER", "poor", "on", f">{SECRET}", "~{arm:*", "-@all", *terms
    )
    url = f"redis://poor:{SECRET}@127.0.0.1:{own_server.port}/0"
    with AgentRM(lanes=2, coordination=url, namespace=namespace) as rm:
        wait_until(lambda: "+blpop" in caplog.text)
        assert works(rm, lanes=2)
    assert caplog.text.count("+blpop") == 1


def test_another_release_in_the_namespace(server, namespace):
    """A process that speaks another version of the exchange is told both."""
    with AgentRM(lanes=2, coordination=server.url, namespace=namespace):
        asked = {"v": 99, "m": "new", "e": 0, "n": 1, "ttl": 1000}
        said = f"version {PROTOCOL} of the exchange and this one version 99"
        with pytest.raises(ConfigError, match=said):
            link.Link(Coordination(server.url, namespace)).exchange(asked)


def test_the_lower_limit_counts(server, namespace, caplog):
    """Two processes that say different lanes share the fewer, and both are told."""
    with AgentRM(lanes=8, coordination=server.url, namespace=namespace) as many:
        with AgentRM(lanes=2, coordination=server.url, namespace=namespace) as few:
            with caplog.at_level(logging.WARNING, "agentrm"):
                wait_until(lambda: many._fleet.statistics().lowered.get("lanes") == 2)
            assert works(many, lanes=2)
            assert not few._fleet.statistics().lowered
            assert "lanes: 2 and 8; this one says 8" in caplog.text
        wait_until(lambda: not many._fleet.statistics().lowered)


def test_after_script_flush(server, namespace):
    """A server that has forgotten the script is given it again."""
    with AgentRM(lanes=2, coordination=server.url, namespace=namespace) as rm:
        server.client().script_flush()
        assert works(rm)
        assert rm._fleet.statistics().outages == 0


def test_every_key_expires(server, namespace):
    """Nothing of a fleet that is gone stays for ever: sums of budgets a month, all else an hour."""
    with AgentRM(lanes=2, coordination=server.url, namespace=namespace) as rm:
        assert works(rm)
        client = server.client()
        keys = client.keys(f"{{arm:{namespace}}}:*")
        assert keys
        hour_ms, month_ms = 3_600_000, 31 * 24 * 3_600_000
        sums = (":g", ":y")
        for key in map(bytes.decode, keys):
            most_ms = month_ms if key.endswith(sums) else hour_ms
            left_ms = client.pttl(key)
            assert left_ms == GONE or 0 < left_ms <= most_ms, key


def test_closing_gives_everything_back(server, namespace):
    """The others need not wait for a lease."""
    terms = Coordination(server.url, namespace, lease_s=60.0)
    with AgentRM(lanes=2, coordination=terms) as other:
        rm = AgentRM(lanes=2, coordination=terms)
        assert works(rm)
        rm.close()
        wait_until(lambda: other._fleet.statistics().members == 1)
        assert works(other)
        started = time.monotonic()
        with other.slot(agent="a"), other.slot(agent="b"):
            assert time.monotonic() - started < 20


def test_a_core_that_nobody_closed_is_collected(server, namespace):
    """Neither thread keeps it alive: both end, and its lanes are the others' after a lease."""
    terms = Coordination(server.url, namespace, lease_s=1.0)
    with AgentRM(lanes=2, coordination=terms) as other:
        forgotten = AgentRM(lanes=2, coordination=terms)
        assert works(forgotten)
        threads, seen = forgotten._fleet._threads, weakref.ref(forgotten)
        assert len(threads) == 2
        del forgotten
        gc.collect()
        assert seen() is None
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
        wait_until(lambda: other._fleet.statistics().members == 1)


def test_a_core_that_something_else_holds_for_a_moment_longer(server, namespace):
    """The collector that comes by too early comes by again."""
    forgotten = AgentRM(lanes=2, coordination=Coordination(server.url, namespace, lease_s=1.0))
    assert works(forgotten)
    held, threads = [forgotten._fleet], list(forgotten._fleet._threads)
    del forgotten
    gc.collect()
    begun_s = held[0].member.exchanged_s
    wait_until(lambda: held[0].member.exchanged_s > begun_s)
    held.clear()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


def test_a_core_that_is_collected_during_an_exchange(server, namespace):
    """The thread that held it just then sees to its end: no later collection is needed."""
    inside, go_on = threading.Event(), threading.Event()

    def slow(asked, real):
        inside.set()
        go_on.wait(20)
        return real(asked)

    held = [AgentRM(lanes=2, coordination=server.url, namespace=namespace)]
    link, threads = held[0]._fleet._link, held[0]._fleet._threads
    link.exchange = functools.partial(slow, real=link.exchange)
    assert inside.wait(20)
    held.clear()
    gc.collect()
    go_on.set()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()

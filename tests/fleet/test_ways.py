"""Ways to a server: TLS, Sentinel, a client of valkey-py, and servers of other releases."""

from __future__ import annotations

import datetime as dt
import http.server
import ipaddress
import subprocess
import threading
import time
from pathlib import Path

import pytest
import redis
from redis.sentinel import Sentinel

from agentrm_plugins import AgentRM, Coordination, CoordinatorUnavailable
from tests.fleet.servers import Server, free_port
from tests.fleet.test_servers import works
from tests.hosts.worlds import wait_until


def certificates(folder):
    """A certificate for 127.0.0.1, signed by itself: its file, and that of its key."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a server of a test")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, secret = Path(folder, "server.pem"), Path(folder, "server.key")
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate, secret


@pytest.fixture
def encrypted(tmp_path):
    """A server that speaks TLS on a second port: it, the port, and the certificate's file."""
    certificate, secret = certificates(tmp_path)
    port = free_port()
    settings = ["--tls-port", str(port), "--tls-auth-clients", "no"]
    settings += ["--tls-cert-file", str(certificate), "--tls-key-file", str(secret)]
    probe = ["redis-server", "--tls-port", "0", "--no-such-directive", "x"]  # the first bad is told
    if b"'tls-port" in subprocess.run(probe, capture_output=True, check=False).stdout:
        pytest.skip("this redis-server was built without TLS")
    server = Server("redis-server", *settings)
    yield server, port, certificate
    server.close()


def test_rediss_by_a_url(encrypted, namespace):
    """The certificate is looked at as the URL's options say."""
    _, port, certificate = encrypted
    url = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificate}"
    with (
        AgentRM(lanes=2, coordination=url, namespace=namespace) as first,
        AgentRM(lanes=2, coordination=url, namespace=namespace) as second,
    ):
        assert works(first)
        assert works(second)
        assert first._fleet.statistics().members == 2
        assert first._fleet._link.shown == f"rediss://127.0.0.1:{port}/0"


def test_a_certificate_that_nobody_signed_is_refused(encrypted, namespace):
    """It is an outage at the start, with the reason in its text."""
    _, port, _ = encrypted
    with pytest.raises(CoordinatorUnavailable, match=r"(?i)certificate"):
        AgentRM(coordination=f"rediss://127.0.0.1:{port}/0", namespace=namespace)


def test_plain_words_to_a_server_that_speaks_tls(encrypted, namespace):
    """redis:// for rediss:// does not hang: the start fails."""
    _, port, _ = encrypted
    terms = Coordination(f"redis://127.0.0.1:{port}/0", namespace, lease_s=1.0)
    with pytest.raises(CoordinatorUnavailable):
        AgentRM(coordination=terms)


class Watched:
    """A master with a replica, and a Sentinel over both."""

    def __init__(self, folder):
        self.nodes = [Server(), Server()]
        self.master, self.replica = self.nodes
        self.replica.client().replicaof("127.0.0.1", self.master.port)
        self.port = free_port()
        settings = Path(folder, "sentinel.conf")
        settings.write_text(
            f"port {self.port}\nbind 127.0.0.1\n"
            f"sentinel monitor fleet 127.0.0.1 {self.master.port} 1\n"
            "sentinel down-after-milliseconds fleet 500\n"
            "sentinel failover-timeout fleet 2000\n",
            encoding="utf-8",
        )
        self.process = subprocess.Popen(
            [self.master.program, str(settings), "--sentinel"],
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )
        wait_until(self.settled)

    def settled(self):
        try:
            seen = redis.Redis(port=self.port).sentinel_master("fleet")
            link = self.replica.client().info("replication")["master_link_status"]
        except (redis.RedisError, KeyError):
            return False
        return seen["num-slaves"] == 1 and link == "up"

    def client(self):
        known = Sentinel([("127.0.0.1", self.port)], socket_timeout=0.5)
        return known.master_for("fleet", socket_timeout=0.5)

    def close(self):
        self.process.kill()
        self.process.wait()
        for node in self.nodes:
            node.close()


def test_a_master_by_sentinel_and_its_successor(tmp_path, namespace):
    """The fleet goes on with the replica, and the user's client is left open."""
    watched = Watched(tmp_path)
    try:
        client = watched.client()
        terms = Coordination(client, namespace, lease_s=1.0)
        with (
            AgentRM(lanes=2, coordination=terms) as one,
            AgentRM(lanes=2, coordination=terms) as two,
        ):
            assert works(one)
            watched.master.stop()
            wait_until(lambda: watched.replica.client().info("replication")["role"] == "master")
            wait_until(lambda: all(rm._fleet.statistics().members == 2 for rm in (one, two)))
            wait_until(lambda: all(rm._fleet.statistics().state == "joined" for rm in (one, two)))
            assert works(one)
            assert works(two)
        assert client.ping()
    finally:
        watched.close()


def test_a_client_of_valkey_py(server, namespace):
    """Errors and timeouts are understood as redis-py's are."""
    valkey = pytest.importorskip("valkey")
    client = valkey.Valkey(port=server.port)
    terms = Coordination(client, namespace, lease_s=1.0)
    with AgentRM(lanes=2, coordination=terms) as one:
        assert works(one)
        server.client().script_flush()
        assert works(one)
        assert one._fleet.statistics().outages == 0
    assert client.ping()


def test_a_server_that_answers_late(own_server, namespace):
    """A wait in the server's queue within the lease is no outage."""
    terms = Coordination(own_server.url, namespace, lease_s=3.0)
    with AgentRM(lanes=2, coordination=terms) as rm:
        own_server.pause()
        time.sleep(0.4)
        own_server.go_on()
        assert works(rm)
        assert rm._fleet.statistics().outages == 0


def test_another_program_on_the_port(namespace):
    """What answers is no Redis: the start says that it was not reached, and does not hang."""
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    web.RequestHandlerClass.log_message = lambda *_: None
    thread = threading.Thread(target=web.serve_forever, daemon=True)
    thread.start()
    try:
        terms = Coordination(f"redis://127.0.0.1:{web.server_port}", namespace, lease_s=1.0)
        with pytest.raises(CoordinatorUnavailable):
            AgentRM(coordination=terms)
    finally:
        web.shutdown()
        web.server_close()
        thread.join(10)

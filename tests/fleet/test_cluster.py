"""A cluster of three nodes: all keys of a namespace are in one slot, so one node has it."""

from __future__ import annotations

import pytest
import redis
from redis.cluster import RedisCluster

from agentrm_plugins import AgentRM
from tests.fleet.servers import Server
from tests.fleet.test_servers import works
from tests.hosts.worlds import wait_until

SLOTS = 16384


@pytest.fixture(scope="module")
def cluster():
    nodes: list[Server] = []
    try:
        for _ in range(3):
            nodes.append(Server("redis-server", "--cluster-enabled", "yes"))
        clients = [node.client(decode_responses=True) for node in nodes]
        for number, client in enumerate(clients):
            first, last = number * SLOTS // 3, (number + 1) * SLOTS // 3 - 1
            client.execute_command("CLUSTER", "ADDSLOTS", *range(first, last + 1))
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for client in clients[1:]:
            client.execute_command("CLUSTER", "MEET", "127.0.0.1", nodes[0].port)
        wait_until(lambda: all(is_whole(client) for client in clients), "the cluster")
        yield nodes
    finally:
        for node in nodes:
            node.close()


def is_whole(client):
    try:
        info = client.execute_command("CLUSTER", "INFO")
    except redis.RedisError:
        return False
    text = info if isinstance(info, str) else "\n".join(f"{k}:{v}" for k, v in info.items())
    return "cluster_state:ok" in text and "cluster_known_nodes:3" in text


def test_a_fleet_on_a_cluster(cluster):
    """Any namespace works, wherever its slot is."""
    for namespace in ("one", "two", "three", "four"):
        with (
            RedisCluster(host="127.0.0.1", port=cluster[0].port) as client,
            AgentRM(lanes=2, coordination=client, namespace=namespace) as first,
            AgentRM(lanes=2, coordination=client, namespace=namespace) as second,
        ):
            assert works(first)
            assert works(second)
            assert first._fleet.statistics().outages == 0
            wait_until(lambda: first._fleet.statistics().members == 2)

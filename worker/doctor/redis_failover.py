"""Who takes over from a Redis or Valkey server that dies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.sentinel import SentinelConnectionPool

from outlast.checkpoint.redis_cluster import RedisCluster
from outlast.worker.doctor.finding import ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis.cluster import ClusterNode

    from outlast.checkpoint.redis_client import RedisClient
    from outlast.worker.doctor.finding import Finding

ENOUGH_SENTINELS = 3  # so that a majority is left when one is down


def primaries(client: RedisCluster) -> list[ClusterNode]:
    """Return the nodes that hold the slots, by name."""
    client.open()
    nodes: list[ClusterNode] = client.get_primaries()  # type: ignore[no-untyped-call] # redis-py's
    return sorted(nodes, key=lambda node: node.name)


def failover_check(client: RedisClient) -> Iterator[Finding]:
    """Check whether there is somebody who takes over from a server that dies."""
    name = "store.failover"
    if isinstance(client, RedisCluster):
        yield _replicas(name, client)
    elif isinstance(pool := client.connection_pool, SentinelConnectionPool):
        yield _sentinels(name, pool)


def _replicas(name: str, client: RedisCluster) -> Finding:
    nodes = primaries(client)
    guarded = {slot[0].name for slot in client.nodes_manager.slots_cache.values() if slot[1:]}
    alone = [node.name for node in nodes if node.name not in guarded]
    if alone:
        return warning(
            name,
            f"without a replica: {', '.join(alone)}",
            breaks="the jobs that are there stand still while it is down, and are lost with it",
            mend="redis-cli --cluster add-node NEW:PORT ANY:PORT --cluster-slave",
        )
    return ok(name, f"each of {len(nodes)} nodes has a replica")


def _sentinels(name: str, pool: SentinelConnectionPool) -> Finding:
    # Puts a sentinel that answers in front.
    pool.get_master_address()  # type: ignore[no-untyped-call] # redis-py's
    state = pool.sentinel_manager.sentinels[0].sentinel_masters()[pool.service_name]
    replicas, sentinels = state["num-slaves"], 1 + state["num-other-sentinels"]
    fact = f"replicas: {replicas}; sentinels: {sentinels}, of which {state['quorum']} must agree"
    if not replicas:
        return warning(
            name,
            fact,
            breaks="jobs stand still while the master is down, and are lost with it",
            mend="start a server with: replicaof MASTER PORT",
        )
    if sentinels < ENOUGH_SENTINELS:
        return warning(
            name,
            fact,
            breaks="while one of them is down, nobody takes over from a master that dies",
            mend=f"run {ENOUGH_SENTINELS} sentinels, on machines of their own",
        )
    return ok(name, fact)

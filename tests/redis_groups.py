"""Valkey servers that belong together: a cluster, and a master with a replica and a sentinel."""

from __future__ import annotations

import os
import random
import signal
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import redis

from outlast.checkpoint.redis_client import connect
from tests import servers
from tests.cli.process import until
from tests.servers import HOST, free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.servers import Server

SLOTS = 1 << 14
MASTER = "jobs-master"
# How long a server must be silent to be taken for dead.
DOWN_SECONDS = 0.5

REPLICATION = ("--repl-diskless-sync-delay", "0")


@dataclass(frozen=True)
class Group:
    """Servers, and the URL that names them all; the primaries are first at the start.

    Attributes:
        sentinel: what watches them, if they are no cluster.
    """

    url: str
    nodes: Sequence[Server]
    sentinel: Server | None = None

    @property
    def replica(self) -> Server:
        """A server that is a replica now."""
        return random.choice([node for node in self.nodes if self._is_replica(node)])

    def _is_replica(self, node: Server) -> bool:
        with closing(self.client(node)) as client:
            return client.role()[0] == b"slave"

    def client(self, node: Server) -> redis.Redis:
        """Return a client of one server."""
        return redis.Redis.from_url(node.url, protocol=2)

    def primary(self, name: str) -> Server:
        """Return the server of a cluster that has the key of this name."""
        with closing(connect(self.url)) as client:
            client.ping()
            port = client.get_node_from_key(name).port
        return next(node for node in self.nodes if node.port == port)

    def fail_over(self) -> None:
        """Let a replica of a cluster take over from its primary, whose last writes it may lack."""
        replica = self.replica
        with closing(self.client(replica)) as client:
            client.execute_command("CLUSTER", "FAILOVER", "FORCE")
        until(lambda: not self._is_replica(replica))

    @contextmanager
    def user(self, rights: Sequence[str]) -> Iterator[None]:
        """Let there be a user "outlast", password "s3cret", of each node or the sentinel."""
        with ExitStack() as opened:
            for node in [self.sentinel] if self.sentinel else self.nodes:
                admin = opened.enter_context(closing(self.client(node)))
                words = ("reset", "on", ">s3cret", *rights)
                admin.execute_command("ACL", "SETUSER", "outlast", *words)
                opened.callback(admin.execute_command, "ACL", "DELUSER", "outlast")
            yield

    def flush(self) -> None:
        """Empty every primary, and let all forget the scripts."""
        for node in self.nodes:
            with closing(self.client(node)) as client:
                if not self._is_replica(node):
                    client.flushall()
        self.forget_scripts()

    def forget_scripts(self) -> None:
        """Let all forget the scripts."""
        for node in self.nodes:
            with closing(self.client(node)) as client:
                client.script_flush()


def kill(node: Server) -> None:
    """Kill a server."""
    with closing(redis.Redis.from_url(node.url)) as client:
        os.kill(client.info("server")["process_id"], signal.SIGKILL)


@contextmanager
def cluster(masters: int = 3, replicas: int = 0) -> Iterator[Group]:
    """Run servers that are one cluster with all slots: the masters, then a replica of some."""
    with ExitStack() as running:
        # By itself a server takes a port of the range that the system gives to clients.
        bus = free_ports(masters + replicas)
        timeout = ("--cluster-node-timeout", str(round(DOWN_SECONDS * 1000)))
        options = ("--cluster-enabled", "yes", *timeout, *REPLICATION, "--cluster-port")
        nodes = [running.enter_context(servers.valkey(*options, str(port))) for port in bus]
        group = Group(nodes[0].url.replace("redis:", "redis+cluster:"), nodes)
        clients = [running.enter_context(closing(group.client(node))) for node in nodes]
        for epoch, client in enumerate(clients, 1):
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", epoch)
        for node, port in zip(nodes[1:], bus[1:], strict=True):
            clients[0].execute_command("CLUSTER", "MEET", HOST, node.port, port)
        ends = [number * SLOTS // masters for number in range(masters + 1)]
        for client, first, end in zip(clients, ends, ends[1:], strict=False):
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
        until(lambda: all(_sees(client, len(nodes)) for client in clients))
        for number, client in enumerate(clients[masters:]):
            master_id = clients[number].execute_command("CLUSTER", "MYID")
            client.execute_command("CLUSTER", "REPLICATE", master_id)
        until(lambda: all(_replicas(client) == replicas for client in clients))
        yield group


def _sees(client: redis.Redis, nodes: int) -> bool:
    info = client.execute_command("CLUSTER", "INFO").decode()
    return "cluster_state:ok" in info and f"cluster_known_nodes:{nodes}\r" in info


def _replicas(client: redis.Redis) -> int:
    """Return how many replicas this server knows of, once all that it knows of are linked."""
    replication = client.info("replication")
    if replication["role"] == "slave" and replication["master_link_status"] != "up":
        return -1
    return sum(len(slot) - 3 for slot in client.execute_command("CLUSTER", "SLOTS"))


@contextmanager
def watched(*options: str) -> Iterator[Group]:
    """Run a master, its replica, and a sentinel that watches them."""
    with ExitStack() as running:
        master = running.enter_context(servers.valkey(*REPLICATION, *options))
        follow = ("--replicaof", f"{HOST} {master.port}", *REPLICATION, *options)
        replica = running.enter_context(servers.valkey(*follow))
        sentinel = running.enter_context(servers.sentinel(watch(master.port)))
        group = Group(
            f"redis+sentinel://{HOST}:{sentinel.port}/{MASTER}", [master, replica], sentinel
        )
        with closing(group.client(replica)) as client:
            until(lambda: client.info("replication")["master_link_status"] == "up")
        with closing(group.client(sentinel)) as client:
            until(lambda: client.sentinel_masters()[MASTER]["num-slaves"] == 1)
        yield group


def watch(port: int) -> str:
    """Return the configuration of a sentinel that watches a master alone."""
    return f"""
sentinel monitor {MASTER} {HOST} {port} 1
sentinel down-after-milliseconds {MASTER} {round(DOWN_SECONDS * 1000)}
sentinel failover-timeout {MASTER} 5000
"""

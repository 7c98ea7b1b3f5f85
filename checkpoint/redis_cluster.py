"""A client of a cluster of Redis or Valkey servers."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import redis
from redis._parsers import Encoder
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, cleanup_kwargs
from redis.exceptions import ClusterDownError, ClusterError, SlotNotCoveredError
from redis.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis.cluster import ClusterPipeline
    from redis.connection import ConnectionPool

# A script is refused while its slot moves to another node, key by key, and each command while a
# replica of its node takes over.
MOVE_SECONDS = 2.0
PAUSE_SECONDS = 0.05


class _KeyFinder:
    """Knows which words of a command are keys; redis-py's own asks the server for all commands."""

    def get_keys(self, _: object, *words: Any) -> list[Any]:
        """Return the keys of a command: those of a script, or the first word after its name."""
        return list(words[3 : 3 + words[2]]) if words[0] == "EVALSHA" else [words[1]]


class RedisCluster(redis.RedisCluster):
    """A client that connects to the cluster at its first command, and again after a `close`.

    redis-py's own connects when it is made. `nodes` are hosts and ports to ask for the others,
    `options` are those of each connection.

    Raises:
        TypeError: there is no such option.
    """

    # Without a time-out, which has taken long enough.
    ERRORS_ALLOW_RETRY = (redis.ConnectionError, ClusterDownError, SlotNotCoveredError)  # type: ignore[assignment]

    read_from_replicas = False  # Some methods ask for it before they run a command.

    def __init__(self, nodes: Sequence[tuple[str, int]], **options: Any) -> None:
        # redis-py drops an option that it does not know.
        if unknown := options.keys() - cleanup_kwargs(**options).keys():  # type: ignore[no-untyped-call] # redis-py's
            raise TypeError(f"unknown options: {', '.join(sorted(unknown))}")
        self.nodes = nodes
        self.options = options
        self._is_open = self._is_opening = False
        self._opening = threading.RLock()
        # Scripts need it before there is a connection.
        self.encoder = Encoder("utf-8", "strict", decode_responses=False)  # type: ignore[no-untyped-call] # redis-py's

    @property
    def pools(self) -> list[ConnectionPool]:
        """The connections to each node; none before the first command."""
        if not self._is_open:
            return []
        clients = (node.redis_connection for node in self.get_nodes())  # type: ignore[no-untyped-call] # redis-py's
        return [client.connection_pool for client in clients if client is not None]

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Run a command on the node that has its keys, if need be once the keys have moved."""
        self.open()
        end = time.monotonic() + MOVE_SECONDS
        while True:
            try:
                return super().execute_command(*args, **options)  # type: ignore[no-untyped-call] # redis-py's
            except ClusterError:
                if time.monotonic() >= end:
                    raise
                time.sleep(PAUSE_SECONDS)

    def pipeline(self, transaction: Any = None, shard_hint: Any = None) -> ClusterPipeline:
        """Return a pipeline, whose commands go to their nodes together."""
        self.open()
        return super().pipeline(transaction, shard_hint)  # type: ignore[no-any-return, no-untyped-call] # redis-py's

    def open(self) -> None:
        """Ask the cluster for its nodes, unless it has been asked."""
        if self._is_open:
            return
        with self._opening:
            if self._is_open or self._is_opening:  # by a command of `__init__`
                return
            self._is_opening = True
            try:
                super().__init__(
                    # Only with a URL redis-py takes a class of connections.
                    url=f"redis://{self.nodes[0][0]}:{self.nodes[0][1]}",
                    startup_nodes=[ClusterNode(*node) for node in self.nodes[1:]],  # type: ignore[no-untyped-call] # redis-py's
                    require_full_coverage=False,  # The other nodes may go on without one.
                    retry=Retry(NoBackoff(), 1),  # once, for a connection that a node has closed
                    **self.options,
                )
                self.commands_parser = _KeyFinder()  # type: ignore[assignment]
                self._is_open = True
            except IndexError as error:  # redis-py looks for the node of the first slot
                raise ClusterDownError("no node has a slot") from error
            finally:
                self._is_opening = False

    def command(self, **_: Any) -> dict[str, Any]:
        """Return no command, which saves redis-py 14 ms at its start: see `_KeyFinder`."""
        return {}

    def close(self) -> None:
        """Close the connections."""
        with self._opening:
            super().close()
            self._is_open = False

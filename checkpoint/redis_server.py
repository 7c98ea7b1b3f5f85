"""Redis or Valkey servers: the client, and what an operator can do about its errors."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import redis
from redis.exceptions import ClusterError, RedisClusterException
from redis.sentinel import MasterNotFoundError, SentinelConnectionPool

from outlast.checkpoint.errors import StoreFull, StoreUnavailable
from outlast.checkpoint.redis_client import ANSWER_SECONDS
from outlast.checkpoint.redis_cluster import RedisCluster
from outlast.checkpoint.redis_url import REDIS_PORT, SENTINEL_PORT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from outlast.checkpoint.redis_client import RedisClient

# A server that refuses a smaller value does not refuse it for its size.
LARGE_BYTES = 1 << 20

SIGN_IN = "check the user name and the password, percent-encoded as they are in a URL"
ALLOW = "allow this user the commands and keys outlast:*"
REACH = "check that the server runs and that the address is right"
IS_CLUSTER = "this is a node of a cluster: write redis+cluster://, or rediss+cluster:// with TLS"
ADVICE_BY_TEXT = (
    ("ACL failure in script", ALLOW),
    (
        "WRONGTYPE",
        "choose a database of your own: another program has keys of the same names here",
    ),
    (
        "cluster support disabled",
        "this server is not part of a cluster: write redis://, or rediss:// with TLS",
    ),
    (
        "unknown command 'SENTINEL",
        f"name the sentinels, mostly at port {SENTINEL_PORT}, not the servers",
    ),
)
# The first class that matches counts.
ADVICE: tuple[tuple[type[Exception], str], ...] = (
    (redis.AuthenticationError, SIGN_IN),
    (redis.exceptions.AuthorizationError, SIGN_IN),
    (redis.exceptions.NoPermissionError, ALLOW),
    (redis.ReadOnlyError, "connect to the primary, not to a replica"),
    (redis.exceptions.MasterDownError, "wait until this replica has a primary, or connect to that"),
    (redis.exceptions.AskError, IS_CLUSTER),
    (redis.exceptions.ClusterCrossSlotError, IS_CLUSTER),
    (ClusterError, IS_CLUSTER),
    (redis.BusyLoadingError, "wait until the server has loaded its data"),
    (MasterNotFoundError, "check the name, and that the sentinels run and see this master"),
    (redis.ConnectionError, REACH),
    (redis.TimeoutError, REACH),
    (redis.RedisError, "see the server's log"),
)


class RedisServer:
    """The server or servers of a client, for any number of threads.

    Attributes:
        client: its commands are called within `call`.
        name: the server or servers for a message.
        address: what tells it, its database and its user from others; None: it is a cluster.
    """

    def __init__(self, client: RedisClient) -> None:
        self.client = client
        self.name = f"redis {_place(client)}"
        settings = _settings(client)
        place = (self.name, settings.get("db") or 0, settings.get("username"))
        self.address = None if self.is_cluster else place

    @property
    def is_cluster(self) -> bool:
        """Whether a step can only use keys of one hash tag, as others may be on another node."""
        return isinstance(self.client, RedisCluster)

    @property
    def answer_seconds(self) -> float:
        """How long a connection waits for an answer."""
        return _settings(self.client).get("socket_timeout") or ANSWER_SECONDS

    @contextmanager
    def call(self, sent_bytes: int = 0) -> Iterator[None]:
        """Translate the errors of commands that send so many bytes.

        Raises:
            StoreUnavailable: the server refused or did not answer; one line names it and the way
                out.
            StoreFull: it has no memory left.
        """
        try:
            yield
        except (redis.RedisError, RedisClusterException) as error:
            # After a failover the connections may lead to what was the primary, where all else
            # works. The next call opens new ones.
            self._disconnect()
            kind = StoreFull if _is_full(error) else StoreUnavailable
            cause = _cause(error)
            advice = _advice(cause, sent_bytes, is_cluster=self.is_cluster)
            raise kind(f"{self.name}: {_reason(cause)}; {advice}") from error
        except BaseException:
            # An interrupted call leaves its answer on the connection, where the next call would
            # read it as its own.
            self._disconnect()
            raise

    def _disconnect(self) -> None:
        client = self.client
        pools = client.pools if isinstance(client, RedisCluster) else [client.connection_pool]
        for pool in pools:
            pool.disconnect(inuse_connections=False)  # not those that other threads are using


def _settings(client: RedisClient) -> dict[str, Any]:
    if isinstance(client, RedisCluster):
        return client.options
    return client.connection_pool.connection_kwargs


def _place(client: RedisClient) -> str:
    if isinstance(client, RedisCluster):
        return f"cluster at {_joined(client.nodes)}"
    pool = client.connection_pool
    if isinstance(pool, SentinelConnectionPool):
        sentinels = map(_settings, pool.sentinel_manager.sentinels)
        addresses = _joined([(each["host"], each["port"]) for each in sentinels])
        return f"master {pool.service_name} of the sentinels at {addresses}"
    settings = _settings(client)
    return f"at {settings.get('host', 'localhost')}:{settings.get('port', REDIS_PORT)}"


def _joined(addresses: Sequence[tuple[str, int]]) -> str:
    return ", ".join(f"{host}:{port}" for host, port in addresses)


def _cause(error: Exception) -> Exception:
    """Return what made redis-py say that it cannot use a cluster."""
    while isinstance(error, RedisClusterException):
        cause = error.__cause__ or error.__context__
        if not isinstance(cause, Exception):
            break
        error = cause
    return error


def _reason(error: Exception) -> str:
    if isinstance(error, MasterNotFoundError):
        # It goes on with one object of Python for each sentinel.
        return f"{error}".partition(" : ")[0]
    return f"{error}".rstrip(".")


def _is_full(error: Exception) -> bool:
    # Before Redis 7, what a command answers in a script is quoted by an error without a class.
    return isinstance(error, redis.exceptions.OutOfMemoryError) or "-OOM " in str(error)


def _advice(error: Exception, sent_bytes: int, *, is_cluster: bool) -> str:
    if _is_full(error):
        return "give the server more memory, or make room: outlast prune --older-than 30d"
    if advice := next((advice for text, advice in ADVICE_BY_TEXT if text in str(error)), None):
        return advice
    if is_cluster and isinstance(error, (ClusterError, RedisClusterException)):
        return "wait until its slots have moved, or a replica has taken over: see CLUSTER INFO"
    advice = next((advice for kind, advice in ADVICE if isinstance(error, kind)), REACH)
    if sent_bytes > LARGE_BYTES and isinstance(error, redis.ConnectionError):
        # The server closes the connection, and what it says of the reason is not read.
        advice += f", and that it takes {sent_bytes:,} bytes at once (proto-max-bulk-len)"
    return advice

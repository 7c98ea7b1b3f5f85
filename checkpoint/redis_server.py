"""Redis or Valkey servers: the client, and its errors in one line."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import redis
from redis.exceptions import RedisClusterException
from redis.sentinel import SentinelConnectionPool

from outlast.checkpoint.errors import StoreFull, StoreUnavailable
from outlast.checkpoint.redis_advice import advice_for, cause_of, is_full, reason_of
from outlast.checkpoint.redis_client import ANSWER_SECONDS
from outlast.checkpoint.redis_cluster import RedisCluster
from outlast.checkpoint.redis_url import REDIS_PORT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from outlast.checkpoint.redis_client import RedisClient


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
        self._has_answered = False

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
            self._has_answered = True
        except (redis.RedisError, RedisClusterException) as error:
            # After a failover the connections may lead to what was the primary, where all else
            # works. The next call opens new ones.
            self._disconnect()
            kind = StoreFull if is_full(error) else StoreUnavailable
            cause = cause_of(error)
            advice = advice_for(
                cause,
                sent_bytes=sent_bytes,
                is_cluster=self.is_cluster,
                has_tls=_has_tls(self.client),
                is_first=not self._has_answered,
            )
            raise kind(f"{self.name}: {reason_of(cause)}; {advice}") from error
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


def _has_tls(client: RedisClient) -> bool:
    if isinstance(client, RedisCluster):
        return issubclass(client.options["connection_class"], redis.SSLConnection)
    return issubclass(client.connection_pool.connection_class, redis.SSLConnection)


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

"""One Redis or Valkey server: the client, and what an operator can do about its errors."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from outlast.checkpoint.errors import StoreFull, StoreUnavailable
from outlast.checkpoint.redis_connection import Connection, TlsConnection

if TYPE_CHECKING:
    from collections.abc import Iterator

# Both can be set in the URL: redis://host?socket_timeout=20
CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 5.0  # and more for a large value: see `redis_connection`
# A server that refuses a smaller value does not refuse it for its size.
LARGE_BYTES = 1 << 20

SIGN_IN = "check the user name and the password, percent-encoded as they are in a URL"
ALLOW = "allow this user the commands and keys outlast:*"
# The first class that matches counts.
ADVICE: tuple[tuple[type[Exception], str], ...] = (
    (redis.AuthenticationError, SIGN_IN),
    (redis.exceptions.AuthorizationError, SIGN_IN),
    (redis.exceptions.NoPermissionError, ALLOW),
    (redis.ReadOnlyError, "connect to the primary, not to a replica"),
    (redis.exceptions.MasterDownError, "wait until this replica has a primary, or connect to that"),
    (redis.exceptions.AskError, "use a server with cluster mode off"),
    (redis.exceptions.ClusterError, "use a server with cluster mode off"),
    (redis.BusyLoadingError, "wait until the server has loaded its data"),
    (redis.ConnectionError, "check that the server runs and that the address is right"),
    (redis.TimeoutError, "check that the server runs and that the address is right"),
    (redis.RedisError, "see the server's log"),
)


def connect(url: str) -> redis.Redis:
    """Return a client of the server at `redis://…` or `rediss://…`, with redis-py's URL options.

    Nothing is sent yet.

    Raises:
        ValueError, TypeError: the URL or an option is wrong.
    """
    client = redis.Redis.from_url(
        url,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        connection_class=TlsConnection if url.startswith("rediss:") else Connection,
        # Once, for a connection that the server has closed. A time-out is not repeated: it has
        # taken long enough.
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
    )
    pool = client.connection_pool
    pool.connection_class(**pool.connection_kwargs)  # raises TypeError for an unknown option
    return client


class RedisServer:
    """The server of a client, for any number of threads.

    Attributes:
        client: its commands are called within `call`.
        name: the server for a message.
        address: what tells it, its database and the user from others.
    """

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        settings = client.connection_pool.connection_kwargs
        keys = ("host", "port", "path", "username")
        self.address = (*map(settings.get, keys), settings.get("db") or 0)
        self.name = f"redis at {settings.get('host', 'localhost')}:{settings.get('port', 6379)}"

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
        except redis.RedisError as error:
            # After a failover the connections may lead to what was the primary, where all else
            # works. The next call opens new ones.
            self._disconnect()
            reason = f"{error}".rstrip(".")
            kind = StoreFull if _is_full(error) else StoreUnavailable
            raise kind(f"{self.name}: {reason}; {_advice(error, sent_bytes)}") from error
        except BaseException:
            # An interrupted call leaves its answer on the connection, where the next call would
            # read it as its own.
            self._disconnect()
            raise

    def _disconnect(self) -> None:
        # Not those that other threads are using.
        self.client.connection_pool.disconnect(inuse_connections=False)


def _is_full(error: redis.RedisError) -> bool:
    # Before Redis 7, what a command answers in a script is quoted by an error without a class.
    return isinstance(error, redis.exceptions.OutOfMemoryError) or "-OOM " in str(error)


def _advice(error: redis.RedisError, sent_bytes: int) -> str:
    if _is_full(error):
        return "give the server more memory, or make room: outlast prune --older-than 30d"
    if "ACL failure in script" in str(error):
        return ALLOW
    if "WRONGTYPE" in str(error):
        return "choose a database of your own: another program has keys of the same names here"
    advice = next(advice for kind, advice in ADVICE if isinstance(error, kind))
    if sent_bytes > LARGE_BYTES and isinstance(error, redis.ConnectionError):
        # The server closes the connection, and what it says of the reason is not read.
        advice += f", and that it takes {sent_bytes:,} bytes at once (proto-max-bulk-len)"
    return advice

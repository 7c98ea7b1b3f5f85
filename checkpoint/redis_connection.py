"""Connections to Redis whose time-outs grow with what is sent, and a client that is quick.

A small job is two commands, for each of which redis-py's own client takes half as long again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import redis
from redis.connection import AbstractConnection
from redis.sentinel import (
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

PIECE_BYTES = 64 << 10
# A network, or a server that syncs each write to a disk, may be that slow and well.
SLOWEST_BYTES_A_SECOND = 1 << 20


class _InPieces(AbstractConnection):
    """Sends a command in pieces, each of which has the whole `socket_timeout`.

    redis-py gives that time to a value of any size. Once all is handed over, much of it may still
    be on its way: the answer has as much time, and a second more for each mebibyte. An answer may
    take as long as its bytes keep coming.
    """

    def send_packed_command(self, command: Iterable[bytes], check_health: bool = True) -> None:  # noqa: FBT001, FBT002 - redis-py's own signature
        """Send a command that is packed already."""
        parts: list[bytes | memoryview] = list(command)
        size = sum(map(len, parts))
        self._wait_for(0)
        if size > PIECE_BYTES:
            parts = [piece for part in parts for piece in _pieces(part)]
        super().send_packed_command(parts, check_health)  # type: ignore[no-untyped-call] # redis-py's
        self._wait_for(size)

    def _wait_for(self, sent_bytes: int) -> None:
        if self._sock is not None and self.socket_timeout:
            seconds = self.socket_timeout + sent_bytes // SLOWEST_BYTES_A_SECOND
            if self._sock.gettimeout() != seconds:  # To set it is a call of the system.
                self._sock.settimeout(seconds)


class Connection(_InPieces, redis.Connection):
    """A connection without encryption."""


class TlsConnection(_InPieces, redis.SSLConnection):
    """A connection under TLS."""


class MasterConnection(_InPieces, SentinelManagedConnection):
    """A connection to the server that sentinels name, without encryption."""


class TlsMasterConnection(_InPieces, SentinelManagedSSLConnection):
    """A connection to the server that sentinels name, under TLS."""


class Pool(redis.ConnectionPool):
    """Connections to one server, of which it hands out an idle one, or else a new one.

    redis-py looks at each one first, which takes three system calls, and counts it. One that the
    server has closed is found by its command as well, which is repeated then.
    """

    def get_connection(self, *_: Any, **__: Any) -> Any:
        """Return a connection that nobody else has."""
        self._checkpid()
        with self._lock:  # `disconnect` closes those that are idle, from any thread.
            idle = self._available_connections
            connection = idle.pop() if idle else self.make_connection()
        try:
            connection.connect()  # if it is not
        except BaseException:
            self.release(connection)
            raise
        return connection

    def release(self, connection: Any) -> None:
        """Take a connection back."""
        self._checkpid()
        with self._lock:
            if self.owns_connection(connection):
                self._available_connections.append(connection)
                return
            if connection.pid == self.pid:  # else it was counted before a fork
                self._created_connections -= 1
        connection.disconnect()


class MasterPool(Pool, SentinelConnectionPool):
    """Connections to the server that sentinels name."""


class Client(redis.Redis):
    """Runs commands, without redis-py's measurements of each, which nobody reads."""

    def execute_command(self, *words: Any, **options: Any) -> Any:
        """Run a command; again if the server has closed the connection."""
        pool = self.connection_pool
        connection: Any = pool.get_connection()

        def answer() -> Any:
            connection.send_command(*words)
            return self.parse_response(connection, words[0], **options)  # type: ignore[no-untyped-call] # redis-py's

        try:
            return connection.retry.call_with_retry(answer, lambda _: connection.disconnect())
        except redis.ResponseError:
            raise
        except BaseException:
            connection.disconnect()  # The next command would read an answer that is still to come.
            raise
        finally:
            pool.release(connection)


def _pieces(part: bytes | memoryview) -> Iterable[memoryview]:
    view = memoryview(part)
    return (view[start : start + PIECE_BYTES] for start in range(0, len(view), PIECE_BYTES))

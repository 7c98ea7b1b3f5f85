"""A connection to Redis whose time-out grows with what is sent over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import redis
from redis.connection import AbstractConnection
from redis.sentinel import SentinelManagedConnection, SentinelManagedSSLConnection

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
        self._wait_for(0)
        parts = list(command)
        pieces = [piece for part in parts for piece in _pieces(part)]
        super().send_packed_command(pieces, check_health)  # type: ignore[no-untyped-call] # redis-py's
        self._wait_for(sum(map(len, parts)))

    def _wait_for(self, sent_bytes: int) -> None:
        if self._sock is not None and self.socket_timeout:
            seconds = self.socket_timeout + sent_bytes / SLOWEST_BYTES_A_SECOND
            self._sock.settimeout(seconds)


class Connection(_InPieces, redis.Connection):
    """A connection without encryption."""


class TlsConnection(_InPieces, redis.SSLConnection):
    """A connection under TLS."""


class MasterConnection(_InPieces, SentinelManagedConnection):
    """A connection to the server that sentinels name, without encryption."""


class TlsMasterConnection(_InPieces, SentinelManagedSSLConnection):
    """A connection to the server that sentinels name, under TLS."""


def _pieces(part: bytes) -> Iterable[memoryview]:
    view = memoryview(part)
    return (view[start : start + PIECE_BYTES] for start in range(0, len(view), PIECE_BYTES))

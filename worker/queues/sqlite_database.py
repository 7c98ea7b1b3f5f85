"""A SQLite file that is both the store and the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.worker.queues.database import Database
from outlast.worker.queues.sqlite import ACK, SEND, parts

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.checkpoint.registers.sqlite import SqliteRegister
    from outlast.worker.queues.contract import Delivery
    from outlast.worker.queues.message import Message
    from outlast.worker.queues.sqlite import SqliteQueue


class SqliteDatabase(Database):
    """The tables of register and queue in one transaction, which costs one sync of the disk."""

    def __init__(
        self, register: SqliteRegister, queue: SqliteQueue, clock: Callable[[], float]
    ) -> None:
        """Write to the file of both; `clock` is that of the queue."""
        self._register = register
        self._queue = queue
        self._clock = clock

    def receive_batch(
        self, most: int, *, visibility_seconds: float, wait_seconds: float
    ) -> list[Delivery]:
        """Return what the queue returns: to read a job costs as little later."""
        return self._queue.receive_batch(
            most, visibility_seconds=visibility_seconds, wait_seconds=wait_seconds
        )

    def put(
        self,
        key: str,
        value: bytes,
        *,
        expected: str | None,
        message: Message | None = None,
        done: Delivery | None = None,
    ) -> str:
        """Replace the value, send and acknowledge; see `Database.put`."""
        with self._register.putting(key, value, expected=expected) as (version, connection):
            if message is not None:
                connection.execute(SEND, (message.body(), self._clock()))
            if done is not None:
                connection.execute(ACK, parts(done))
        return version

"""A SQLite file that is both the store and the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.worker.queues.database import Database
from outlast.worker.queues.receives import receipt_fields
from outlast.worker.queues.sqlite import ACK, SEND

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
        super().__init__(queue)
        self._register = register
        self._clock = clock

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
                connection.execute(ACK, receipt_fields(done))
        return version

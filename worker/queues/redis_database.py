"""A Redis or Valkey server that is both the store and the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.checkpoint.registers.redis import Putting
from outlast.worker.queues.database import Database
from outlast.worker.queues.redis_scripts import HANDOVER

if TYPE_CHECKING:
    from outlast.checkpoint.redis_client import RedisClient
    from outlast.checkpoint.registers.redis import RedisRegister
    from outlast.worker.queues.contract import Delivery
    from outlast.worker.queues.message import Message
    from outlast.worker.queues.redis import RedisQueue
    from outlast.worker.queues.redis_scripts import Keys


class RedisDatabase(Database):
    """The values of a register and the messages of a queue, changed by one script."""

    def __init__(
        self, client: RedisClient, register: RedisRegister, queue: RedisQueue, keys: Keys
    ) -> None:
        """Write to `register` and to `queue`, which has these keys."""
        self._register = register
        self._queue = queue
        self._keys = keys
        self._handover = client.register_script(HANDOVER)

    def receive_batch(
        self, most: int, *, visibility_seconds: float, wait_seconds: float
    ) -> list[Delivery]:
        """Return the messages with their jobs, in one round trip."""
        return self._queue.receive_batch(
            most,
            visibility_seconds=visibility_seconds,
            wait_seconds=wait_seconds,
            register=self._register,
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
        body = message.body() if message else ""
        receipt = done.receipt if done else ""
        putting = Putting(self._handover, self._keys, [body, *receipt.rpartition(":")[::2]])
        return self._register.put_by(putting, key, value, expected=expected)

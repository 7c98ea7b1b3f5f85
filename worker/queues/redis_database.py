"""A Redis or Valkey server that is both the store and the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.checkpoint.registers.redis import PutScript
from outlast.worker.queues.database import Database
from outlast.worker.queues.receives import receipt_fields
from outlast.worker.queues.redis_scripts import HANDOVER

if TYPE_CHECKING:
    from outlast.checkpoint.registers.redis import RedisRegister
    from outlast.worker.queues.contract import Delivery
    from outlast.worker.queues.message import Message
    from outlast.worker.queues.redis import RedisQueue
    from outlast.worker.queues.redis_scripts import Keys


class RedisDatabase(Database):
    """The values of a register and the messages of a queue, changed by one script."""

    _queue: RedisQueue

    def __init__(self, register: RedisRegister, queue: RedisQueue, keys: Keys) -> None:
        """Write to `register` and to `queue`, which has these keys."""
        super().__init__(queue)
        self._register = register
        self._keys = keys
        self._handover = register.script(HANDOVER)

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
        receipt = receipt_fields(done) if done else ("", "")
        script = PutScript(self._handover, self._keys, (body, *receipt))
        return self._register.put_with(script, key, value, expected=expected)

"""The simulated database that holds both: what it is asked to write happens in one step."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from outlast.checkpoint.names import job_key
from outlast.worker.queues.database import Database
from outlast.worker.queues.message import ForeignMessage, Message

if TYPE_CHECKING:
    from outlast.worker.queues.contract import Delivery
    from tests.simulation.message_queue import SimulatedQueue
    from tests.simulation.store import SimulatedRegister
    from tests.simulation.world import World


class SimulatedDatabase(Database):
    """Store and queue as one process has them."""

    _queue: SimulatedQueue

    def __init__(self, world: World, register: SimulatedRegister, queue: SimulatedQueue) -> None:
        super().__init__(queue)
        self._world = world
        self._register = register

    def receive_batch(
        self, most: int, *, visibility_seconds: float, wait_seconds: float
    ) -> list[Delivery]:
        """Return messages, each with its job as it is at that moment."""
        batch = super().receive_batch(
            most, visibility_seconds=visibility_seconds, wait_seconds=wait_seconds
        )
        self._register.look_at_clock()
        return [self._with_job(delivery) for delivery in batch]

    def _with_job(self, delivery: Delivery) -> Delivery:
        with suppress(ForeignMessage):
            key = job_key(Message.parse(delivery.body).job_id)
            return replace(delivery, stored=self._world.store.read(key))
        return delivery

    def put(
        self,
        key: str,
        value: bytes,
        *,
        expected: str | None,
        message: Message | None = None,
        done: Delivery | None = None,
    ) -> str:
        """Replace the value, send and acknowledge."""

        def also() -> None:
            if message is not None:
                self._queue.sends(message)
            if done is not None:
                self._queue.acknowledges(done)

        return self._register.put_with(also, key, value, expected=expected)

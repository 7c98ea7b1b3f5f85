"""Where queue and store are one database: what the end of a slice needs is one step there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from outlast.worker.queues.contract import Delivery, Queue
    from outlast.worker.queues.message import Message


class Database(ABC):
    """Holds the values of a register and the messages of a queue."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def receive_batch(
        self, most: int, *, visibility_seconds: float, wait_seconds: float
    ) -> list[Delivery]:
        """Do as `Queue.receive_batch`, and read the jobs where that costs nothing more.

        Raises:
            QueueUnavailable: as there.
        """
        return self._queue.receive_batch(
            most, visibility_seconds=visibility_seconds, wait_seconds=wait_seconds
        )

    @abstractmethod
    def put(
        self,
        key: str,
        value: bytes,
        *,
        expected: str | None,
        message: Message | None = None,
        done: Delivery | None = None,
    ) -> str:
        """Do as `Register.put`, and in the same step send `message` and acknowledge `done`.

        None: there is none to send, or to acknowledge. A crash leaves all of it or nothing. After
        an error within the step, such as a right that is missing, no message is missing that is to
        lead on; one may be there too many.

        Raises:
            VersionConflict, StoreUnavailable: as `Register.put`, also for what it sends.
        """

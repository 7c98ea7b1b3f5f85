"""The messages of a plain worker, received in batches while its jobs take milliseconds."""

from __future__ import annotations

import logging
from collections import deque
from contextlib import contextmanager, nullcontext
from threading import Lock
from typing import TYPE_CHECKING

from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.telemetry.events import QUEUE_UNAVAILABLE, tell

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from outlast.worker.queues.contract import Delivery
    from outlast.worker.slices.worker_process import WorkerProcess

log = logging.getLogger("outlast.consumer")

# As many as SQS takes in a request.
MOST_MESSAGES = 10
# So long a batch should last: no other worker is to wait for a message that one holds.
BATCH_SECONDS = 0.25
# If one of its messages takes longer, the others are for other workers.
LATE_SECONDS = 1.0
SHORTEST_SECONDS = 1e-6  # A clock may stand still.
# A lease may have become longer by the claim: to hide the message for longer costs a request.
HIDDEN_LEASES = 1.25
# Of how many messages the slowest counts.
RECENT = 10


class Inbox:
    """Holds the messages that were received and wait for their turn, and those to acknowledge.

    A batch is as large as the slowest of the last messages allows; while nothing is known, one
    message.
    """

    def __init__(self, process: WorkerProcess, *, wait_seconds: float) -> None:
        """Receive for `process`; a look at the queue takes `wait_seconds` at most."""
        self._process = process
        self._wait_seconds = wait_seconds
        self._waiting: deque[Delivery] = deque()
        self._done: list[Delivery] = []
        self._seconds: deque[float] = deque(maxlen=RECENT)
        self._lock = Lock()  # The heartbeat's thread gives messages back.
        self._began_at = process.clock()

    def next(self, most: int | None = None) -> Delivery | None:
        """Return the next message; ask for `most` at most (None: any number). None: there is none.

        Raises:
            QueueUnavailable: the queue did not answer.
        """
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
        batch = self._process.receive_batch(
            min(self._batch_size(), most or MOST_MESSAGES),
            visibility_seconds=HIDDEN_LEASES * self._process.timing.lease_seconds(),
            wait_seconds=self._wait_seconds,
        )
        self._waiting.extend(batch[1:])
        return batch[0] if batch else None

    def _batch_size(self) -> int:
        if not self._seconds:
            return 1
        fitting = BATCH_SECONDS / max(*self._seconds, SHORTEST_SECONDS)
        return max(min(int(fitting), MOST_MESSAGES), 1)

    @contextmanager
    def handling(self) -> Iterator[None]:
        """Measure how long the block handles a message; let the others go if it takes long."""
        self._began_at = self._process.clock()
        others: AbstractContextManager[None] = nullcontext()
        if self._waiting or self._done:
            others = self._process.observe(self._look)
        with others:
            yield
        self._seconds.append(self._process.clock() - self._began_at)

    def _look(self) -> None:
        if self._process.clock() - self._began_at >= LATE_SECONDS:
            self.close()

    def ack(self, delivery: Delivery) -> None:
        """Acknowledge a message, or do that together with the rest of its batch.

        Raises:
            QueueUnavailable: some of them will come again.
        """
        self._done.append(delivery)
        if not self._waiting:
            self._ack_done()

    def _ack_done(self) -> None:
        with self._lock:
            done, self._done = self._done, []
        if done:
            self._process.queue.ack_batch(done)

    def close(self) -> None:
        """Show the messages that wait here to other workers, and acknowledge those that are done.

        Where the queue does not answer they come again later.
        """
        with self._lock:
            waiting = list(self._waiting)
            self._waiting.clear()
        try:
            self._ack_done()
            for delivery in waiting:
                self._process.hide(delivery, 0)
        except QueueUnavailable as error:
            tell(log, QUEUE_UNAVAILABLE, effect="messages come again later", error=str(error))

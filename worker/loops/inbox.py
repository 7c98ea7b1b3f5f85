"""The messages of a plain worker, received in batches while its jobs take milliseconds."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING

from outlast.worker.queues.contract import QueueUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from outlast.worker.queues.contract import Delivery
    from outlast.worker.queues.local_receipts import LocalReceipts
    from outlast.worker.slices.worker_process import WorkerProcess

# As many as SQS takes in a request.
MOST_MESSAGES = 10
# The target length of a batch, so that no message waits while another worker is idle.
BATCH_SECONDS = 0.25
# A batch that takes longer is given back: its messages are for other workers.
GIVE_BACK_SECONDS = 1.0
SHORTEST_SECONDS = 1e-6  # A clock may stand still.
# The lease may have grown by the claim, and to hide the message for longer costs a request.
HIDDEN_LEASES = 1.25
# How many recent slices set the size of a batch.
RECENT = 10


class Inbox:
    """Holds the messages that were received and wait for their turn, and those to acknowledge.

    A batch is as large as the slowest of the last slices allows. It is one message until so many
    were measured, and again after a look that found none, or a batch that was given back: a message
    that is given back has had a receive for nothing.
    """

    def __init__(
        self,
        process: WorkerProcess,
        *,
        wait_seconds: float,
        receipts: LocalReceipts | None = None,
    ) -> None:
        """Receive for `process`; a look at the queue takes `wait_seconds` at most.

        Others on this machine learn from `receipts` what this process has; None: they do not.
        """
        self._process = process
        self._receipts = receipts
        self._wait_seconds = wait_seconds
        self._waiting: deque[Delivery] = deque()
        self._done: list[Delivery] = []
        self._seconds: deque[float] = deque(maxlen=RECENT)
        self._lock = Lock()  # The heartbeat's thread gives messages back.
        self._received_at = self._began_at = process.clock()

    def next(self, most: int | None = None) -> Delivery | None:
        """Return the next message; ask for `most` at most (None: any number). None: there is none.

        Raises:
            QueueUnavailable: the queue did not answer.
        """
        with self._lock:
            if self._waiting:
                delivery = self._waiting.popleft()
                waited = self._process.clock() - self._received_at
                return replace(delivery, hidden_seconds=delivery.hidden_seconds - waited)
        if self._receipts:
            self._receipts.show_lost()
        batch = self._process.receive_batch(
            min(self._batch_size(), most or MOST_MESSAGES),
            visibility_seconds=HIDDEN_LEASES * self._process.timing.lease_seconds(),
            wait_seconds=self._wait_seconds,
        )
        self._received_at = self._process.clock()
        if self._receipts:
            self._receipts.note(batch)
        if not batch:
            self._seconds.clear()
            return None
        self._waiting.extend(batch[1:])
        return batch[0]

    def _batch_size(self) -> int:
        if len(self._seconds) < RECENT:
            return 1
        fitting = BATCH_SECONDS / max(*self._seconds, SHORTEST_SECONDS)
        return max(min(int(fitting), MOST_MESSAGES), 1)

    @contextmanager
    def handling(self) -> Iterator[None]:
        """Handle a message in the block, and let the others go if that takes long."""
        self._began_at = self._process.clock()
        others: AbstractContextManager[None] = nullcontext()
        if self._waiting or self._done:
            others = self._process.observe(self._look)
        with others:
            yield

    def ran_slice(self) -> None:
        """Note that the message called for a slice, which has ended."""
        self._seconds.append(self._process.clock() - self._began_at)

    def _look(self) -> None:
        if self._process.clock() - self._received_at >= GIVE_BACK_SECONDS:
            self.close()

    def ack(self, delivery: Delivery) -> None:
        """Acknowledge a message, or do that together with the rest of its batch.

        Raises:
            QueueUnavailable: some of them will come again.
        """
        with self._lock:
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
        if waiting:
            self._seconds.clear()
        try:
            self._ack_done()
            for delivery in waiting:
                self._process.hide(delivery, 0)
        except QueueUnavailable as error:
            self._process.outages.failed(error, "messages come again later")

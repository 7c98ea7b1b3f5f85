"""The loop of a plain worker: receive, deliver, ack, until told to stop."""

from __future__ import annotations

import logging
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import StoreUnavailable
from outlast.worker.loops.errors import LEAVE_MESSAGE, NOT_HERE
from outlast.worker.loops.inbox import Inbox
from outlast.worker.loops.left_messages import LeftMessages
from outlast.worker.loops.sweeper import Sweeper
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.slices.backoff import backoff
from outlast.worker.slices.deadline import Deadline
from outlast.worker.slices.deliver import deliver
from outlast.worker.slices.health import MOST_FAULTS, BrokenWorker
from outlast.worker.telemetry.events import WORKER_IDLE, tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.worker.queues.contract import Delivery
    from outlast.worker.queues.local_receipts import LocalReceipts
    from outlast.worker.slices.worker_process import WorkerProcess

log = logging.getLogger("outlast.consumer")

# One look at the queue; a stop signal waits no longer than this.
WAIT_SECONDS = 1.0
FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 30.0
# So long the message of a job that this worker cannot run is hidden from all.
LEFT_SECONDS = 30.0


class Consumer:
    """Works through a queue, one slice at a time."""

    def __init__(
        self,
        process: WorkerProcess,
        *,
        slice_seconds: float | None,
        sweep_seconds: float | None = None,
        wait_seconds: float = WAIT_SECONDS,
        receipts: LocalReceipts | None = None,
    ) -> None:
        """Run slices of about `slice_seconds` (None: no limit; see `deliver`).

        A consumer sweeps every `sweep_seconds`, if no other one does; None: never. A look at the
        queue takes `wait_seconds` at most. With `receipts` the consumers of this machine show the
        messages of one that was killed.
        """
        self._process = process
        self._inbox = Inbox(process, wait_seconds=wait_seconds, receipts=receipts)
        self._receipts = receipts
        self._slice_seconds = slice_seconds
        self._sweeper = sweep_seconds and Sweeper(process, every_seconds=sweep_seconds)
        self._left = LeftMessages(log, process.clock)
        self._failures_in_a_row = 0
        self._has_connected = False
        self._is_idle = False

    def run(
        self,
        *,
        max_idle_seconds: float | None = None,
        max_slices: int | None = None,
        done: Callable[[], bool] = lambda: False,
        outer: Deadline | None = None,
    ) -> str | None:
        """Work until there is a reason to stop; return the signal or notice if that was it.

        Stops after `max_idle_seconds` without a message that this worker can work on, after
        `max_slices` slices, or once `done()`; None means no such limit. A stop signal, or a reason
        to stop that `outer` has, ends the running slice at its next safe point, which saves it and
        sends its continuation.

        Raises:
            BrokenWorker: one job after another could not begin here, through no fault of theirs;
                another process, or another machine, may do better.
            QueueUnavailable: not even the first contact was possible. Later on the loop backs off
                and tries again, as it does when the store does not answer.
        """
        slices = 0
        busy_at = self._process.clock()
        receipts = closing(self._receipts) if self._receipts else nullcontext()
        with Deadline(outer=outer) as stop, receipts, closing(self._inbox):
            while not stop.reason and not done():
                worked = self._turn(stop, max_slices and max_slices - slices)
                now = self._process.clock()
                if worked is None:
                    if max_idle_seconds is not None and now - busy_at >= max_idle_seconds:
                        break
                    continue
                busy_at = now
                slices += worked
                if max_slices is not None and slices >= max_slices:
                    break
            return stop.reason

    def _turn(self, stop: Deadline, most: int | None) -> int | None:
        """Handle one delivery; return how many slices it ran, or None if there was none.

        `most` messages may be received; None: any number.
        """
        try:
            # Also while there is work: a queue that is never empty must not keep others asleep.
            if self._sweeper and self._has_connected:
                self._sweeper.sweep(is_idle=self._is_idle)
            delivery = self._inbox.next(most)
            self._has_connected = True
            self._tell_idle(delivery is None)
            if delivery is None:
                self._failures_in_a_row = 0
                return None
            if stop.reason:
                self._process.queue.hide(delivery, 0)
                return None
            with self._inbox.handling():
                slices = self._handle(delivery, stop)
            if slices:
                self._inbox.ran_slice()
        except (StoreUnavailable, QueueUnavailable) as error:
            if not self._has_connected:
                raise
            self._back_off(error, stop)
            return 0  # An outage says nothing of whether there is work.
        self._failures_in_a_row = 0
        return slices

    def _handle(self, delivery: Delivery, stop: Deadline) -> int | None:
        """Do what the message asks for; return as `_turn`, None also if it is one for others."""
        process = self._process
        try:
            handled = deliver(process, delivery, slice_seconds=self._slice_seconds, stop=stop)
        except (StoreUnavailable, QueueUnavailable):
            raise
        except BrokenWorker as error:
            if process.health.is_broken:
                mend = "install or repair what this machine lacks, or start another worker"
                reason = f"{error}; {MOST_FAULTS} times in a row: {mend}"
                raise BrokenWorker(reason) from error
            self._wait(process.health.wait_seconds, stop)
            return 0
        except LEAVE_MESSAGE as error:
            if process.is_alone and isinstance(error, NOT_HERE):
                raise  # There is no other worker to leave the message to.
            self._left.tell(error)
            if isinstance(error, NOT_HERE):
                # Others are to have a chance before the message has been received too often.
                process.hide(delivery, LEFT_SECONDS)
                return None
            return 0
        process.outages.store_answered()
        if handled.ack and not handled.is_acked:
            self._inbox.ack(delivery)
        return int(handled.record is not None)

    def _tell_idle(self, is_idle: bool) -> None:  # noqa: FBT001 - the new value of a flag
        if is_idle and not self._is_idle and not self._process.is_alone:
            tell(log, WORKER_IDLE, worker=self._process.worker)
        self._is_idle = is_idle

    def _back_off(self, error: StoreUnavailable | QueueUnavailable, stop: Deadline) -> None:
        self._process.outages.failed(error, "the worker waits")
        self._inbox.close()  # Others may reach what this worker does not.
        self._wait(_backoff(self._failures_in_a_row), stop)
        self._failures_in_a_row += 1

    def _wait(self, seconds: float, stop: Deadline) -> None:
        # In pieces, as a signal does not cut a sleep short.
        while seconds > 0 and not stop.reason:
            self._process.sleep(min(seconds, WAIT_SECONDS))
            seconds -= WAIT_SECONDS


def _backoff(times: int) -> float:
    return backoff(times, first=FIRST_BACKOFF_SECONDS, longest=LONGEST_BACKOFF_SECONDS)

"""What to do with one delivery: the message, its turn, and what may get in the way."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import DeletedJob, LeaseLost, VersionConflict
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.queues.message import Message
from outlast.worker.slices.deadline import Deadline
from outlast.worker.slices.health import BrokenWorker
from outlast.worker.slices.job_turn import JobTurn
from outlast.worker.slices.leased_job import JobMoved
from outlast.worker.slices.turn import Handled
from outlast.worker.telemetry.events import MESSAGE_DROPPED, WORKER_FAULT, tell

if TYPE_CHECKING:
    from outlast.worker.queues.contract import Delivery
    from outlast.worker.slices.turn import Turn
    from outlast.worker.slices.worker_process import WorkerProcess

log = logging.getLogger("outlast.delivery")


def deliver(
    process: WorkerProcess,
    delivery: Delivery,
    *,
    seconds: float | None = None,
    slice_seconds: float | None = None,
    stop: Deadline | None = None,
) -> Handled:
    """Do what one delivery asks for, within `seconds` from now; None sets no limit.

    A slice lasts `slice_seconds` at most (None: no limit), so that other jobs get a turn. This is
    a wish where `seconds` is a limit: a job whose slices did not advance it, perhaps because its
    tables take longer to build, is granted longer each time: see `ClaimedJob.stretched`.

    A reason to stop that `stop` has ends the slice as well, or keeps it from beginning.

    Raises:
        ForeignMessage, UnknownJob, CorruptRecord, UnknownKernel, NewerState: this worker can do
            nothing with it; leave it to the queue's redrive.
        BrokenWorker: this worker takes an error for a fault of its machine; leave it to others.
        StoreUnavailable, QueueUnavailable: nothing is lost; the message will come again.
    """
    message = Message.parse(delivery.body)
    with Deadline(seconds, outer=stop, clock=process.clock) as deadline:
        turn = _kind_of(message)(process, delivery, message, deadline, slice_seconds)
        while True:
            try:
                return turn.handle()
            except (JobMoved, VersionConflict):
                turn = turn.again()
            except LeaseLost:
                turn = turn.again(may_run=False)  # The time for a slice may be over.
            except BrokenWorker as error:
                tell(log, WORKER_FAULT, worker=process.worker, error=str(error))
                with suppress(QueueUnavailable):
                    process.hide(delivery, 0)
                raise
            except DeletedJob:  # perhaps while its slice ran
                tell(log, MESSAGE_DROPPED, job_id=message.job_id)
                return Handled(ack=True)


def _kind_of(message: Message) -> type[Turn]:
    if message.node is None:
        return JobTurn
    from outlast.worker.slices.fleet.part_turn import PartTurn  # most workers see no parts

    return PartTurn

"""One job worked to its end in this process, without a queue that others read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import StoreUnavailable
from outlast.checkpoint.status import Status
from outlast.worker.loops.consumer import WAIT_SECONDS, Consumer
from outlast.worker.queues.message import Message
from outlast.worker.slices.loading import require_runnable

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record
    from outlast.worker.slices.deadline import Deadline
    from outlast.worker.slices.worker_process import WorkerProcess


def run_to_end(
    process: WorkerProcess,
    job_id: str,
    *,
    slice_seconds: float | None,
    wait_seconds: float = WAIT_SECONDS,
    stop: Deadline | None = None,
) -> Record:
    """Run slice after slice of the job until it is over, paused, or a signal stops this process.

    A reason to stop that `stop` has counts like a signal.

    `process.queue` is to be a queue of this run alone: a message that dies with it is no loss, for
    the progress is in the store. It is looked at for `wait_seconds` at most before the job is
    looked at again. While another worker holds the job this one waits.
    Returns the job as it is left.

    Raises:
        UnknownKernel, NewerState: this process is not one for the job.
    """

    def is_over() -> bool:
        try:
            record = process.jobs.load(job_id).record
        except StoreUnavailable:
            return False  # The consumer finds out for itself, and backs off.
        if record.status.is_final or record.status is Status.PAUSED:
            return True
        require_runnable(process, record)  # There is no other worker to leave the message to.
        return False

    process = replace(process, is_alone=True)
    process.queue.send(Message(job_id=job_id))
    consumer = Consumer(process, slice_seconds=slice_seconds, wait_seconds=wait_seconds)
    consumer.run(done=is_over, outer=stop)
    return process.jobs.load(job_id).record

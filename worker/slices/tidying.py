"""What is left of the arrays of a job that is over: chunks of workers that were killed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from outlast.checkpoint.blobs.orphans import orphans_of
from outlast.checkpoint.errors import CheckpointError

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record
    from outlast.worker.slices.deadline import Deadline
    from outlast.worker.slices.worker_process import WorkerProcess

log = logging.getLogger("outlast.slice")

# With less time left it is not begun: no platform is to end a worker for it.
LEAST_SECONDS = 10.0


def tidy(process: WorkerProcess, record: Record, deadline: Deadline) -> None:
    """Delete what a job that is over does not need of its arrays, if there is time for that.

    What fails, or has no time, is left to `outlast prune`.
    """
    has_some = record.chunks or record.dropped or record.fleet
    if process.blobs is None or not (record.status.is_final and has_some):
        return
    if deadline.is_signalled or deadline.remaining < LEAST_SECONDS:
        return
    try:
        names = [found.name for found in process.blobs.names(f"{record.job_id}/")]
        # Read after the list: another job may have this id meanwhile, or this one go on.
        current = process.jobs.load(record.job_id).record
        jobs = process.jobs
        process.blobs.delete(orphans_of(current, names, jobs.clock(), jobs.forgets_seconds))
    except CheckpointError as error:
        log.debug("job %s: chunks are left to prune: %s", record.job_id, error)

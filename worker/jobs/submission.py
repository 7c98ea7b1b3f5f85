"""How new jobs reach the workers: a job is stored first, then a message wakes it."""

from __future__ import annotations

import logging
from itertools import islice
from typing import TYPE_CHECKING

from outlast.checkpoint.blobs.sending import THREADS_ALONE
from outlast.worker.jobs.arrays import require_blobs, store_with_arrays
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.queues.message import Message
from outlast.worker.telemetry.events import JOB_SUBMITTED, tell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from outlast.checkpoint.blobs.contract import BlobStore
    from outlast.checkpoint.job_store import JobStore
    from outlast.checkpoint.record import Record
    from outlast.worker.jobs.new_job import NewJob
    from outlast.worker.queues.contract import Queue

log = logging.getLogger("outlast.client")

# botocore's clients keep ten connections. The arrays of a job take several.
SUBMISSIONS_AT_ONCE = 8


def store_job(jobs: JobStore, new: NewJob, blobs: BlobStore | None = None) -> tuple[Record, bool]:
    """Store a new job without waking it; return it as it is stored, and whether it is new.

    Its arrays go to `blobs` before; a job that exists has them there already.

    Raises:
        JobExists: its id belongs to a job with other parameters.
        NoBlobStore: it has arrays, and there is no place for them.
    """
    job_id = new.record.job_id
    if new.chunks:
        record, is_new = store_with_arrays(jobs, new, require_blobs(blobs, job_id))
    else:
        (record, _), is_new = new.store(jobs)
    if is_new:
        tell(log, JOB_SUBMITTED, job_id=job_id, kernel=record.kernel)
    return record, is_new


def submit_job(jobs: JobStore, queue: Queue, new: NewJob, blobs: BlobStore | None = None) -> Record:
    """Store a new job and wake it; return it as it is stored.

    Raises:
        JobExists, NoBlobStore: as `store_job`.
        QueueUnavailable: the job is stored, but asleep.
    """
    record, _ = store_job(jobs, new, blobs)
    # Its first submission may have died before the message was sent.
    if not (record.announced or record.status.is_final):
        wake_job(queue, record, "submit it again with this id")
    return record


def submit_jobs(
    jobs: JobStore,
    queue: Queue,
    new_jobs: Iterable[NewJob],
    blobs: BlobStore | None,
    *,
    may_exist: bool,
) -> None:
    """Submit all these jobs, several at a time.

    With `may_exist` the store is asked first, and those that have begun are left as they are.
    """
    missing = {new.record.job_id: new for new in new_jobs}
    if may_exist:
        for head in jobs.heads_of(list(missing)):
            if head.usage.slices_begun or head.status.is_final:
                del missing[head.job_id]
    rest = iter(missing.values())
    # The first one goes alone: if the store or the queue is away, one error is enough.
    for new in islice(rest, 1):
        submit_job(jobs, queue, new, blobs)
    from concurrent.futures import ThreadPoolExecutor  # here, as most commands do without

    has_arrays = any(new.chunks for new in missing.values())
    at_once = SUBMISSIONS_AT_ONCE // THREADS_ALONE if has_arrays else SUBMISSIONS_AT_ONCE
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(lambda new: submit_job(jobs, queue, new, blobs), rest))


def wake_job(queue: Queue, record: Record, advice: str) -> None:
    """Send the message for the job's next slice.

    Raises:
        QueueUnavailable: the message names the job, and `advice` is the way out.
    """
    try:
        queue.send(Message(job_id=record.job_id, slice=record.slice_number))
    except QueueUnavailable as error:
        raise QueueUnavailable(
            f"job {record.job_id} is stored but was not woken, {advice}: {error}"
        ) from error

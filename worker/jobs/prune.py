"""Deletes jobs that are over."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import (
    CorruptRecord,
    NewerRecord,
    UnknownJob,
    VersionConflict,
    WrongStatus,
)
from outlast.worker.jobs.arrays import delete_with_arrays

if TYPE_CHECKING:
    from outlast.checkpoint.blobs.contract import BlobStore
    from outlast.checkpoint.head import Head
    from outlast.checkpoint.job_store import JobStore
    from outlast.worker.jobs.selection import Selection

# SQS keeps a message for 14 days at most, and as long again in the dead-letter queue of a FIFO one:
# after that no message for a deleted job can come.
MARK_SECONDS = 30 * 86_400.0


def delete_finished(jobs: JobStore, job_id: str) -> None:
    """Delete a job that is over.

    Raises:
        WrongStatus: it is not over, and nothing was removed.
        CorruptRecord: it cannot be read, and nothing was removed.
    """
    while True:
        try:
            stored = jobs.load(job_id)
            if not stored.record.status.is_final:
                raise WrongStatus(
                    f"job {job_id} {stored.record.status.phrase}: cancel it first, or delete it "
                    "with --force"
                )
            return jobs.delete(stored)
        except VersionConflict:
            continue  # Someone else has changed it since it was read.
        except NewerRecord:
            raise
        except CorruptRecord as error:
            raise CorruptRecord(f"{error}; --force deletes it as it is") from None


def is_prunable(record: Head, selection: Selection, now: float) -> bool:
    """Whether the job is over and selected."""
    return record.status.is_final and selection.takes(record, now)


def prune(jobs: JobStore, blobs: BlobStore | None, job_id: str, selection: Selection) -> bool:
    """Delete the job with its arrays if it still is prunable; return whether it was.

    A job that was retried or deleted after it was listed is left as it is.
    """
    try:
        stored = jobs.load(job_id)
        if is_prunable(stored.record, selection, jobs.clock()):
            delete_with_arrays(blobs, job_id, lambda: jobs.delete(stored))
            return True
    except (CorruptRecord, UnknownJob, VersionConflict):
        pass
    return False


def clear_parts(jobs: JobStore) -> None:
    """Remove the parts and groups that no job needs any more."""
    for job_id in list(jobs.nodes.job_ids()):
        with suppress(CorruptRecord):  # What it needs is not known.
            jobs.nodes.clear_others(job_id, partial(_birth_needed, jobs, job_id))


def _birth_needed(jobs: JobStore, job_id: str) -> str | None:
    """Return the division whose parts the job needs; None: none."""
    try:
        job = jobs.head_of(job_id)
    except UnknownJob:
        return None
    birth = job.fleet.birth if job.fleet else None
    return birth if job.needs_parts_of(birth) else None


def forget_deletions(jobs: JobStore) -> int:
    """Clear the marks of jobs that were deleted too long ago for any message; return how many."""
    return jobs.deletions.forget(jobs.clock() - MARK_SECONDS)

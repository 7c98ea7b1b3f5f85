"""Deletes jobs that are over and that nobody has touched for long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.checkpoint.errors import CorruptRecord, UnknownJob, VersionConflict

if TYPE_CHECKING:
    from outlast.checkpoint.jobs import JobStore
    from outlast.checkpoint.record import Record
    from outlast.worker.jobs.selection import Selection

# SQS keeps a message for 14 days at most, and in the dead-letter queue of a FIFO one for as long
# again: later than that none can come for a deleted job.
MARK_SECONDS = 30 * 86_400.0


def is_prunable(record: Record, selection: Selection, now: float) -> bool:
    """Whether the job is one of those meant and is over."""
    return record.status.is_final and selection.takes(record, now)


def prune(jobs: JobStore, job_id: str, selection: Selection) -> bool:
    """Delete the job if it still is prunable; return whether this was so.

    A job that was retried, or deleted, since it was looked at is left as it is.
    """
    try:
        held = jobs.load(job_id)
        if is_prunable(held.record, selection, jobs.clock()):
            jobs.delete(held)
            return True
    except (CorruptRecord, UnknownJob, VersionConflict):
        pass
    return False


def forget_deletions(jobs: JobStore) -> int:
    """Clear the marks of jobs that were deleted too long ago for any message; return how many."""
    return jobs.deletions.forget(jobs.clock() - MARK_SECONDS)

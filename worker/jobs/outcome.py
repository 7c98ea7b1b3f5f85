"""The result of a finished job, or why it has none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from outlast.checkpoint.status import Status

if TYPE_CHECKING:
    from outlast.checkpoint.head import Head
    from outlast.checkpoint.record import Record


class JobNotFinished(Exception):
    """The job has no result yet. Wait, or look at its status."""


class JobFailed(Exception):
    """The job failed or was cancelled; the message says why."""


def result_of(record: Record) -> Any:
    """Return the job's result as a JSON value, in which references stand for its arrays.

    Raises:
        JobNotFinished: there is none yet.
        JobFailed: there will be none.
    """
    if record.status is Status.SUCCEEDED:
        return record.result
    if record.status.is_final:
        why = f"job {record.job_id} {record.status}: {record.error or 'by request'}"
        raise JobFailed(why + _advice(record))
    raise JobNotFinished(progress_of(record))


def _advice(record: Record) -> str:
    """Return how to let a failed job go on; nothing where one command does not do it."""
    if record.status is not Status.FAILED or record.at_ceiling():
        return ""
    return f"; outlast retry {record.job_id} lets it go on"


def progress_of(record: Head) -> str:
    """Return how far the job is, in words."""
    done = "in parts" if record.is_divided else f"{record.progress:.1%} done"
    return f"job {record.job_id} {record.status.phrase}, {done}"

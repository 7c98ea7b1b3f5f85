"""The end of a job one of whose parts cannot go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.worker.telemetry.job_events import tell_over

if TYPE_CHECKING:
    from outlast.checkpoint.job_store import StoredJob
    from outlast.checkpoint.record import Record
    from outlast.worker.slices.worker_process import WorkerProcess


def fail_job(
    process: WorkerProcess, job_id: str, birth: str | None, reason: str, *, era: int
) -> StoredJob:
    """Fail the job, unless it was retried since the `era`, or needs the parts of `birth` no more.

    Returns the job as it is stored.
    """
    is_ours = False

    def move(job: Record) -> Record:
        nonlocal is_ours
        is_ours = not job.status.is_final and job.needs_parts_of(birth) and era >= job.era
        return job.failed(reason) if is_ours else job

    stored = process.jobs.change(job_id, move)
    if is_ours:
        tell_over(stored.record, process.platform)
    return stored

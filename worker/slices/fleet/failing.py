"""What errors of its parts, and in adding them up, do to a job."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import CheckpointError
from outlast.checkpoint.head import LONGEST_RETRY_SECONDS
from outlast.checkpoint.survey import Survey, sum_of
from outlast.worker.slices.backoff import backoff
from outlast.worker.slices.protocol import FIRST_BACKOFF_SECONDS
from outlast.worker.telemetry.job_events import tell_over

if TYPE_CHECKING:
    from outlast.checkpoint.job_store import StoredJob
    from outlast.checkpoint.record import Record
    from outlast.worker.slices.worker_process import WorkerProcess

log = logging.getLogger("outlast.slice")


def fail_job(
    process: WorkerProcess, job_id: str, birth: str | None, reason: str, *, era: int
) -> StoredJob:
    """Fail the job, unless it was retried since the `era`, or needs the parts of `birth` no more.

    Returns the job as it is stored.
    """
    is_ours = False

    def move(job: Record) -> Record:
        nonlocal is_ours
        is_ours = _is_open(job, birth) and era >= job.era
        return job.failed(reason) if is_ours else job

    stored = process.jobs.change(job_id, move)
    if is_ours:
        _tell(process, stored.record)
    return stored


def count_error(
    process: WorkerProcess, job_id: str, birth: str | None, reason: str, *, era: int
) -> tuple[StoredJob, float]:
    """Count an error in adding up, as `fail_job` does it where the job has had enough of them.

    Several groups may have the same trouble at the same time: until it is tried again, it counts
    once. Returns the job as it is stored, and after how many seconds to try again; 0: not at all.
    """
    is_ours, now = False, process.jobs.clock()

    def move(job: Record) -> Record:
        nonlocal is_ours
        is_ours = _is_open(job, birth) and era >= job.era
        if not is_ours or job.wait_seconds(now) > 0:
            return job
        failures = job.guards.failures
        wait = backoff(failures, first=FIRST_BACKOFF_SECONDS, longest=LONGEST_RETRY_SECONDS)
        return job.erred(reason, not_before=now + wait)

    stored = process.jobs.change(job_id, move)
    record = stored.record
    if is_ours and record.status.is_final:
        _tell(process, record)
    if not is_ours or record.status.is_final:
        return stored, 0.0
    log.warning("job %s: %s; to be tried again", job_id, reason)
    return stored, max(record.wait_seconds(now), FIRST_BACKOFF_SECONDS)


def forget_errors(process: WorkerProcess, job_id: str, birth: str | None) -> None:
    """Note that adding up has advanced the job since its last error."""
    process.jobs.change(job_id, lambda job: job.recovered() if _is_open(job, birth) else job)


def _is_open(job: Record, birth: str | None) -> bool:
    return not job.status.is_final and job.needs_parts_of(birth)


def _tell(process: WorkerProcess, job: Record) -> None:
    """Tell that the job has failed, and what it has taken with its parts if they can be read."""
    if job.fleet is not None:
        with suppress(CheckpointError):
            survey = Survey(process.jobs.nodes, job.job_id, job.fleet)
            job = job.model_copy(update={"usage": sum_of(job.usage, survey.tops.values())})
    tell_over(job, process.platform)

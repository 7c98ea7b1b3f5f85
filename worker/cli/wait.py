"""outlast wait: until a job has its result."""

from __future__ import annotations

from worker.cli.options import Debug, JobId, Json, TimeoutSeconds
from worker.cli.result import show


def wait(
    job_id: JobId,
    *,
    timeout_seconds: TimeoutSeconds = None,
    as_json: Json = False,
    _debug: Debug = False,
) -> None:
    """Wait until a job is over and print its result.

    It only looks: the work is done by workers elsewhere. Stopping it does nothing to the job.

    Examples:
        outlast wait million
        outlast wait million --timeout-seconds 600 && echo found

    Exit codes:
        0  the result is printed
        1  the job failed or was cancelled, there is no such job, or the store is at fault
        2  the id or a setting is wrong
        3  the time-out passed first
    """
    from worker.client import Client

    show(Client().wait(job_id, timeout_seconds=timeout_seconds), as_json=as_json)

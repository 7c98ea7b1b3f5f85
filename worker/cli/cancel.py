"""outlast cancel: stop a job for good."""

from __future__ import annotations

from worker.cli.options import Debug, JobId, Json
from worker.cli.output import put, put_json


def cancel(job_id: JobId, *, as_json: Json = False, _debug: Debug = False) -> None:
    """Stop a job for good.

    A slice that runs notices at its next save, so within the interval between two checkpoints
    (OUTLAST_CHECKPOINT_SECONDS, at most 60 s by default). Cancelling a cancelled job does nothing.

    Examples:
        outlast cancel million

    Exit codes:
        0  the job is cancelled
        1  it was over already, there is no such job, or the store is at fault
        2  the id or a setting is wrong
    """
    from worker.client import Client
    from worker.status import view

    record = Client().cancel(job_id)
    if as_json:
        put_json(view(record))
    else:
        put(f"job {job_id} is cancelled")

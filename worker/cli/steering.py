"""outlast cancel, pause, resume, retry: what a person may do with a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.options import Debug, JobId, Json, positive_duration
from worker.cli.output import put, put_json

if TYPE_CHECKING:
    from checkpoint.record import Record


def cancel(job_id: JobId, *, as_json: Json = False, _debug: Debug = False) -> None:
    """Stop a job for good.

    A slice that runs notices at its next save, so within the interval between two checkpoints
    (OUTLAST_CHECKPOINT_SECONDS, at most 20 s by default). Cancelling a cancelled job does nothing.

    Examples:
        outlast cancel million

    Exit codes:
        0  the job is cancelled
        1  it was over already, there is no such job, or the store is at fault
        2  the id or a setting is wrong
    """
    from worker.client import Client

    _put(Client().cancel(job_id), "is cancelled", as_json=as_json)


def pause(job_id: JobId, *, as_json: Json = False, _debug: Debug = False) -> None:
    """Stop a job until it is resumed.

    A slice that runs notices at its next save, so within the interval between two checkpoints
    (OUTLAST_CHECKPOINT_SECONDS, at most 20 s by default): it keeps what it has done, and stops.
    Pausing a paused job does nothing.

    Examples:
        outlast pause million

    Exit codes:
        0  the job is paused
        1  it is over already, there is no such job, or the store is at fault
        2  the id or a setting is wrong
    """
    from worker.client import Client

    _put(Client().pause(job_id), "is paused", as_json=as_json)


def resume(job_id: JobId, *, as_json: Json = False, _debug: Debug = False) -> None:
    """Let a paused job go on.

    Resuming a job that is not paused and not over only wakes it.

    Examples:
        outlast resume million

    Exit codes:
        0  the job goes on as soon as a worker is free
        1  it is over already, there is no such job, or the store or the queue is at fault
        2  the id or a setting is wrong
    """
    from worker.client import Client

    _put(Client().resume(job_id), "goes on", as_json=as_json)


MaxSlices = Annotated[
    int | None,
    typer.Option("--max-slices", min=1, metavar="N", help="The job's ceiling on slices from now."),
]
MaxComputeSeconds = Annotated[
    float | None,
    typer.Option(
        "--max-compute-seconds",
        metavar="SECONDS",
        callback=positive_duration,
        help="The job's ceiling on compute time from now.",
    ),
]


def retry(
    job_id: JobId,
    *,
    max_slices: MaxSlices = None,
    max_compute_seconds: MaxComputeSeconds = None,
    as_json: Json = False,
    _debug: Debug = False,
) -> None:
    """Let a failed job go on from its last checkpoint.

    Its errors and stalls are forgotten. A job that has reached a ceiling needs a higher one, which
    counts from the job's beginning. Retrying a job that has not failed and is not over sets its
    ceilings, if any are given, and wakes it.

    Examples:
        outlast retry million
        outlast retry million --max-slices 1000

    Exit codes:
        0  the job goes on as soon as a worker is free
        1  it did not fail, has reached a ceiling, there is no such job, or the store or the queue
           is at fault
        2  the id, a ceiling or a setting is wrong
    """
    from worker.client import Client

    record = Client().retry(job_id, max_slices=max_slices, max_compute_seconds=max_compute_seconds)
    _put(record, "goes on", as_json=as_json)


def _put(record: Record, what: str, *, as_json: bool) -> None:
    from worker.status import view

    if as_json:
        put_json(view(record))
    else:
        put(f"job {record.job_id} {what}")

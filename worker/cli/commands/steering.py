"""outlast cancel, pause, resume, retry: how a person steers jobs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outlast.worker.cli.job_ids import JobIds, for_each
from outlast.worker.cli.options import Debug, Json, seconds_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.checkpoint.record import Record
    from outlast.worker.jobs.client import Client


def cancel(job_ids: JobIds, *, as_json: Json = False, _debug: Debug = False) -> None:
    """Stop jobs for good.

    A slice that runs sees it at its next save, within the interval between two checkpoints
    (OUTLAST_CHECKPOINT_SECONDS, at most 20 s by default). Cancelling a cancelled job does nothing.
    Each part of a divided job stops in the same way, also by a pause. What its parts have come to
    is removed: pause a job of which you may want a fork.

    A job that cannot be cancelled is reported and does not stop the others. With --json, one id
    prints an object; several, or -, print an array of the jobs that were cancelled.

    Examples:
        outlast cancel million
        outlast list --kernel sum --limit 0 --json | jq '.[].job_id' | outlast cancel -

    Exit codes:
        0  the jobs are cancelled
        1  one was over already, there is no such job, or the store is at fault
        2  an id or a setting is wrong; nothing was done
    """
    from outlast.worker.jobs.client import Client

    client = Client()
    _steer(client, job_ids, client.cancel, "is cancelled", as_json=as_json)


def pause(job_ids: JobIds, *, as_json: Json = False, _debug: Debug = False) -> None:
    """Stop jobs until they are resumed.

    A slice that runs sees it at its next save, within the interval between two checkpoints
    (OUTLAST_CHECKPOINT_SECONDS, at most 20 s by default): it keeps what it has done, and stops.
    Pausing a paused job does nothing.

    A job that cannot be paused is reported and does not stop the others. With --json, one id
    prints an object; several, or -, print an array of the jobs that were paused.

    Examples:
        outlast pause million
        outlast pause million billion

    Exit codes:
        0  the jobs are paused
        1  one is over already, there is no such job, or the store is at fault
        2  an id or a setting is wrong; nothing was done
    """
    from outlast.worker.jobs.client import Client

    client = Client()
    _steer(client, job_ids, client.pause, "is paused", as_json=as_json)


Free = Annotated[
    bool,
    typer.Option("--free", help="Take the job from a worker that hangs; it writes nothing more."),
]


def resume(
    job_ids: JobIds, *, free: Free = False, as_json: Json = False, _debug: Debug = False
) -> None:
    """Let paused jobs go on.

    Resuming a job that is neither paused nor over only wakes it. With --free the job is also taken
    from the worker that has it, and goes on at once from its last checkpoint.

    A job that cannot be resumed is reported and does not stop the others. With --json, one id
    prints an object; several, or -, print an array of the jobs that were resumed.

    Examples:
        outlast resume million
        outlast resume million billion
        outlast resume million --free

    Exit codes:
        0  the jobs go on as soon as a worker is free
        1  one is over already, there is no such job, or the store or the queue is at fault
        2  an id or a setting is wrong; nothing was done
    """
    from outlast.worker.jobs.client import Client

    client = Client()
    _steer(client, job_ids, partial(client.resume, free=free), "goes on", as_json=as_json)


MaxSlices = Annotated[
    int | None,
    typer.Option("--max-slices", min=1, metavar="N", help="The job's new ceiling on slices."),
]
MaxComputeSeconds = Annotated[
    float | None,
    seconds_option("--max-compute-seconds", "The job's new ceiling on compute time."),
]


def retry(
    job_ids: JobIds,
    *,
    max_slices: MaxSlices = None,
    max_compute_seconds: MaxComputeSeconds = None,
    as_json: Json = False,
    _debug: Debug = False,
) -> None:
    """Let failed jobs go on from their last checkpoints.

    Their errors and stalls no longer count. Of a divided job the parts that are done stay so. A job
    that has reached a ceiling needs a higher one, which counts from the job's beginning. Retrying a
    job that has not failed and is not over sets its ceilings, if there are any on the command line,
    and wakes it.

    A job that cannot be retried is reported and does not stop the others. With --json, one id
    prints an object; several, or -, print an array of the jobs that were retried.

    Examples:
        outlast retry million
        outlast retry million --max-slices 1000
        outlast list --status failed --limit 0 --json | jq '.[].job_id' | outlast retry -

    Exit codes:
        0  the jobs go on as soon as a worker is free
        1  one did not fail, has reached a ceiling, there is no such job, or the store or the queue
           is at fault
        2  an id, a ceiling or a setting is wrong; nothing was done
    """
    from outlast.worker.jobs.client import Client

    client = Client()

    def retry_one(job_id: str) -> Record:
        return client.retry(job_id, max_slices=max_slices, max_compute_seconds=max_compute_seconds)

    _steer(client, job_ids, retry_one, "goes on", as_json=as_json)


def _steer(
    client: Client,
    job_ids: list[str],
    move: Callable[[str], Record],
    outcome: str,
    *,
    as_json: bool,
) -> None:
    from outlast.worker.jobs.parts import view_of, viewed

    def act(job_id: str) -> dict[str, Any]:
        record = move(job_id)
        return view_of(client.jobs, record) if as_json else viewed(record, None)

    for_each(job_ids, act, lambda job_id, _: print(f"job {job_id} {outcome}"), as_json=as_json)

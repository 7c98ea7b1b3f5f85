"""outlast cancel, pause, resume, retry: what a person may do with jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.cli.options import Debug, Json
from worker.cli.several import JobIds, for_each

if TYPE_CHECKING:
    from collections.abc import Callable

    from checkpoint.record import Record


def cancel(job_ids: JobIds, *, as_json: Json = False, _debug: Debug = False) -> None:
    """Stop jobs for good.

    A slice that runs notices at its next save, so within the interval between two checkpoints
    (OUTLAST_CHECKPOINT_SECONDS, at most 20 s by default). Cancelling a cancelled job does nothing.

    What cannot be done with one job is told and keeps it from no other one. With --json one id
    gives an object, several or - an array of the jobs with which it was done.

    Examples:
        outlast cancel million
        outlast list --kernel sum --limit 0 --json | jq '.[].job_id' | outlast cancel -

    Exit codes:
        0  the jobs are cancelled
        1  one was over already, there is no such job, or the store is at fault
        2  an id or a setting is wrong; nothing was done
    """
    from worker.client import Client

    _steer(job_ids, Client().cancel, "is cancelled", as_json=as_json)


def pause(job_ids: JobIds, *, as_json: Json = False, _debug: Debug = False) -> None:
    """Stop jobs until they are resumed.

    A slice that runs notices at its next save, so within the interval between two checkpoints
    (OUTLAST_CHECKPOINT_SECONDS, at most 20 s by default): it keeps what it has done, and stops.
    Pausing a paused job does nothing.

    What cannot be done with one job is told and keeps it from no other one. With --json one id
    gives an object, several or - an array of the jobs with which it was done.

    Examples:
        outlast pause million
        outlast pause million billion

    Exit codes:
        0  the jobs are paused
        1  one is over already, there is no such job, or the store is at fault
        2  an id or a setting is wrong; nothing was done
    """
    from worker.client import Client

    _steer(job_ids, Client().pause, "is paused", as_json=as_json)


def resume(job_ids: JobIds, *, as_json: Json = False, _debug: Debug = False) -> None:
    """Let paused jobs go on.

    Resuming a job that is not paused and not over only wakes it.

    What cannot be done with one job is told and keeps it from no other one. With --json one id
    gives an object, several or - an array of the jobs with which it was done.

    Examples:
        outlast resume million
        outlast resume million billion

    Exit codes:
        0  the jobs go on as soon as a worker is free
        1  one is over already, there is no such job, or the store or the queue is at fault
        2  an id or a setting is wrong; nothing was done
    """
    from worker.client import Client

    _steer(job_ids, Client().resume, "goes on", as_json=as_json)


def retry(job_ids: JobIds, *, as_json: Json = False, _debug: Debug = False) -> None:
    """Let failed jobs go on from their last checkpoints.

    Their errors and stalls are forgotten. A ceiling that one has reached still stands: fork the
    job to go on with another one. Retrying a job that has not failed and is not over only wakes
    it.

    What cannot be done with one job is told and keeps it from no other one. With --json one id
    gives an object, several or - an array of the jobs with which it was done.

    Examples:
        outlast retry million
        outlast list --status failed --limit 0 --json | jq '.[].job_id' | outlast retry -

    Exit codes:
        0  the jobs go on as soon as a worker is free
        1  one did not fail, there is no such job, or the store or the queue is at fault
        2  an id or a setting is wrong; nothing was done
    """
    from worker.client import Client

    _steer(job_ids, Client().retry, "goes on", as_json=as_json)


def _steer(job_ids: list[str], move: Callable[[str], Record], what: str, *, as_json: bool) -> None:
    from worker.status import view

    for_each(job_ids, move, lambda _, record: view(record), what, as_json=as_json)

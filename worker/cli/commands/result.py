"""outlast result: what a job has found."""

from __future__ import annotations

from outlast.worker.cli.options import Debug, JobId, Json
from outlast.worker.cli.streams import put_json, put_result


def result(job_id: JobId, *, as_json: Json = False, _debug: Debug = False) -> None:
    """Print what a job has found, without waiting for it.

    Examples:
        outlast result million
        outlast result million --json

    Exit codes:
        0  the result is printed
        1  the job failed or was cancelled, there is no such job, or the store is at fault
        2  the id or a setting is wrong
        3  the job has no result yet
    """
    from outlast.worker.jobs.client import Client

    show(Client(read_only=True).result(job_id), as_json=as_json)


def show(found: object, *, as_json: bool) -> None:
    """Print a job's result."""
    if as_json:
        put_json(found)
    else:
        put_result(found)

"""outlast delete: remove jobs with all that is stored of them."""

from __future__ import annotations

from typing import Annotated

import typer

from outlast.worker.cli.job_ids import JobIds, for_each
from outlast.worker.cli.options import Debug, Json

Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Also jobs that are not over, which ends them, and damaged records."
    ),
]


def delete(
    job_ids: JobIds, *, force: Force = False, as_json: Json = False, _debug: Debug = False
) -> None:
    """Remove jobs that are over.

    Their results and checkpoints go with them; there is no way back. A job that is not over is
    refused unless --force is given: then a slice that runs notices at its next save, as after a
    cancel. Messages that are still under way for a deleted job are dropped by whoever receives
    them, for which a small mark is kept; `outlast prune` clears marks of 30 days and more. Deleting
    a deleted job does nothing.

    What cannot be done with one job is told and keeps it from no other one. With --json one id
    gives an object, several or - an array of the jobs that are deleted.

    Examples:
        outlast delete million
        outlast delete --force million billion
        outlast list --tag trial --limit 0 --json | jq '.[].job_id' | outlast delete --force -

    Exit codes:
        0  the jobs are deleted
        1  one is not over, there is no such job, or the store is at fault
        2  an id or a setting is wrong; nothing was done
    """
    from outlast.worker.jobs.client import Client

    client = Client()
    for_each(
        job_ids,
        lambda job_id: client.delete(job_id, force=force),
        lambda job_id, _: {"job_id": job_id, "status": "deleted"},
        "is deleted",
        as_json=as_json,
    )

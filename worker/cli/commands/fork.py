"""outlast fork: a new job from another one's checkpoint."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from outlast.worker.cli.options import Debug, Generation, JobId, Json, NewJobId
from outlast.worker.cli.streams import put, put_json

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record

Store = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        help="Put the new job in this store, and wake nobody. Default: OUTLAST_STORE.",
    ),
]


def fork(
    from_id: JobId,
    *,
    generation: Generation = None,
    job_id: NewJobId = None,
    store: Store = None,
    as_json: Json = False,
    _debug: Debug = False,
) -> None:
    """Start a new job from a checkpoint of another one.

    The new job's id is printed. It has the parameters of the other one, which stays as it is, and
    limits and accounts of its own; workers go on with it. With --store it is put into another
    store instead, for example a file on this machine, where `outlast run` with its id and
    parameters goes on with it: so a fault can be looked at closely, again and again, out of the
    reach of the workers.

    Examples:
        outlast fork million --generation 7
        outlast fork million --store sqlite:///fault.db --job-id fault
        OUTLAST_STORE=sqlite:///fault.db outlast run nth-prime position=1_000_000 --job-id fault

    Exit codes:
        0  the new job is stored and, without --store, its message sent
        1  there is no such job or checkpoint, it is damaged, the new id is taken, or the store or
           the queue is at fault
        2  an id, the store's URL or a setting is wrong; nothing was stored
    """
    from outlast.worker.jobs.client import Client

    client = Client()
    new_id = client.fork(from_id, generation=generation, new_id=job_id, store=store)
    if generation is None:
        _tell_damage(client.status(from_id))
    if as_json:
        put_json({"job_id": new_id, "forked_from": from_id})
    else:
        put(new_id)


def _tell_damage(record: Record) -> None:
    """Say where the new job goes on from an older checkpoint than one would think."""
    newest = next(iter(record.checkpoints), None)
    if newest is not None and not newest.is_intact:
        told = (
            f"job {record.job_id}: checkpoint {newest.sequence} is damaged: an older one was taken"
        )
        print(f"outlast: {told}", file=sys.stderr)

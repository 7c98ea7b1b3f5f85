"""outlast checkpoints: what is stored of a job's states."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outlast.worker.cli.options import Debug, Generation, JobId, Json
from outlast.worker.cli.streams import put, put_json

if TYPE_CHECKING:
    from outlast.checkpoint.parts import Checkpoint
    from outlast.checkpoint.record import Record

COLUMNS = "{:>10} {:<12} {:>8} {:>7} {:>8} {:>11}  {}"

ShowState = Annotated[
    bool, typer.Option("--state", help="Print the state itself, as it is stored; JSON if intact.")
]


def checkpoints(
    job_id: JobId,
    *,
    generation: Generation = None,
    state: ShowState = False,
    as_json: Json = False,
    _debug: Debug = False,
) -> None:
    """List the checkpoints that are kept of a job.

    These are the last two, newest first, then those that did not have their checksum when a
    worker read them: they are kept in quarantine for inspection and never used. A generation is
    the checkpoint's number, 1 for the job's first.

    Examples:
        outlast checkpoints million
        outlast checkpoints million --generation 7 --state | jq .

    Exit codes:
        0  they are listed, even if there are none
        1  there is no such job or checkpoint, the store is at fault, or JSON is asked of a state
           that is damaged
        2  the id or a setting is wrong
    """
    from outlast.worker.jobs.client import Client
    from outlast.worker.jobs.new_job import checkpoints_of

    record = Client(read_only=True).status(job_id)
    found = checkpoints_of(record, generation)
    if state:
        _put_state(record, found[0] if found else None, as_json=as_json)
    elif as_json:
        put_json([_view(record, checkpoint) for checkpoint in found])
    elif found:
        _put_table([_view(record, checkpoint) for checkpoint in found])
    else:
        print(f"outlast: job {job_id} has no checkpoint yet", file=sys.stderr)


def _put_state(record: Record, checkpoint: Checkpoint | None, *, as_json: bool) -> None:
    from outlast.checkpoint.errors import CorruptCheckpoint

    if checkpoint is None:
        if as_json:
            put_json(None)
        return
    if as_json and not checkpoint.is_intact:
        raise CorruptCheckpoint(
            f"job {record.job_id}: checkpoint {checkpoint.sequence} is damaged, so it is no JSON; "
            "leave out --json to see it"
        )
    put(checkpoint.state.decode(errors="backslashreplace"))


def _view(record: Record, checkpoint: Checkpoint) -> dict[str, Any]:
    from outlast.worker.jobs.view import moment

    is_apart = checkpoint in record.quarantine
    return {
        "generation": checkpoint.sequence,
        "condition": "quarantined" if is_apart else "intact" if checkpoint.is_intact else "damaged",
        "progress": checkpoint.progress,
        "slice": checkpoint.slice,
        "version": checkpoint.version,
        "bytes": len(checkpoint.state),
        "saved_at": moment(checkpoint.saved_at),
    }


def _put_table(views: list[dict[str, Any]]) -> None:
    put(COLUMNS.format(*(name.upper() for name in views[0])))
    for view in views:
        put(COLUMNS.format(*(view | {"progress": f"{view['progress']:.2%}"}).values()))

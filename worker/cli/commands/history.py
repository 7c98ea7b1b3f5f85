"""outlast history, checkpoints: what is stored of a job's slices and states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from outlast.checkpoint.safe_text import one_line
from outlast.worker.cli.job_ids import JobIds, for_each, is_one
from outlast.worker.cli.options import Debug, Generation, JobId, Json
from outlast.worker.cli.output import LINE_CHARACTERS, print_json, print_lines, say
from outlast.worker.cli.tables import Columns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.checkpoint.job_store import JobStore
    from outlast.checkpoint.record import Record
    from outlast.checkpoint.record_parts import Checkpoint, Lease

SLICE_COLUMNS = Columns(
    "{:>11}  {:<24} {:>9}  {:<18} {:<24} {:<18} {:<30}",
    *("SLICE", "BEGAN", "SECONDS", "PROGRESS", "WHERE", "WORKER", "ENDING"),
    first_out=("WHERE", "WORKER", "BEGAN"),
    last_wraps=True,
)
CHECKPOINT_COLUMNS = Columns(
    "{:>10} {:<12} {:>8} {:>7} {:>8} {:>11} {:>14}  {:<24}",
    *("GENERATION", "CONDITION", "PROGRESS", "SLICE"),
    *("VERSION", "BYTES", "ARRAY_BYTES", "SAVED_AT"),
    first_out=("VERSION", "SLICE", "ARRAY_BYTES", "SAVED_AT"),
)

# Of a divided job; the other parts ended before these.
PARTS_SHOWN = 100

ShowState = Annotated[
    bool, typer.Option("--state", help="Print the state itself, as it is stored; JSON if intact.")
]
OfPart = Annotated[
    int | None,
    typer.Option("--part", min=0, metavar="K", help="Show the slices of this part, from 0."),
]


def history(
    job_ids: JobIds, *, part: OfPart = None, as_json: Json = False, _debug: Debug = False
) -> None:
    """Show what became of the slices of jobs, one line each.

    In a job with many slices an older line stands for some slices in a row: it shows where the
    last of them ran, and the time of all. A slice that runs has no line yet. "lost" is a slice
    whose worker died; it is done again under its number. Seconds are those for which a worker was
    occupied; times are in UTC.

    Each part of a divided job has slices of its own. Below those of the job is a line for each part
    that runs, then for those that ended last, a hundred lines at most. It tells what became of the
    part's last slice; 17:2 is slice 2 of part 17. --part shows all slices of one part. Once all
    parts are added up, their slices are gone, and what is left is a line with their number.

    Several jobs, or -, have a table each, below a line with the id. One that cannot be read is
    reported and does not keep the others back. With --json, one id prints an array of its slices;
    several print an array of objects with job_id and slices.

    Examples:
        outlast history million
        outlast history big --part 17
        outlast history million --json | jq '.[] | select(.ending == "lost")'

    Exit codes:
        0  they are shown, even if there are none
        1  there is no such job, or the store is at fault
        2  an id or a setting is wrong, or the job has no such part
    """
    from outlast.worker.jobs.stored_jobs import stored_jobs

    if part is not None and not is_one(job_ids):
        raise typer.BadParameter("--part is for one job")
    jobs = stored_jobs()

    def read(job_id: str) -> tuple[Record, list[dict[str, Any]]]:
        record = jobs.load(job_id).record
        if part is not None:
            return record, list(_slices_of_part(jobs, record, part))
        return record, [*_slices(record), *_latest_of_parts(jobs, record)]

    def show(job_id: str, history: tuple[Record, list[dict[str, Any]]]) -> None:
        if not is_one(job_ids):
            print(f"job {job_id}")
        _show(*history, part)

    def listed(job_id: str) -> Any:
        _, slices = read(job_id)
        return slices if is_one(job_ids) else {"job_id": job_id, "slices": slices}

    if as_json:
        for_each(job_ids, listed, print, as_json=True)
    else:
        for_each(job_ids, read, show, as_json=False, apart=True)


def _show(record: Record, slices: list[dict[str, Any]], part: int | None) -> None:
    """Print the slices of a job, or of a part of it, and say what is missing of them."""
    if not print_lines(map(_slice_line, slices), SLICE_COLUMNS.heading):
        whose = f"job {record.job_id}" if part is None else f"part {part} of job {record.job_id}"
        say(f"no slice of {whose} has ended yet")
    if record.fleet is not None and record.fleet.concluded:
        say(
            f"its {record.fleet.parts} parts are added up, and what each did is not kept; in all "
            f"it took {record.usage.slices_begun:,} slices: outlast cost {record.job_id}"
        )


def checkpoints(
    job_id: JobId,
    *,
    generation: Generation = None,
    state: ShowState = False,
    as_json: Json = False,
    _debug: Debug = False,
) -> None:
    """List the checkpoints that are kept of a job.

    These are the last two, newest first, then those whose checksum did not fit when a worker read
    them: they are kept in quarantine for inspection and never used. A generation is the
    checkpoint's number, 1 for the job's first. ARRAY_BYTES is the size of its arrays, which are
    beside the state: --state shows their types and shapes. A divided job has none while it is
    worked on in parts, each of which has its own.

    Examples:
        outlast checkpoints million
        outlast checkpoints million --generation 7 --state | jq .

    Exit codes:
        0  they are listed, even if there are none
        1  there is no such job or checkpoint, the store is at fault, or a damaged state is wanted
           as JSON
        2  the id or a setting is wrong
    """
    from outlast.worker.jobs.forking import checkpoints_of
    from outlast.worker.jobs.stored_jobs import stored_jobs

    record = stored_jobs().load(job_id).record
    stored = checkpoints_of(record, generation)
    if state:
        _print_state(record, stored[0] if stored else None, as_json=as_json)
        return
    views = [_checkpoint(record, checkpoint) for checkpoint in stored]
    if as_json:
        print_json(views)
    elif views:
        print(CHECKPOINT_COLUMNS.heading)
        for view in views:
            row = view | {"progress": f"{view['progress']:.2%}"}
            print(CHECKPOINT_COLUMNS.row(*row.values()))
    elif record.is_divided:
        say(f"job {job_id} has no checkpoint: each of its parts has its own")
    else:
        say(f"job {job_id} has no checkpoint yet")


def _slices_of_part(jobs: JobStore, record: Record, number: int) -> Iterator[dict[str, Any]]:
    """Yield each line of the history of one part."""
    from outlast.checkpoint.fleet import Place

    fleet = record.fleet
    if fleet is None or not fleet.is_cut:
        raise typer.BadParameter(f"job {record.job_id} {_why_without_parts(record)}")
    if number >= fleet.parts:
        raise typer.BadParameter(f"job {record.job_id} has parts 0 to {fleet.parts - 1}")
    if stored := jobs.load_node(record.job_id, fleet.node(Place(0, number))):
        yield from _slices(stored.record)


def _why_without_parts(record: Record) -> str:
    if record.fleet is None:
        return "is not divided"
    if record.fleet.concluded:
        return "has its parts added up: what each of them did is not kept"
    return "is not cut into parts yet"


def _latest_of_parts(jobs: JobStore, record: Record) -> Iterator[dict[str, Any]]:
    """Yield the last slice of each part that runs, then of those that ended last."""
    from outlast.worker.jobs.parts import parts_of

    parts = parts_of(jobs, record)
    if parts is None:
        return
    now = jobs.clock()
    last = sorted(parts.heads.values(), key=lambda head: (head.lease is None, -head.updated_at))
    nodes = [head.node for head in last[:PARTS_SHOWN] if head.node]
    for each in jobs.nodes.records(record.job_id, nodes):
        if each is None:
            continue
        if each.lease is not None:
            yield _running(each, each.lease, is_held=each.is_held(now))
        else:
            yield from list(_slices(each))[-1:]


def _running(part: Record, lease: Lease, *, is_held: bool) -> dict[str, Any]:
    """Return the slice of a part that runs, or whose worker is gone, as a JSON object."""
    from outlast.checkpoint.view import moment

    progress = part.progress_if_known(part.progress) if part.checkpoints else 0.0
    return {
        "part": part.node.number if part.node else None,
        "slice": part.slice_number,
        "slices": 1,
        "began_at": moment(lease.claimed_at),
        "ended_at": None,
        "seconds": round(max(part.updated_at - lease.claimed_at, 0.0), 3),
        "platform": lease.platform,
        "worker": lease.worker,
        "progress_before": progress,
        "progress": progress,
        "ending": "runs" if is_held else "its worker is gone",
    }


def _slices(record: Record) -> Iterator[dict[str, Any]]:
    """Yield each line of the history, oldest first, as a JSON object."""
    from outlast.checkpoint.view import moment

    before = 0.0
    for stretch in record.history.stretches:
        progress = record.progress_if_known(stretch.progress)
        yield {
            "part": record.node.number if record.node else None,
            "slice": stretch.first,
            "slices": stretch.slices,
            "began_at": moment(stretch.began_at),
            "ended_at": moment(stretch.ended_at),
            "seconds": round(stretch.seconds, 3),
            "platform": stretch.platform,
            "worker": stretch.worker,
            "progress_before": None if progress is None else before,
            "progress": progress,
            "ending": stretch.ending,
        }
        before = stretch.progress


def _slice_line(view: dict[str, Any]) -> str:
    from outlast.worker.slices.platforms import title_of

    first, last = view["slice"], view["slice"] + view["slices"] - 1
    number = f"{first}-{last}" if last > first else f"{first}"
    return SLICE_COLUMNS.row(
        number if view["part"] is None else f"{view['part']}:{number}",
        view["began_at"],
        f"{view['seconds']:,.2f}",
        _advance(view),
        title_of(view["platform"]),
        one_line(view["worker"], LINE_CHARACTERS),
        one_line(view["ending"], LINE_CHARACTERS),
    )


def _advance(view: dict[str, Any]) -> str:
    """Return from where to where a slice came; of one that runs, what is saved of it."""
    if view["progress"] is None:
        return "not known"
    if view["ended_at"] is None:
        return f"saved at {view['progress']:.2%}" if view["progress"] else "not saved yet"
    return f"{view['progress_before']:.2%} to {view['progress']:.2%}"


def _checkpoint(record: Record, checkpoint: Checkpoint) -> dict[str, Any]:
    from outlast.checkpoint.view import moment

    is_apart = checkpoint in record.quarantine
    return {
        "generation": checkpoint.sequence,
        "condition": "quarantined" if is_apart else "intact" if checkpoint.is_intact else "damaged",
        "progress": checkpoint.progress,
        "slice": checkpoint.slice,
        "version": checkpoint.version,
        "bytes": checkpoint.packed.size,
        "array_bytes": checkpoint.bulk_bytes,
        "saved_at": moment(checkpoint.saved_at),
    }


def _print_state(record: Record, checkpoint: Checkpoint | None, *, as_json: bool) -> None:
    from outlast.checkpoint.errors import CorruptCheckpoint

    if checkpoint is None:
        if as_json:
            print_json(None)
        return
    if as_json and not checkpoint.is_intact:
        raise CorruptCheckpoint(
            f"job {record.job_id}: checkpoint {checkpoint.sequence} is damaged, so it is no JSON; "
            "leave out --json to see it"
        )
    print(checkpoint.state.decode(errors="backslashreplace"))

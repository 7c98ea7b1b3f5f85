"""outlast history: what became of a job's slices."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from outlast.checkpoint.lines import one_line
from outlast.worker.cli.errors import LINE_CHARACTERS
from outlast.worker.cli.options import Debug, JobId, Json
from outlast.worker.cli.streams import put, put_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.checkpoint.record import Record

COLUMNS = "{:>11}  {:<24} {:>9}  {:<18} {:<24} {:<18} {}"


def history(job_id: JobId, *, as_json: Json = False, _debug: Debug = False) -> None:
    """Show what became of a job's slices, one line each.

    Of a job with many slices the older lines stand for several in a row: where the last of them
    ran, and the time of all. A slice that runs has no line yet. "lost" is one whose worker died.
    Seconds are those for which a worker was occupied; times are in UTC.

    Examples:
        outlast history million
        outlast history million --json | jq '.[] | select(.ending == "lost")'

    Exit codes:
        0  they are shown, even if there are none
        1  there is no such job, or the store is at fault
        2  the id or a setting is wrong
    """
    from outlast.worker.jobs.client import Client

    record = Client(read_only=True).status(job_id)
    found = list(views(record))
    if as_json:
        put_json(found)
    elif found:
        _put_table(found)
    else:
        print(f"outlast: no slice of job {job_id} has ended yet", file=sys.stderr)


def views(record: Record) -> Iterator[dict[str, Any]]:
    """Yield each line of the history, oldest first, as a JSON object."""
    from outlast.worker.jobs.view import moment

    before = 0.0
    for stretch in record.history.stretches:
        yield {
            "slice": stretch.first,
            "slices": stretch.slices,
            "began_at": moment(stretch.began_at),
            "ended_at": moment(stretch.ended_at),
            "seconds": round(stretch.seconds, 3),
            "platform": stretch.platform,
            "worker": stretch.worker,
            "progress_before": before,
            "progress": stretch.progress,
            "ending": stretch.ending,
        }
        before = stretch.progress


def _put_table(found: list[dict[str, Any]]) -> None:
    from outlast.worker.slices.platforms import title_of

    put(COLUMNS.format("SLICE", "BEGAN", "SECONDS", "PROGRESS", "WHERE", "WORKER", "ENDING"))
    for one in found:
        first, last = one["slice"], one["slice"] + one["slices"] - 1
        row = (
            f"{first}-{last}" if last > first else first,
            one["began_at"],
            f"{one['seconds']:,.2f}",
            f"{one['progress_before']:.2%} to {one['progress']:.2%}",
            title_of(one["platform"]),
            one_line(one["worker"], LINE_CHARACTERS),
            one_line(one["ending"], LINE_CHARACTERS),
        )
        put(COLUMNS.format(*row).rstrip())

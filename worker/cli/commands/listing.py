"""outlast list: the jobs of the store, page by page."""

from __future__ import annotations

import shlex
import sys
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outlast.worker.cli.errors import Failures
from outlast.worker.cli.filters import (
    NewerThan,
    OfKernel,
    OlderThan,
    Statuses,
    WithTags,
    options_of,
    selection_of,
)
from outlast.worker.cli.options import Debug, Json
from outlast.worker.cli.output import print_json_array, print_lines, say
from outlast.worker.cli.params import format_params
from outlast.worker.cli.tables import Columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from outlast.checkpoint.job_store import JobStore
    from outlast.checkpoint.record import Record

PAGE_JOBS = 100
MOST_JOB_CELLS = 32  # A longer id pushes its row.
WHAT_CELLS = 24  # a kernel's name, and where its parameters begin

Limit = Annotated[
    int,
    typer.Option("--limit", min=0, metavar="N", help="Show at most this many jobs; 0 shows all."),
]
After = Annotated[
    str, typer.Option("--after", metavar="JOB_ID", help="Begin with the first id after this one.")
]


def list_jobs(
    *,
    statuses: Statuses = None,
    kernel: OfKernel = None,
    tags: WithTags = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    limit: Limit = PAGE_JOBS,
    after: After = "",
    as_json: Json = False,
    _debug: Debug = False,
) -> None:
    """List the jobs that fit all filters, ordered by id.

    Where more jobs follow than --limit allows, standard error has the command that lists the next
    ones. A job's age is the time since it was last changed: saved, claimed, paused or ended. A
    record that cannot be read is reported on standard error and does not hide the others.

    Examples:
        outlast list
        outlast list --status failed --status cancelled --newer-than 7d
        outlast list --tag nightly --limit 0 --json | jq '.[].job_id'

    Exit codes:
        0  the jobs are listed
        1  a record cannot be read, or the store is at fault
        2  a filter or a setting is wrong
    """
    from outlast.checkpoint.safe_text import redacted
    from outlast.worker.jobs.stored_jobs import stored_jobs
    from outlast.worker.settings import read_settings

    selection = selection_of(statuses, kernel, tags, older_than, newer_than)
    settings, failures, job_ids = read_settings(), Failures(), list[str]()
    jobs = stored_jobs(settings)
    now = jobs.clock()
    records = jobs.records(
        after=after, where=lambda head: selection.takes(head, now), on_corrupt=failures
    )
    shown = islice(records, limit or None)
    if as_json:
        print_json_array(_views(jobs, shown, job_ids, failures))
    else:
        first = list(islice(shown, PAGE_JOBS))
        columns = _columns(None if len(first) == PAGE_JOBS else [job.job_id for job in first])
        views = _views(jobs, chain(first, shown), job_ids, failures)
        print_lines((columns.row(*_cells(view)) for view in views), columns.heading)
    options = options_of(selection)
    if next(records, None):
        options += [] if limit == PAGE_JOBS else ["--limit", str(limit)]
        command = shlex.join(["outlast", "list", *options, "--after", job_ids[-1]])
        print(f"outlast: more jobs follow: {command}", file=sys.stderr)  # whole, however long
    elif not (job_ids or failures.count):
        matching = " matching" if options or after else ""
        say(f"there is no{matching} job in {redacted(settings.store)}")
    failures.exit_if_any()


def _views(
    jobs: JobStore, records: Iterable[Record], job_ids: list[str], failures: Failures
) -> Iterator[dict[str, Any]]:
    """Yield each job as a JSON object, and put its id into `job_ids`."""
    from outlast.checkpoint.errors import CorruptRecord
    from outlast.worker.jobs.parts import view_of, viewed

    for record in records:
        job_ids.append(record.job_id)
        try:
            yield view_of(jobs, record)
        except CorruptRecord as error:  # one of its parts
            failures(error)
            yield viewed(record, None)


def _columns(job_ids: list[str] | None) -> Columns:
    """Return the columns, with JOB as wide as these ids need; None: they are not all known."""
    needed = MOST_JOB_CELLS if job_ids is None else max(map(len, ("JOB", *job_ids)))
    width = min(needed, MOST_JOB_CELLS)
    return Columns(
        f"{{:<{width}}} {{:<10}} {{:>8}} {{:>6}}  {{:<24}} {{}}",
        *("JOB", "STATUS", "PROGRESS", "SLICES", "UPDATED", "WHAT"),
        first_out=("UPDATED", "WHAT", "SLICES"),
        last_cells=WHAT_CELLS,
    )


def _cells(view: dict[str, Any]) -> tuple[object, ...]:
    what = f"{view['kernel']} {format_params(view['params'])}"
    progress = f"{view['progress']:.1%}"
    return view["job_id"], view["status"], progress, view["slices"], view["updated_at"], what

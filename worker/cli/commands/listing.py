"""outlast list: the jobs of the store, page by page."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outlast.worker.cli.errors import FAULT, Faults
from outlast.worker.cli.filters import (
    NewerThan,
    OfKernel,
    OlderThan,
    Statuses,
    WithTags,
    chosen,
    words_of,
)
from outlast.worker.cli.options import Debug, Json
from outlast.worker.cli.params import format_params
from outlast.worker.cli.streams import put, put_json_each

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.worker.jobs.client import Client
    from outlast.worker.jobs.selection import Selection

COLUMNS = "{:<32} {:<10} {:>8} {:>6}  {:<24} {}"
PAGE_JOBS = 100

Limit = Annotated[
    int,
    typer.Option(
        "--limit", min=0, metavar="N", help="Show at most so many jobs; 0 shows all of them."
    ),
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

    Where more jobs follow than --limit allows, standard error tells the command that lists the
    next ones. A job's age is the time since it was last changed: saved, claimed, paused or ended.
    A record that cannot be read is told on standard error and does not hide the others.

    Examples:
        outlast list
        outlast list --status failed --status cancelled --newer-than 7d
        outlast list --tag nightly --limit 0 --json | jq '.[].job_id'

    Exit codes:
        0  the jobs are listed
        1  a record cannot be read, or the store is at fault
        2  a filter or a setting is wrong
    """
    from outlast.worker.jobs.client import Client

    selection = chosen(statuses, kernel, tags, older_than, newer_than)
    listing = Listing(Client(read_only=True), selection, limit=limit, after=after)
    if as_json:
        put_json_each(listing.views())
    else:
        _put_table(listing.views())
    listing.tell_rest()
    if listing.faults.count:
        raise typer.Exit(FAULT)


class Listing:
    """The jobs that are chosen, one at a time; `faults` has told of those that cannot be read."""

    def __init__(self, client: Client, selection: Selection, *, limit: int, after: str) -> None:
        self.faults = Faults()
        self._client = client
        self._selection = selection
        self._limit = limit
        self._last = after
        self._shown = 0
        self._has_more = False

    def views(self) -> Iterator[dict[str, Any]]:
        """Yield as many jobs as the limit allows."""
        from outlast.worker.jobs.view import view

        now = self._client.jobs.clock()
        for record in self._client.records(after=self._last, on_corrupt=self.faults):
            if not self._selection.takes(record, now):
                continue
            if self._shown == self._limit != 0:
                self._has_more = True
                return
            self._shown += 1
            self._last = record.job_id
            yield view(record)

    def tell_rest(self) -> None:
        """Say on standard error how to see more, or where there was nothing to see."""
        if self._has_more:
            words = ["outlast", "list", *words_of(self._selection)]
            if self._limit != PAGE_JOBS:
                words += ["--limit", str(self._limit)]
            _tell(f"more jobs follow: {shlex.join([*words, '--after', self._last])}")
        elif not (self._shown or self.faults.count):
            from outlast.checkpoint.registers import redacted

            fits = " that fits" if words_of(self._selection) or self._last else ""
            _tell(f"there is no job{fits} in {redacted(self._client.settings.store)}")


def _tell(line: str) -> None:
    print(f"outlast: {line}", file=sys.stderr)


def _put_table(views: Iterator[dict[str, Any]]) -> None:
    heading = COLUMNS.format("JOB", "STATUS", "PROGRESS", "SLICES", "UPDATED", "WHAT")
    for view in views:
        if heading:
            put(heading)
            heading = ""
        what = f"{view['kernel']} {format_params(view['params'])}"
        progress = f"{view['progress']:.1%}"
        row = (view["job_id"], view["status"], progress, view["slices"], view["updated_at"], what)
        put(COLUMNS.format(*row).rstrip())

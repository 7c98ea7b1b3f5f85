"""outlast list: all jobs of the store."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import typer

from worker.cli.errors import FAULT, one_line
from worker.cli.options import Debug, Json
from worker.cli.output import put, put_json_each
from worker.cli.params import format_params

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.client import Client

COLUMNS = "{:<32} {:<10} {:>8} {:>6}  {:<24} {}"


def list_jobs(*, as_json: Json = False, _debug: Debug = False) -> None:
    """List the jobs of the store, ordered by id.

    A record that cannot be read is told on standard error and does not hide the others.

    Examples:
        outlast list
        outlast list --json | jq '.[] | select(.status == "failed") | .job_id'

    Exit codes:
        0  all jobs are listed
        1  a record cannot be read, or the store is at fault
        2  a setting is wrong
    """
    from worker.client import Client

    listing = Listing(Client(read_only=True))
    if as_json:
        put_json_each(listing.views())
    else:
        _put_table(listing.views())
    if listing.faults:
        raise typer.Exit(FAULT)


class Listing:
    """The jobs of a store, one at a time; `faults` counts those that cannot be read."""

    def __init__(self, client: Client) -> None:
        self.faults = 0
        self._client = client

    def views(self) -> Iterator[dict[str, Any]]:
        """Yield each job that can be read."""
        from checkpoint.errors import CorruptRecord, UnknownJob
        from worker.status import view

        for job_id in self._client.jobs.ids():
            try:
                yield view(self._client.status(job_id))
            except UnknownJob:
                continue  # It was deleted since its id was read.
            except CorruptRecord as error:
                self.faults += 1
                print(f"outlast: {one_line(str(error))}", file=sys.stderr)


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

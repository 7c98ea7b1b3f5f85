"""outlast watch: jobs as they advance, until they are over."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Annotated

import typer

from outlast.worker.cli.errors import FAULT
from outlast.worker.cli.filters import (
    NewerThan,
    OfKernel,
    OlderThan,
    Statuses,
    WithTags,
    options_of,
    selection_of,
)
from outlast.worker.cli.options import LONGEST_SECONDS, Debug, Json

if TYPE_CHECKING:
    from outlast.worker.cli.live_table import Table
    from outlast.worker.cli.watchlist import Watchlist
    from outlast.worker.jobs.client import Client
    from outlast.worker.slices.deadline import Deadline

REACTION_SECONDS = 0.1

JobIds = Annotated[
    list[str] | None,
    typer.Argument(metavar="JOB_ID", help="The jobs. Default: all that are not over."),
]
Interval = Annotated[
    float | None,
    typer.Option(
        "--interval",
        metavar="SECONDS",
        min=0.1,
        max=LONGEST_SECONDS,
        help="Time between two looks. Default: 1 at a terminal, 5 elsewhere.",
    ),
]


def watch(
    job_ids: JobIds = None,
    *,
    statuses: Statuses = None,
    kernel: OfKernel = None,
    tags: WithTags = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    interval: Interval = None,
    as_json: Json = False,
    _debug: Debug = False,
) -> None:
    """Follow jobs as they advance.

    At a terminal it is a table that moves, anywhere else one line for each change; with --json
    each line is a JSON object, as in status. It ends when all jobs that were named are over.
    Without names it follows the jobs that fit the filters and are not over, new ones as well,
    until Ctrl-C. It only looks: stopping it does nothing to a job.

    DONE is the share that is stored, SAVED how long ago it was stored. RATE and LEFT, the time
    until the end, are measured between the last checkpoints. For a divided job, SLICE shows how
    many of its parts are done, and WORKER how many are at work. If the store stops answering, it
    waits and goes on.

    Examples:
        outlast watch
        outlast watch million billion
        outlast watch --tag nightly --interval 10 | tee nightly.log

    Exit codes:
        0  all jobs that were named have their result
        1  one of them failed, was cancelled, is not there or cannot be read
        2  an id, a filter or a setting is wrong
        129, 130, 143  stopped by the end of the terminal, by Ctrl-C or by SIGTERM
    """
    from outlast.worker.cli.live_table import open_table
    from outlast.worker.cli.watchlist import Watchlist
    from outlast.worker.jobs.client import Client
    from outlast.worker.slices.deadline import Deadline

    selection = selection_of(statuses, kernel, tags, older_than, newer_than)
    if job_ids and options_of(selection):
        raise typer.BadParameter("name jobs, or choose them by filters, not both")
    client = Client(read_only=True)
    with open_table(as_json=as_json) as table, Deadline() as stop:
        watchlist = Watchlist(client, job_ids or (), selection, table.say)
        _follow(client, watchlist, table, stop, interval or table.interval_seconds)
    if not watchlist.is_over:
        raise typer.Exit(128 + signal.Signals[stop.reason or "SIGINT"])
    if watchlist.has_failed:
        raise typer.Exit(FAULT)


def _follow(
    client: Client, watchlist: Watchlist, table: Table, stop: Deadline, interval_seconds: float
) -> None:
    """Look and show until the jobs are over or a stop signal comes."""
    from outlast.checkpoint.errors import StoreUnavailable
    from outlast.worker.cli.places import with_variable

    is_away = None  # It has not been asked yet.
    while not stop.reason:
        try:
            changed = watchlist.look()
            if is_away:
                table.say("the store answers again")
            is_away = False
        except StoreUnavailable as error:
            if is_away is None:
                raise
            changed = []
            if not is_away:
                table.say(f"{with_variable(error)}; trying again until it answers")
            is_away = True
        table.show(watchlist.jobs.values(), changed, watchlist.parts, client.jobs.clock())
        if watchlist.is_over:
            return
        due = time.monotonic() + interval_seconds
        while not stop.reason and (left := due - time.monotonic()) > 0:
            time.sleep(min(left, REACTION_SECONDS))

"""outlast cost: what jobs have taken, and what that costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from outlast.worker.cli.bills import (
    bill_of,
    dollars,
    footer,
    print_without_price,
    source_of,
    total_dollars,
)
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
from outlast.worker.cli.job_ids import read_ids
from outlast.worker.cli.options import Debug, Json
from outlast.worker.cli.output import print_json
from outlast.worker.cli.tables import Columns

if TYPE_CHECKING:
    from outlast.worker.costs.bill import Consumption, Services
    from outlast.worker.costs.prices import Prices

COLUMNS = Columns(
    "{:<32} {:>6} {:>12} {:>9} {:>13} {:>7} {:>8} {:>14}",
    *("JOB", "SLICES", "OCCUPIED", "WRITES", "BYTES SAVED", "WASTED", "OVERHEAD", "DOLLARS"),
    first_out=("BYTES SAVED", "WRITES", "OVERHEAD", "WASTED", "SLICES"),
)
ITEM_COLUMNS = Columns("  {:<30} {:>15} {:<8} {:>14}", "ITEM", "AMOUNT", "UNIT", "DOLLARS")

JobIds = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="JOB_ID",
        help="The jobs, as submit or list print them; - reads ids from standard input.",
    ),
]
All = Annotated[bool, typer.Option("--all", help="All jobs of the store that fit the filters.")]


def cost(
    job_ids: JobIds = None,
    *,
    every: All = False,
    statuses: Statuses = None,
    kernel: OfKernel = None,
    tags: WithTags = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    as_json: Json = False,
    _debug: Debug = False,
) -> None:
    """Print what jobs have taken, and what that costs.

    Exact are the seconds that workers were occupied, from the claim of each slice to its release,
    by platform, and the writes to the store. Reads and requests to the queue are derived from the
    protocol, about as many as there were. OUTLAST_STORE and OUTLAST_QUEUE decide their price.

    The row of a divided job has what its parts have taken, also while they run. The number of their
    writes is derived from the protocol, too.

    WASTED is the share of the kernel's time that was lost to crashes, or thrown away, and done
    again: with --json redone_seconds, of these and compute_seconds together. OVERHEAD is the share
    of the workers' time that is not in compute_seconds: what a crash lost is in it.

    A bill leaves out what the record of a job cannot know: a worker's start and imports before the
    claim and its end after the release, which Lambda and RunPod bill; idle workers, and receives
    without a message; a slice that still runs; storage, logs and traffic. It also leaves out free
    tiers, discounts and taxes. The price table has a date; OUTLAST_PRICES names a file that
    replaces its prices.

    A platform without a price is named, and the total is then a lower bound. No machine of your own
    has one unless you set it: in the file of OUTLAST_PRICES, below the line [second], a line such
    as "container" = 0.00002 says what a second there costs; 0 says that it is free.

    Examples:
        outlast cost million
        outlast cost --all --tag nightly --newer-than 7d
        outlast cost --all --json | jq .total.dollars

    Exit codes:
        0  the costs are printed
        1  there is no such job, a record cannot be read, or the store is at fault
        2  neither a job nor --all is given, or an id, a filter, a setting or the price table is
           wrong
    """
    if every == bool(job_ids):
        raise typer.BadParameter("give job ids or --all, and not both")
    selection = selection_of(statuses, kernel, tags, older_than, newer_than)
    if job_ids and options_of(selection):
        raise typer.BadParameter("filters choose from --all: leave out the job ids")
    from outlast.checkpoint.errors import CorruptRecord
    from outlast.worker.costs.bill import Consumption, consumption_of, services_of
    from outlast.worker.costs.prices import read_prices
    from outlast.worker.jobs.client import Client
    from outlast.worker.jobs.parts import usage_of
    from outlast.worker.settings import read_settings

    settings = read_settings()
    prices, services = read_prices(settings.prices), services_of(settings)
    client, failures = Client(settings=settings, read_only=True), Failures()
    total, views = Consumption(), []
    records = (
        client.jobs.heads(on_corrupt=failures)
        if every
        else map(client.status, read_ids(job_ids or ()))
    )
    for record in records:
        if not every or selection.takes(record, client.jobs.clock()):
            try:
                usage = usage_of(client.jobs, record)
            except CorruptRecord as error:  # one of its parts
                failures(error)
                usage = record.usage
            consumption = consumption_of(record, usage)
            total += consumption
            names = {"job_id": record.job_id, "status": str(record.status)}
            views.append({**names, **_view(consumption, prices, services)})
    sums = _view(total, prices, services)
    if as_json:
        print_json({"jobs": views, "total": sums, "prices": source_of(prices, settings)})
    else:
        _print_bill(views, sums)
        print(footer(prices, settings))
    failures.exit_if_any()


def _view(consumption: Consumption, prices: Prices, services: Services) -> dict[str, Any]:
    from outlast.worker.costs.bill import items_of

    return {
        "slices": consumption.slices,
        "occupied_seconds": round(consumption.occupied_seconds, 6),
        "compute_seconds": round(consumption.compute_seconds, 6),
        "redone_seconds": round(consumption.redone_seconds, 6),
        "writes": consumption.writes,
        "saved_bytes": consumption.saved_bytes,
        "wasted_share": consumption.wasted_share,
        "overhead_share": consumption.overhead_share,
        **bill_of(items_of(consumption, prices, services)),
    }


def _print_bill(views: list[dict[str, Any]], total: dict[str, Any]) -> None:
    """Print a row for each job, one for all of them, and the items of the total."""
    if not views:
        print("no job fits")
        return
    print(COLUMNS.heading)
    for view in views:
        _print_row(view["job_id"], view)
    _print_row("total", total)
    print()
    for item in total["items"]:
        count = f"{item['amount']:,.0f}" if item["unit"] == "requests" else f"{item['amount']:,.2f}"
        print(ITEM_COLUMNS.row(item["what"], count, item["unit"], dollars(item["dollars"])))
    print()
    print_without_price(total["items"])


def _print_row(name: str, view: dict[str, Any]) -> None:
    row = (
        view["slices"],
        f"{view['occupied_seconds']:,.1f} s",
        view["writes"],
        f"{view['saved_bytes']:,}",
        _percent(view["wasted_share"]),
        _percent(view["overhead_share"]),
        total_dollars(view),
    )
    print(COLUMNS.row(name, *row))


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"

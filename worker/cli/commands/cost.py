"""outlast cost: what jobs have taken, and what that costs."""

from __future__ import annotations

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
from outlast.worker.cli.job_ids import given
from outlast.worker.cli.options import Debug, Json
from outlast.worker.cli.pricing import dollars, dollars_in_all, footing, priced, told
from outlast.worker.cli.streams import put, put_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.checkpoint.record import Record
    from outlast.worker.costs.bill import Consumption, Services
    from outlast.worker.costs.prices import Prices
    from outlast.worker.jobs.client import Client
    from outlast.worker.jobs.selection import Selection

COLUMNS = "{:<32} {:>6} {:>12} {:>9} {:>13} {:>7} {:>8} {:>14}"
HEADING = ("JOB", "SLICES", "OCCUPIED", "WRITES", "BYTES SAVED", "WASTED", "OVERHEAD", "DOLLARS")
LINE = "  {:<30} {:>15} {:<8} {:>14}"

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

    WASTED is the share of the kernel's time that was lost to crashes and done again, at most.
    OVERHEAD is the share of the workers' time that was not the kernel's.

    What the record of a job cannot know is not in it: a worker's start and imports before the
    claim and its end after the release, which Lambda and RunPod bill; idle workers, and receives
    that found nothing; a slice that still runs; storage, logs and traffic. Nor are free tiers,
    discounts and taxes. A platform without a price is shown, and the total is then a lower bound.
    The price table has a date; OUTLAST_PRICES names a file that replaces its prices.

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
    selection = chosen(statuses, kernel, tags, older_than, newer_than)
    if job_ids and words_of(selection):
        raise typer.BadParameter("filters choose from --all: leave out the job ids")
    from outlast.worker.costs.bill import Consumption, services_of
    from outlast.worker.costs.prices import read_prices
    from outlast.worker.jobs.client import Client
    from outlast.worker.settings import read_settings

    settings = read_settings()
    prices = read_prices(settings.prices)
    client = Client(settings=settings, read_only=True)
    faults, costs = Faults(), _Costs(prices, services_of(settings), Consumption())
    records = (
        _chosen(client, selection, faults)
        if every
        else iter([client.status(job_id) for job_id in given(job_ids or ())])
    )
    views = costs.views(records)
    if as_json:
        put_json({"jobs": list(views), "total": costs.total(), "prices": told(prices, settings)})
    else:
        _put_bill(views, costs)
        put(footing(prices, settings))
    if faults.count:
        raise typer.Exit(FAULT)


class _Costs:
    """Bills one job after the other, and sums them."""

    def __init__(self, prices: Prices, services: Services, nothing: Consumption) -> None:
        self._prices = prices
        self._services = services
        self._sum = nothing

    def views(self, records: Iterator[Record]) -> Iterator[dict[str, Any]]:
        """Yield what each job costs."""
        from outlast.worker.costs.bill import consumption_of

        for record in records:
            taken = consumption_of(record)
            self._sum += taken
            yield {"job_id": record.job_id, "status": str(record.status), **self._view(taken)}

    def total(self) -> dict[str, Any]:
        """Return what all jobs seen so far cost together."""
        return self._view(self._sum)

    def _view(self, taken: Consumption) -> dict[str, Any]:
        from outlast.worker.costs.bill import items_of

        return {
            "slices": taken.slices,
            "occupied_seconds": round(taken.occupied_seconds, 6),
            "compute_seconds": round(taken.compute_seconds, 6),
            "redone_seconds": round(taken.redone_seconds, 6),
            "writes": taken.writes,
            "saved_bytes": taken.saved_bytes,
            "wasted_share": taken.wasted_share,
            "overhead_share": taken.overhead_share,
            **priced(items_of(taken, self._prices, self._services)),
        }


def _chosen(client: Client, selection: Selection, faults: Faults) -> Iterator[Record]:
    """Yield each job of the store that is chosen and can be read."""
    now = client.jobs.clock()
    records = client.records(on_corrupt=faults)
    return (record for record in records if selection.takes(record, now))


def _put_bill(views: Iterator[dict[str, Any]], costs: _Costs) -> None:
    """Print a row for each job, one for all of them, and what this consists of."""
    heading = COLUMNS.format(*HEADING)
    for view in views:
        if heading:
            put(heading)
            heading = ""
        _put_row(view["job_id"], view)
    if heading:
        put("no job fits")
        return
    total = costs.total()
    _put_row("total", total)
    put("")
    for item in total["items"]:
        count = f"{item['amount']:,.0f}" if item["unit"] == "requests" else f"{item['amount']:,.2f}"
        put(LINE.format(item["what"], count, item["unit"], dollars(item["dollars"])))
    put("")


def _put_row(name: str, view: dict[str, Any]) -> None:
    row = (
        view["slices"],
        f"{view['occupied_seconds']:,.1f} s",
        view["writes"],
        f"{view['saved_bytes']:,}",
        _percent(view["wasted_share"]),
        _percent(view["overhead_share"]),
        dollars_in_all(view),
    )
    put(COLUMNS.format(name, *row))


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"

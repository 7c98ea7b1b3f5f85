"""outlast estimate: time, slices and dollars of a job before it begins."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outlast.worker.cli.bills import (
    bill_of,
    footer,
    print_without_price,
    source_of,
    total_dollars,
)
from outlast.worker.cli.options import Debug, Json, KernelName, Params, PartSeconds
from outlast.worker.cli.output import print_json
from outlast.worker.cli.params import format_params, params_for
from outlast.worker.cli.streams import stdout_to_stderr
from outlast.worker.cli.tables import Columns
from outlast.worker.telemetry.rate import clock_time

if TYPE_CHECKING:
    from outlast.checkpoint.fleet import Fleet
    from outlast.kernel import Estimate
    from outlast.worker.costs.forecast import Size
    from outlast.worker.costs.prices import Prices
    from outlast.worker.settings import Settings

COLUMNS = Columns(
    "{:<22} {:>7} {:>10} {:>7} {:>10} {:>14}",
    *("WORKER", "THREADS", "TIME", "SLICES", "WRITES", "DOLLARS"),
    first_out=("WRITES", "SLICES", "THREADS"),
)
MOST_CORES = 1024
SECONDS_SHOWN = 59.995  # what is rounded to a minute is one

MemoryMb = Annotated[
    list[int] | None,
    typer.Option(
        "--memory-mb",
        min=128,
        max=10240,
        metavar="MB",
        help="A memory size of Lambda; may be repeated. Default: 1, 2, 3, 4 cores and the most.",
    ),
]
LambdaTimeout = Annotated[
    float,
    typer.Option(
        "--timeout-seconds", min=1, max=900, metavar="SECONDS", help="The function's time-out."
    ),
]
Also = Annotated[
    list[str] | None,
    typer.Option(
        "--also",
        metavar="PLATFORM=CORES",
        help="A worker of another platform with a price, like runpod/4090=8; may be repeated.",
    ),
]
CoreFactor = Annotated[
    float,
    typer.Option(
        "--core-factor",
        min=0.01,
        max=1000,
        metavar="F",
        help="How many times slower a worker's core is than the kernel's reference core.",
    ),
]
Calibrate = Annotated[
    bool,
    typer.Option(
        "--calibrate", help="Measure this machine's factor for its own row; takes some seconds."
    ),
]
Parallel = Annotated[
    str | None,
    typer.Option(
        "--parallel",
        metavar="N,N,...",
        help="For so many workers that share the job, side by side, like 1,10,100,1000.",
    ),
]


def estimate(
    kernel: KernelName,
    params: Params = None,
    *,
    parallel: Parallel = None,
    part_seconds: PartSeconds = None,
    timeout_seconds: LambdaTimeout = 900,
    memory_mb: MemoryMb = None,
    also: Also = None,
    core_factor: CoreFactor = 1.0,
    calibrate: Calibrate = False,
    as_json: Json = False,
    _debug: Debug = False,
) -> None:
    """Print what a job would take and cost, before anything runs.

    The time comes from the kernel's own model, in CPU seconds of its reference core. A row is this
    machine with OUTLAST_THREADS and OUTLAST_SLICE_SECONDS, or a size of Lambda, where 1,769 MB are
    a core. TIME is that of the workers, all slices in a row, each in a new process, without the
    waits for a worker. WRITES, to the store, are checkpoints and the beginnings and ends of slices.
    DOLLARS are those of the USA, for all of the job; `over` so many where a platform has no price.

    The prices of requests are those of OUTLAST_STORE and OUTLAST_QUEUE. Where these are files,
    which other machines do not see, the other rows assume S3 and a standard SQS queue.

    Outlast does not know how fast a core of Lambda or RunPod is: without --core-factor it counts as
    a reference core. To measure it, run this with --calibrate there, or compare the compute_seconds
    of a job that ran there with its estimate. An estimate leaves out what a bill leaves out: see
    outlast cost --help.

    With --parallel the columns are numbers of workers that share the job, as by submit --parallel,
    each with the time to its end and, below that, the dollars of all of them. What a kernel cannot
    divide, one worker does. Lambda starts 5 workers for a queue, then 5 more a second, and 1,000 at
    most; others are taken to be there from the start.

    Examples:
        outlast estimate nth-prime position=1e17
        outlast estimate prime-count x=1e21 --parallel 1,10,100,1000
        outlast estimate prime-count x=1e19 --calibrate --also runpod/4090=8
        outlast estimate nth-prime position=1e17 --memory-mb 1769 --timeout-seconds 60 --json

    Exit codes:
        0  the estimate is printed
        1  the kernel has no cost model
        2  the kernel, a parameter, an option, a setting or the price table is wrong, or the kernel
           cannot be divided
    """
    from outlast.worker.costs.calibration import estimate_of, factor_of
    from outlast.worker.costs.forecast import lambda_sizes, own_size
    from outlast.worker.costs.prices import read_prices
    from outlast.worker.settings import read_settings
    from outlast.worker.slices.platforms import MB_PER_CORE

    settings = read_settings()
    prices = read_prices(settings.prices)
    values = params_for(kernel, params or ())
    need = estimate_of(kernel, values)
    fleets = _fleets(kernel, parallel, part_seconds)
    if fleets and not memory_mb:
        memory_mb = [MB_PER_CORE]
    with stdout_to_stderr():
        factor = factor_of(kernel) if calibrate else core_factor
    sizes = [
        own_size(settings, factor),
        *lambda_sizes(memory_mb or (), timeout_seconds=timeout_seconds, core_factor=core_factor),
        *(_other(word, settings, core_factor) for word in also or ()),
    ]
    rows = [
        _row_of_many(need, size, fleets, settings, prices)
        if fleets
        else _row(need, size, settings, prices)
        for size in sizes
    ]
    job = {"kernel": kernel, "params": values, "estimate": asdict(need), "factor": factor}
    if as_json:
        print_json({**job, "workers": rows, "prices": source_of(prices, settings)})
        return
    print(f"{kernel} {format_params(values)}: {_describe(need, is_shared=bool(fleets))}")
    if calibrate:
        print(f"a core of this machine takes {factor:.2f} times as long")
    print()
    if fleets:
        _print_many(fleets, rows)
    else:
        _print_rows(rows)
    print()
    print_without_price(_items_of(rows))
    print(footer(prices, settings))


def _other(word: str, settings: Settings, core_factor: float) -> Size:
    """Return the worker that an option --also names."""
    from outlast.checkpoint.fields import PLATFORM
    from outlast.worker.costs.forecast import Size

    platform, equals, cores = word.rpartition("=")
    is_platform = re.fullmatch(PLATFORM, platform)
    if not (is_platform and equals and cores.isdecimal() and 0 < int(cores) <= MOST_CORES):
        raise typer.BadParameter(f"{word[:80]!r}: write PLATFORM=CORES, like runpod/4090=8")
    return Size(
        platform=platform,
        cores=int(cores),
        threads=int(cores),
        slice_seconds=settings.slice_seconds,
        core_factor=core_factor,
    )


def _fleets(kernel: str, parallel: str | None, part_seconds: float | None) -> list[Fleet]:
    """Return how the job would be shared, for each number of workers; []: it is not asked."""
    from outlast.worker.jobs.new_job import fleet_for

    words = [] if parallel is None else parallel.split(",")
    if not all(word.strip().isdecimal() for word in words):
        raise typer.BadParameter(f"{parallel!r:.80}: write numbers of workers, like 1,10,100,1000")
    numbers = dict.fromkeys(map(int, words)) or [None]
    return [fleet for n in numbers if (fleet := fleet_for(kernel, n, part_seconds))]


def _row_of_many(
    need: Estimate, size: Size, fleets: list[Fleet], settings: Settings, prices: Prices
) -> dict[str, Any]:
    """Return what a job takes on each number of workers of one size, as a JSON object."""
    from outlast.worker.costs.bill import items_of
    from outlast.worker.costs.forecast import services_for
    from outlast.worker.costs.shared_forecast import shared_forecast

    services, shared = services_for(size, settings), []
    for fleet in fleets:
        prospect, seconds = shared_forecast(
            need,
            size,
            fleet,
            store=services.store,
            checkpoint_seconds=settings.checkpoint_seconds,
        )
        row = {"platform": size.platform, "threads": size.threads, "obstacle": prospect.obstacle}
        if prospect.obstacle:
            return row
        consumption = prospect.consumption
        shared.append(
            {
                "parallel": fleet.parallel,
                "parts": consumption.parts,
                "seconds": seconds,
                "occupied_seconds": consumption.occupied_seconds,
                "slices": consumption.slices,
                "writes": consumption.writes,
                **bill_of(items_of(consumption, prices, services)),
            }
        )
    return {**row, "shared": shared}


def _print_many(fleets: list[Fleet], rows: list[dict[str, Any]]) -> None:
    """Print two lines for each size of workers: the times, and the dollars below them."""
    names = [f"{n:,} WORKER{'S' if n > 1 else ''}" for n in (f.parallel for f in fleets)]
    lines = [line for row in rows for line in _lines_of_many(row, len(names))]
    cells = zip(names, *(line[2:] for line in lines), strict=True)
    form = "".join(f"  {{:>{max(map(len, column))}}}" for column in cells)
    columns = Columns("{:<22} {:>7}" + form, "WORKER", "THREADS", *names, first_out=["THREADS"])
    print(columns.heading)
    for line in lines:
        print(columns.row(*line))


def _lines_of_many(row: dict[str, Any], numbers: int) -> list[list[str]]:
    """Return the cells of both lines, or of one where the job cannot run there."""
    size = [row["platform"], str(row["threads"])]
    if row["obstacle"]:
        return [[*size, row["obstacle"], *[""] * (numbers - 1)]]
    times = [_time(each["seconds"]) for each in row["shared"]]
    return [[*size, *times], ["", "", *map(total_dollars, row["shared"])]]


def _row(need: Estimate, size: Size, settings: Settings, prices: Prices) -> dict[str, Any]:
    """Return what a job takes on workers of one size, as a JSON object."""
    from outlast.worker.costs.bill import items_of
    from outlast.worker.costs.forecast import forecast, services_for

    services = services_for(size, settings)
    prospect = forecast(
        need, size, store=services.store, checkpoint_seconds=settings.checkpoint_seconds
    )
    row = {"platform": size.platform, "threads": size.threads, "obstacle": prospect.obstacle}
    if prospect.obstacle:
        return row
    consumption = prospect.consumption
    return {
        **row,
        "seconds": consumption.occupied_seconds,
        "slices": consumption.slices,
        "writes": consumption.writes,
        "saved_bytes": consumption.saved_bytes,
        **bill_of(items_of(consumption, prices, services)),
    }


def _describe(need: Estimate, *, is_shared: bool) -> str:
    alone = f"{need.serial_seconds / need.seconds:.0%} of it on one thread only"
    if is_shared:
        alone = f"{_time(need.undivided_seconds)} of it by one worker alone"
    return (
        f"{_time(need.seconds)} of a reference core, {alone}; "
        f"{need.memory_bytes / 1e6:,.0f} MB of memory, states of {need.state_bytes / 1e3:,.1f} kB"
    )


def _print_rows(rows: list[dict[str, Any]]) -> None:
    print(COLUMNS.heading)
    for row in rows:
        cells = (row["obstacle"], "", "", "")
        if not row["obstacle"]:
            cells = (_time(row["seconds"]), row["slices"], row["writes"], total_dollars(row))
        print(COLUMNS.row(row["platform"], row["threads"], *cells))


def _items_of(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the items of all bills, for any number of workers."""
    bills = [bill for row in rows for bill in row.get("shared", [row])]
    return [item for bill in bills for item in bill.get("items", ())]


def _time(seconds: float) -> str:
    """Return a time with its unit: "0.51 s", "1:05 min", "2:03:05 h" or "3.2 days"."""
    if seconds < SECONDS_SHOWN:
        return f"{seconds:.2f} s"
    text = clock_time(seconds)
    return f"{text} {('min', 'h')[text.count(':') - 1]}" if ":" in text else text

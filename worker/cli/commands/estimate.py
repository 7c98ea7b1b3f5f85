"""outlast estimate: time, slices and dollars of a job that has not been begun."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outlast.worker.cli.options import Debug, Json, KernelName, Params
from outlast.worker.cli.params import format_params, params_for
from outlast.worker.cli.pricing import dollars_in_all, footing, priced, told, unpriced
from outlast.worker.cli.streams import put, put_json, reserved
from outlast.worker.jobs.rate import clock_time

if TYPE_CHECKING:
    from outlast.kernel import Estimate
    from outlast.worker.costs.forecast import Size
    from outlast.worker.costs.prices import Prices
    from outlast.worker.settings import Settings

COLUMNS = "{:<22} {:>7} {:>10} {:>7} {:>10} {:>14}"
MOST_CORES = 1024
HEADING = ("WORKER", "THREADS", "TIME", "SLICES", "WRITES", "DOLLARS")

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
        help="A worker of another platform of the price table, runpod/4090=8 say; may be repeated.",
    ),
]
CoreFactor = Annotated[
    float,
    typer.Option(
        "--core-factor",
        min=0.01,
        max=1000,
        metavar="F",
        help="How many times as long as the kernel's reference core a worker's core takes.",
    ),
]
Calibrate = Annotated[
    bool,
    typer.Option(
        "--calibrate", help="Measure the factor of this machine, some seconds, for local."
    ),
]


def estimate(
    kernel: KernelName,
    params: Params = None,
    *,
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
    a core. TIME is that of the workers, all slices in a row, each in a new process; waiting for a
    worker is not in it. WRITES are checkpoints and the beginnings and ends of slices.

    The prices of requests are those of OUTLAST_STORE and OUTLAST_QUEUE. Where these are files,
    which other machines do not see, the other rows stand on S3 and a standard SQS queue.

    How fast a core of Lambda or RunPod is compared with the reference core is not known: without
    --core-factor they are equal. To measure it, run this with --calibrate there, or compare the
    compute_seconds of a job that ran there with its estimate. What a bill cannot know, an estimate
    cannot either: see outlast cost --help.

    Examples:
        outlast estimate nth-prime position=1e17
        outlast estimate prime-count x=1e19 --calibrate --also runpod/4090=8
        outlast estimate nth-prime position=1e17 --memory-mb 1769 --timeout-seconds 60 --json

    Exit codes:
        0  the estimate is printed
        1  the kernel has no cost model
        2  the kernel, a parameter, an option, a setting or the price table is wrong
    """
    from outlast.worker.costs.calibration import estimate_of, factor_of
    from outlast.worker.costs.forecast import lambda_sizes, own_size
    from outlast.worker.costs.prices import read_prices
    from outlast.worker.settings import read_settings

    settings = read_settings()
    prices = read_prices(settings.prices)
    values = params_for(kernel, params or ())
    found = estimate_of(kernel, values)
    with reserved():
        factor = factor_of(kernel) if calibrate else core_factor
    sizes = [
        own_size(settings, factor),
        *lambda_sizes(memory_mb or (), timeout_seconds=timeout_seconds, core_factor=core_factor),
        *(_other(word, settings, core_factor) for word in also or ()),
    ]
    rows = [_row(found, size, settings, prices) for size in sizes]
    job = {"kernel": kernel, "params": values, "estimate": asdict(found), "factor": factor}
    if as_json:
        put_json({**job, "workers": rows, "prices": told(prices, settings)})
        return
    put(f"{kernel} {format_params(values)}: {_described(found)}")
    if calibrate:
        put(f"a core of this machine takes {factor:.2f} times as long")
    put("")
    put(COLUMNS.format(*HEADING))
    for row in rows:
        _put_row(row)
    put("")
    for item in unpriced(rows):
        put(f"not in the price table: {item}")
    put(footing(prices, settings))


def _other(word: str, settings: Settings, core_factor: float) -> Size:
    """Return the worker that an option --also names."""
    from outlast.checkpoint.fields import PLATFORM
    from outlast.worker.costs.forecast import Size

    platform, equals, cores = word.rpartition("=")
    known = re.fullmatch(PLATFORM, platform)
    if not (known and equals and cores.isdecimal() and 0 < int(cores) <= MOST_CORES):
        raise typer.BadParameter(f"{word[:80]!r}: write PLATFORM=CORES, runpod/4090=8 say")
    return Size(
        platform=platform,
        cores=int(cores),
        threads=int(cores),
        slice_seconds=settings.slice_seconds,
        core_factor=core_factor,
    )


def _row(found: Estimate, size: Size, settings: Settings, prices: Prices) -> dict[str, Any]:
    """Return what a job takes on workers of one size, as a JSON object."""
    from outlast.worker.costs.bill import items_of
    from outlast.worker.costs.forecast import forecast, services_for

    services = services_for(size, settings)
    coming = forecast(
        found, size, store=services.store, checkpoint_seconds=settings.checkpoint_seconds
    )
    row = {"platform": size.platform, "threads": size.threads, "obstacle": coming.obstacle}
    if coming.obstacle:
        return row
    taken = coming.consumption
    return {
        **row,
        "seconds": taken.occupied_seconds,
        "slices": taken.slices,
        "writes": taken.writes,
        "saved_bytes": taken.saved_bytes,
        **priced(items_of(taken, prices, services)),
    }


def _described(found: Estimate) -> str:
    return (
        f"{_time(found.seconds)} of a reference core, "
        f"{found.serial_seconds / found.seconds:.0%} of it on one thread only; "
        f"{found.memory_bytes / 1e6:,.0f} MB of memory, states of {found.state_bytes / 1e3:,.1f} kB"
    )


def _put_row(row: dict[str, Any]) -> None:
    if row["obstacle"]:
        put(COLUMNS.format(row["platform"], row["threads"], row["obstacle"], "", "", "").rstrip())
        return
    cells = (_time(row["seconds"]), row["slices"], row["writes"], dollars_in_all(row))
    put(COLUMNS.format(row["platform"], row["threads"], *cells))


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 60 else clock_time(seconds)

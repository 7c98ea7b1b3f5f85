"""What a job would take on a worker of a given size: a kernel's estimate, cut into slices.

The wall time of a job on t threads is that of its serial part and a t-th of the rest. Each slice
but the first rebuilds what the state does not hold, as if it always ran in a new process, and each
has its opening and its ending. What comes out is a `Consumption`, which has its price as one that
was measured has.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from outlast.checkpoint.parts import PlatformUsage
from outlast.worker.costs.bill import Consumption, Services, services_of
from outlast.worker.slices.platforms import MB_PER_CORE, lambda_threads, platform_of
from outlast.worker.slices.timing import Timing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outlast.kernel import Estimate
    from outlast.worker.settings import Settings

LAMBDA_MEGABYTES = (1769, 3538, 5307, 7076, 10240)
LAMBDA_MACHINES = ("arm64", "x86_64")

# What the worker itself needs beside the kernel's process: boto3, a client each for S3 and SQS.
WORKER_BYTES = 64 << 20

# From the claim of a slice to its first step, and from its last one to its release, with what a
# worker keeps back for that: some requests to S3 and SQS.
REMOTE_SLICE_SECONDS = 0.5
LOCAL_SLICE_SECONDS = 0.02

# A write of a small record, as the usual stores take it; the interval between checkpoints follows.
SAVE_SECONDS = {"s3": 0.05, "redis": 0.002, "sqlite": 0.005}


@dataclass(frozen=True)
class Size:
    """A kind of worker.

    Attributes:
        platform: as a record names it, for example "lambda/arm64/1769".
        cores: how many it has; Lambda gives fractions.
        threads: how many a kernel is granted there.
        slice_seconds: how long a slice may last.
        memory_bytes: None where it is not known.
        slice_overhead_seconds: what a slice's opening and ending take.
        core_factor: how many times as long as the kernel's reference core its cores take.
    """

    platform: str
    cores: float
    threads: int
    slice_seconds: float
    memory_bytes: int | None = None
    slice_overhead_seconds: float = REMOTE_SLICE_SECONDS
    core_factor: float = 1.0


@dataclass(frozen=True)
class Forecast:
    """What a job would take on workers of one size.

    Attributes:
        obstacle: why it cannot run there, in a few words; None if it can. Then `taken` is empty.
        taken: what it would take.
    """

    size: Size
    obstacle: str | None
    taken: Consumption


def own_size(settings: Settings, core_factor: float) -> Size:
    """Return this machine as a worker, with the settings that it would have."""
    return Size(
        platform=settings.platform or platform_of(os.environ),
        cores=settings.threads,
        threads=settings.threads,
        slice_seconds=settings.slice_seconds,
        memory_bytes=settings.memory_bytes,
        slice_overhead_seconds=LOCAL_SLICE_SECONDS,
        core_factor=core_factor,
    )


def lambda_sizes(
    megabytes: Sequence[int], *, timeout_seconds: float, core_factor: float
) -> list[Size]:
    """Return the functions of these memory sizes (none: the usual ones) on both architectures.

    A slice lasts as long as their time-out.
    """
    return [
        Size(
            platform=f"lambda/{machine}/{mb}",
            cores=mb / MB_PER_CORE,
            threads=lambda_threads(mb),
            slice_seconds=timeout_seconds,
            memory_bytes=mb << 20,
            core_factor=core_factor,
        )
        for machine in LAMBDA_MACHINES
        for mb in megabytes or LAMBDA_MEGABYTES
    ]


def services_for(size: Size, settings: Settings) -> Services:
    """Return where the requests of such a worker go: not to this machine's files from elsewhere."""
    here = services_of(settings)
    if size.platform == own_size(settings, 1.0).platform:
        return here
    return Services(
        store="s3" if here.store == "sqlite" else here.store,
        queue="sqs" if here.queue == "sqlite" else here.queue,
    )


def forecast(
    estimate: Estimate, size: Size, *, store: str, checkpoint_seconds: float | None = None
) -> Forecast:
    """Return what the job would take there, with its records in `store`.

    `checkpoint_seconds` is the interval between checkpoints; None: what follows from the time that
    a save usually takes there.
    """
    if size.memory_bytes is not None and estimate.memory_bytes + WORKER_BYTES > size.memory_bytes:
        return Forecast(size, "does not fit", Consumption())
    one, all_ = min(1.0, size.cores), min(float(size.threads), size.cores)
    shared = estimate.seconds - estimate.serial_seconds
    compute = size.core_factor * (estimate.serial_seconds / one + shared / all_)
    resume = size.core_factor * estimate.resume_seconds / one
    usable = size.slice_seconds - size.slice_overhead_seconds
    if compute > usable and resume >= usable:
        return Forecast(size, "slices too short", Consumption())
    more = math.ceil(max(compute - usable, 0.0) / (usable - resume)) if compute > usable else 0
    compute += more * resume
    slices = 1 + more
    occupied = compute + slices * size.slice_overhead_seconds
    saves = int(compute / _interval_seconds(store, checkpoint_seconds))
    return Forecast(
        size,
        None,
        Consumption(
            usage={size.platform: PlatformUsage(slices=slices, seconds=occupied)},
            slices=slices,
            writes=3 * slices + saves,
            saved_bytes=(slices - 1 + saves) * estimate.state_bytes,
            compute_seconds=compute,
        ),
    )


def _interval_seconds(store: str, checkpoint_seconds: float | None) -> float:
    timing = Timing(checkpoint_seconds=checkpoint_seconds)
    timing.saw_save(SAVE_SECONDS[store])
    return timing.interval_seconds

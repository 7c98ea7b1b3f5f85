"""What a job would take on a worker of a given size: a kernel's estimate, cut into slices.

On t threads a job takes the time of its serial part and a t-th of the rest. Each slice but the
first rebuilds what the state does not contain, as if it ran in a new process, and each slice has an
overhead at its start and its end. The result is a `Consumption`, priced like a measured one.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from outlast.checkpoint.record_parts import PlatformUsage
from outlast.worker.costs.bill import Consumption, Services, services_of
from outlast.worker.slices.platforms import MB_PER_CORE, lambda_threads, platform_of
from outlast.worker.slices.timing import Timing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outlast.checkpoint.fields import Platform
    from outlast.kernel import Estimate
    from outlast.worker.settings import Settings

LAMBDA_MEGABYTES = (1769, 3538, 5307, 7076, 10240)
LAMBDA_MACHINES = ("arm64", "x86_64")

# What the worker itself needs beside the kernel's process: botocore, a client each for S3 and SQS.
WORKER_BYTES = 64 << 20

# From the claim of a slice to its first step, and from its last step to its release, with the
# reserve for that: some requests to S3 and SQS.
REMOTE_SLICE_SECONDS = 0.5
LOCAL_SLICE_SECONDS = 0.02

# A write of a small record; the interval between checkpoints follows from it.
SAVE_SECONDS = {"s3": 0.05, "redis": 0.002, "sqlite": 0.005}


@dataclass(frozen=True)
class Size:
    """A kind of worker.

    Attributes:
        platform: as a record names it, for example "lambda/arm64/1769".
        cores: how many it has; fractions on Lambda.
        threads: how many a kernel may use.
        slice_seconds: how long a slice may last.
        memory_bytes: None if it is not known.
        slice_overhead_seconds: what the start and the end of a slice take.
        core_factor: how many times longer its cores take than the kernel's reference core.
    """

    platform: Platform
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
        obstacle: why it cannot run there, in a few words; None if it can.
        consumption: what it would take; empty if there is an obstacle.
    """

    size: Size
    obstacle: str | None
    consumption: Consumption


def own_size(settings: Settings, core_factor: float) -> Size:
    """Return this machine as a worker with these settings."""
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
    """Return Lambda functions of these memory sizes on both architectures; empty: the usual sizes.

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
    """Return where the requests of this worker go: elsewhere S3 and SQS replace local files.

    Lambda gets its messages from SQS in any case.
    """
    services = services_of(settings)
    if size.platform == own_size(settings, 1.0).platform:
        return services
    others = {"sqlite", "redis"} if size.platform.startswith("lambda/") else {"sqlite"}
    return Services(
        store="s3" if services.store == "sqlite" else services.store,
        queue="sqs" if services.queue in others else services.queue,
    )


def forecast(
    estimate: Estimate, size: Size, *, store: str, checkpoint_seconds: float | None = None
) -> Forecast:
    """Return what the job would take on workers of this size, with its records in `store`.

    `checkpoint_seconds` is the interval between checkpoints; None: it follows from the time that a
    save in this store usually takes.
    """
    if size.memory_bytes is not None and estimate.memory_bytes + WORKER_BYTES > size.memory_bytes:
        return Forecast(size, "does not fit", Consumption())
    compute = compute_seconds(estimate, size)
    resume = size.core_factor * estimate.resume_seconds / min(1.0, size.cores)
    usable = size.slice_seconds - size.slice_overhead_seconds
    if compute > usable and resume >= usable:
        return Forecast(size, "slices too short", Consumption())
    more = math.ceil(max(compute - usable, 0.0) / (usable - resume)) if compute > usable else 0
    compute += more * resume
    slices = 1 + more
    occupied = compute + slices * size.slice_overhead_seconds
    saves = int(compute / interval_seconds(store, checkpoint_seconds))
    return Forecast(
        size,
        None,
        Consumption(
            jobs=1,
            platforms={size.platform: PlatformUsage(slices=slices, seconds=occupied)},
            slices=slices,
            writes=1 + 3 * slices + saves,
            saved_bytes=(slices - 1 + saves) * estimate.state_bytes,
            compute_seconds=compute,
        ),
    )


def compute_seconds(estimate: Estimate, size: Size) -> float:
    """Return the time that the job keeps the kernel on one worker of this size."""
    one_core, cores = min(1.0, size.cores), min(float(size.threads), size.cores)
    parallel = estimate.seconds - estimate.serial_seconds
    return size.core_factor * (estimate.serial_seconds / one_core + parallel / cores)


def interval_seconds(store: str, checkpoint_seconds: float | None) -> float:
    """Return the time between two checkpoints in this kind of store, unless it is fixed."""
    timing = Timing(checkpoint_seconds=checkpoint_seconds)
    timing.saw_write(SAVE_SECONDS[store], 0)
    return timing.interval_seconds()

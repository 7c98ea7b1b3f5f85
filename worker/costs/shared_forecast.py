"""What a job that many workers share would take: its parts side by side, the rest in a row.

What a kernel leaves undivided one worker does. The rest is cut into parts as a job is; each slice
of one has an overhead, and each worker rebuilds once what a state does not contain.
Where the platform starts its workers one after the other, the parts take as long as it needs to
have given that many worker-seconds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from outlast.checkpoint.record_parts import PlatformUsage
from outlast.worker.costs.bill import Consumption, writes_of_parts
from outlast.worker.costs.forecast import Forecast, compute_seconds, forecast, interval_seconds
from outlast.worker.costs.prices import lambda_size
from outlast.worker.slices.fleet.cutting import shares_of

if TYPE_CHECKING:
    from outlast.checkpoint.fleet import Fleet
    from outlast.kernel import Estimate
    from outlast.worker.costs.forecast import Size

# AWS begins to read a queue for so many functions at a time, and adds up to 300 a minute; it runs
# no more than a thousand for one queue.
FIRST_ON_LAMBDA = 5
MORE_ON_LAMBDA = 300 / 60
MOST_ON_LAMBDA = 1_000


def shared_forecast(
    estimate: Estimate,
    size: Size,
    fleet: Fleet,
    *,
    store: str,
    checkpoint_seconds: float | None = None,
) -> tuple[Forecast, float]:
    """Return what the job would take on so many workers of this size; and the time to its end.

    For one worker, and where it cannot run there, it is that of `forecast`, all slices in a row.
    """
    alone = forecast(estimate, size, store=store, checkpoint_seconds=checkpoint_seconds)
    if alone.obstacle or fleet.parallel == 1:
        return alone, alone.consumption.occupied_seconds
    is_lambda = lambda_size(size.platform) is not None
    workers = min(fleet.parallel, MOST_ON_LAMBDA) if is_lambda else fleet.parallel
    one_core = min(1.0, size.cores)
    undivided = size.core_factor * estimate.undivided_seconds / one_core
    in_parts = compute_seconds(estimate, size) - undivided
    parts = _parts_of(fleet, estimate)
    usable = size.slice_seconds - size.slice_overhead_seconds
    slices = parts * max(math.ceil(in_parts / parts / usable), 1)  # An empty part takes one, too.
    busy = min(workers, parts)  # A short job has no part for each of them.
    resume = size.core_factor * estimate.resume_seconds / one_core * busy
    work = in_parts + resume + slices * size.slice_overhead_seconds
    saves = int(work / interval_seconds(store, checkpoint_seconds))
    more = math.ceil(undivided / usable) + 1  # to call the parts, and what is left after them
    occupied = work + undivided + more * size.slice_overhead_seconds
    consumption = Consumption(
        jobs=1,
        parts=parts,
        platforms={size.platform: PlatformUsage(slices=slices + more, seconds=occupied)},
        slices=slices + more,
        writes=1 + writes_of_parts(parts, slices, saves) + 3 * more,
        saved_bytes=saves * estimate.state_bytes,
        compute_seconds=in_parts + resume + undivided,
    )
    seconds = undivided + more * size.slice_overhead_seconds + _time_of(work, busy, ramp=is_lambda)
    return Forecast(size, None, consumption), seconds


def _parts_of(fleet: Fleet, estimate: Estimate) -> int:
    """Return into how many parts the job is cut: one, which is empty, if nothing is divided."""
    if estimate.undivided_seconds == estimate.seconds:
        return 1
    return 1 + sum(1 for _ in shares_of(fleet, estimate.seconds))


def _time_of(work: float, workers: int, *, ramp: bool) -> float:
    """Return how long so many workers take for so many worker-seconds."""
    if not ramp or workers <= FIRST_ON_LAMBDA:
        return work / workers
    # Until all are there the work done grows with the square of the time.
    until_all = (workers - FIRST_ON_LAMBDA) / MORE_ON_LAMBDA
    done = (FIRST_ON_LAMBDA + workers) / 2 * until_all
    if work >= done:
        return until_all + (work - done) / workers
    first, more = FIRST_ON_LAMBDA, MORE_ON_LAMBDA
    return (math.sqrt(first**2 + 2 * more * work) - first) / more

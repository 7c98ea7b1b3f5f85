"""The largest states of open jobs, beside the time and the memory that a slice has for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.worker.doctor.finding import error, ok, warning
from outlast.worker.slices.timing import FAIR_SHARE, Timing

if TYPE_CHECKING:
    from outlast.worker.doctor.finding import Finding
    from outlast.worker.doctor.stored_jobs import Largest, Size

MIB = 1 << 20
# Arrays are in memory twice while they are saved.
COPIES = 2


def time_finding(check: str, largest: Largest, seconds: float, *, mend: str) -> Finding:
    """Check that a slice of `seconds` can load and save the largest states."""
    slowest = max(largest, key=_seconds)
    if not slowest.job_id:
        return ok(check, "no open job has a state yet")
    needed = _seconds(slowest)
    fact = f"{_described(slowest)}; to load and save them may take {needed:,.0f} s of a slice's "
    fact += f"{seconds:,.0f} s"
    if needed <= FAIR_SHARE * seconds:
        return ok(check, fact)
    if 2 * Timing().sending_seconds(slowest.bulk_bytes) > seconds:
        breaks = "slices end before they have saved: the job stalls, and fails"
        return error(check, fact, breaks=breaks, mend=mend)
    breaks = "most of what slices cost goes into loading and saving"
    return warning(check, fact, breaks=breaks, mend=mend)


def memory_finding(check: str, largest: Largest, megabytes: int, *, mend: str) -> Finding:
    """Check that the largest arrays have room in so much memory."""
    size = largest.by_arrays
    if not size.bulk_bytes:
        return ok(check, "no open job has arrays")
    fact = f"{_described(size)}, in {megabytes:,} MB of memory"
    if COPIES * size.bulk_bytes <= megabytes * MIB:
        return ok(check, fact)
    return error(
        check,
        fact,
        breaks="a save has the arrays twice: each slice is killed for lack of memory",
        mend=mend,
    )


def _seconds(size: Size) -> float:
    """Return how long a new worker takes a load and a save for, before it has measured any."""
    timing = Timing()
    return 2 * (timing.write_seconds(size.state_bytes) + timing.sending_seconds(size.bulk_bytes))


def _described(size: Size) -> str:
    arrays, state = size.bulk_bytes / MIB, size.state_bytes / MIB
    return f"job {size.job_id} has arrays of {arrays:,.1f} MB and other state of {state:,.1f} MB"

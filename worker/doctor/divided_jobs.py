"""The open jobs that are divided, beside how many workers their platform may start."""

from __future__ import annotations

from contextlib import closing, nullcontext
from itertools import islice
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import StoreUnavailable
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.registers import open_register
from outlast.worker.doctor.finding import ok, unknown, warning

if TYPE_CHECKING:
    from outlast.worker.doctor.finding import Finding

# More open jobs would take more than a moment to look at.
MOST_JOBS = 1_000


def parallel_finding(check: str, store: str, most: int | None, *, mend: str) -> Finding:
    """Check that no open job is meant for more workers than the `most` that there may be.

    None: the platform is not told how many there may be.
    """
    register = open_register(store, read_only=True)
    try:
        with closing(register) if hasattr(register, "close") else nullcontext():
            widest, job_id = _widest(JobStore(register))
    except StoreUnavailable as failure:
        return unknown(check, str(failure), mend="correct OUTLAST_STORE")
    if not widest:
        return ok(check, "no open job is divided")
    meant = f"job {job_id} is meant for {widest:,} workers"
    if most is None or widest <= most:
        return ok(check, meant)
    return warning(
        check,
        f"{meant}, and {most:,} may run at once",
        breaks=f"it takes about {widest / max(most, 1):.2g} times as long as it is meant to",
        mend=mend,
    )


def _widest(jobs: JobStore) -> tuple[int, str]:
    """Return for how many workers the widest open job is meant, and its id; 0: none is divided."""
    open_ids = islice(jobs.open_jobs.ids(), MOST_JOBS)
    heads = jobs.heads_of(open_ids, on_corrupt=lambda _: None)
    divided = (head for head in heads if head.is_divided and not head.status.is_final)
    return max(
        ((head.fleet.parallel, head.job_id) for head in divided if head.fleet), default=(0, "")
    )

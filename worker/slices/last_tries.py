"""The tries at what the end of a slice needs, whose loss would cost the most."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from outlast.checkpoint.errors import CheckpointError, StoreUnavailable
from outlast.worker.slices.backoff import backoff

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.worker.slices.claimed_job import ClaimedJob

T = TypeVar("T")

# Between two tries: so soon after it is back a store is asked again, before others take the job.
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.1, 1.0
# However little time is left: a hiccup of the store is to cost no slice.
LEAST_SECONDS = 2.0
# In a row, by a store that answers and takes no write, or a place that takes no arrays: for about a
# minute, as a failover may take that long. Beyond, it may be this job's value alone that is
# refused. Time is not counted, as a machine may have slept.
MOST_REFUSALS = 60


def insist(job: ClaimedJob, act: Callable[[], T]) -> T:
    """Do what the end of a slice needs, again and again while the store does not answer.

    Nobody else can take the job then, and nothing else can be done: only the end of the platform's
    time ends the tries, and what bounds the stop of this process.

    Raises:
        LeaseLost: another worker has taken the job.
        StoreUnavailable: the time is up, or the store answers and has refused it for a minute.
    """
    clock, tries, refusals = job.process.clock, 0, 0
    begun = clock()
    while True:
        tried = clock()
        try:
            return act()
        except StoreUnavailable as error:
            job.tell_unsaved("holds its last state and tries to save it until that works", error)
            wait = backoff(tries, first=FIRST_WAIT_SECONDS, longest=LONGEST_WAIT_SECONDS)
            refusals = 0 if _is_away(job) else refusals + 1
            is_over = refusals >= MOST_REFUSALS or wait >= job.limit_seconds()
            if is_over and clock() - begun >= LEAST_SECONDS:
                raise
        job.process.sleep(wait)
        job.tried_seconds += clock() - tried
        tries += 1


def _is_away(job: ClaimedJob) -> bool:
    """Whether the store does not even say what it has of the job."""
    try:
        job.process.jobs.head_of(job.record.job_id)
    except StoreUnavailable:
        return True
    except CheckpointError:
        pass
    return False

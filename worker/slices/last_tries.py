"""The tries at what the end of a slice needs, whose loss would cost the most."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from outlast.checkpoint.errors import CheckpointError, StoreReplaced, StoreUnavailable
from outlast.worker.slices.backoff import backoff

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.worker.slices.claimed_job import ClaimedJob

T = TypeVar("T")

# Between two tries: so soon after it is back a store is asked again, before others take the job.
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.1, 1.0
# However little time is left: a hiccup of the store is to cost no slice.
LEAST_SECONDS = 2.0
# In a row, by a store that answers and takes no write, or a place that takes no arrays: a failover
# may take that long. Beyond, it may be this job's value alone that is refused. Waits are not
# counted, but each refusal at least as the longest of them.
MOST_REFUSED_SECONDS = 60.0
# As what a refusal counts that took longer: the machine may have slept.
LONGEST_REFUSAL_SECONDS = 20.0


def insist(job: ClaimedJob, act: Callable[[], T]) -> T:
    """Do what the end of a slice needs, again and again while the store does not answer.

    Nobody else can take the job then, and nothing else can be done: only the end of the platform's
    time ends the tries, and what bounds the stop of this process.

    Raises:
        LeaseLost: another worker has taken the job.
        StoreUnavailable: the time is up, or the store answers and has refused it for a minute.
        StoreReplaced: no try by this process can work.
    """
    clock, tries, refused_seconds = job.process.clock, 0, 0.0
    begun = clock()
    while True:
        job.note_life()  # It is not the kernel that takes this long.
        tried = clock()
        try:
            return act()
        except StoreReplaced:
            raise
        except StoreUnavailable as error:
            job.tell_unsaved("holds its last state and tries to save it until that works", error)
            wait = backoff(tries, first=FIRST_WAIT_SECONDS, longest=LONGEST_WAIT_SECONDS)
            needed = wait + clock() - tried  # by another try
            if needed < job.limit_seconds():  # To ask it may take as long.
                is_away, lasted = _is_away(job), clock() - tried
                counted = min(max(lasted, LONGEST_WAIT_SECONDS), LONGEST_REFUSAL_SECONDS)
                refused_seconds = 0.0 if is_away else refused_seconds + counted
            is_over = refused_seconds >= MOST_REFUSED_SECONDS or needed >= job.limit_seconds()
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

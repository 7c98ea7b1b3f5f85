"""RQ on Redis: SimpleWorker, which does not fork for each job as RQ's default does.

A job stays in RQ's registry of started jobs until it is done; with a retry one that was
abandoned there is put back.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from redis import Redis
from rq import Queue, Retry
from rq.job import Job

from bench.small_jobs.job import REDIS_URL, square

if TYPE_CHECKING:
    from collections.abc import Iterable

WORKER = [sys.executable, "-m", "rq.cli", "worker", "--url", REDIS_URL]
WORKER += ["--worker-class", "rq.SimpleWorker", "--logging_level", "WARNING"]

redis = Redis.from_url(REDIS_URL)


def submit(numbers: Iterable[int]) -> list[str]:
    """Put a job for each number on the queue; return their ids."""
    queue = Queue(connection=redis)
    return [queue.enqueue(square, number, retry=Retry(max=3)).id for number in numbers]


def result(job_id: str) -> Any:
    """Return what the job has returned, or None."""
    found = Job.fetch(job_id, connection=redis).latest_result()
    return found and found.return_value

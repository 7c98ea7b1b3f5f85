"""Huey on Redis: one thread, blocking reads.

Huey takes a job off the queue before it runs it and has no late acknowledgement: a job whose
worker dies is lost. It is shown all the same, as the least that such a job can cost.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from huey import RedisHuey

from bench.small_jobs.job import REDIS_URL, square

if TYPE_CHECKING:
    from collections.abc import Iterable

WORKER = [sys.executable, "-m", "huey.bin.huey_consumer", f"{__name__}.huey"]
WORKER += ["--workers", "1", "--quiet"]

huey = RedisHuey(url=REDIS_URL)
task = huey.task()(square)


def submit(numbers: Iterable[int]) -> list[str]:
    """Put a job for each number on the queue; return their ids."""
    return [task(number).id for number in numbers]


def result(job_id: str) -> Any:
    """Return what the job has returned, or None."""
    return huey.result(job_id, preserve=True)

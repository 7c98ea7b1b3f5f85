"""Celery on Redis: solo pool, late acknowledgement, results kept in Redis."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from celery import Celery

from bench.small_jobs.job import REDIS_URL, square

if TYPE_CHECKING:
    from collections.abc import Iterable

app = Celery(__name__, broker=REDIS_URL, backend=REDIS_URL)
app.conf.update(task_acks_late=True, task_reject_on_worker_lost=True)
task = app.task(name="square")(square)

WORKER = [sys.executable, "-m", "celery", "-A", __name__, "worker", "--pool=solo"]


def submit(numbers: Iterable[int]) -> list[str]:
    """Put a job for each number on the queue; return their ids."""
    return [task.delay(number).id for number in numbers]


def result(job_id: str) -> Any:
    """Return what the job has returned, or None."""
    found = app.AsyncResult(job_id)
    return found.result if found.successful() else None

"""Celery on SQS: solo pool, late acknowledgement, ten messages at a time, results in Redis."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from celery import Celery

from bench.small_jobs.job import QUEUE_URL, REDIS_URL, square

if TYPE_CHECKING:
    from collections.abc import Iterable

app = Celery(__name__, broker="sqs://", backend=REDIS_URL)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_default_queue="jobs",
    worker_enable_remote_control=False,
    broker_transport_options={
        "region": os.environ.get("AWS_DEFAULT_REGION", ""),
        "predefined_queues": {
            "jobs": {
                "url": QUEUE_URL,
                "access_key_id": os.environ.get("AWS_ACCESS_KEY_ID", ""),
                "secret_access_key": os.environ.get("AWS_SECRET_ACCESS_KEY", ""),
            }
        },
        "is_secure": False,
    },
)
task = app.task(name="square")(square)

WORKER = [sys.executable, "-m", "celery", "-A", __name__, "worker", "--pool=solo"]


def submit(numbers: Iterable[int]) -> list[str]:
    """Put a job for each number on the queue; return their ids."""
    return [task.delay(number).id for number in numbers]


def result(job_id: str) -> Any:
    """Return what the job has returned, or None."""
    found = app.AsyncResult(job_id)
    return found.result if found.successful() else None

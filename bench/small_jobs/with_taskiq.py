"""taskiq on Redis: a stream with acknowledgement, one process, results kept in Redis.

A job is acknowledged after its result is stored. One that its worker has dropped is claimed by
another after ten minutes, as is taskiq-redis's default.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

from taskiq.acks import AcknowledgeType
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

from bench.small_jobs.job import REDIS_URL, square

if TYPE_CHECKING:
    from collections.abc import Iterable

backend: RedisAsyncResultBackend[Any] = RedisAsyncResultBackend(REDIS_URL)
broker = RedisStreamBroker(REDIS_URL).with_result_backend(backend)
task = broker.task(task_name="square")(square)

WORKER = [sys.executable, "-m", "taskiq", "worker", f"{__name__}:broker", "--workers", "1"]
WORKER += ["--ack-type", AcknowledgeType.WHEN_SAVED.value]


def submit(numbers: Iterable[int]) -> list[str]:
    """Put a job for each number on the queue; return their ids."""
    return asyncio.run(_submit(numbers))


async def _submit(numbers: Iterable[int]) -> list[str]:
    await broker.startup()
    return [(await task.kiq(number)).task_id for number in numbers]


def result(job_id: str) -> Any:
    """Return what the job has returned, or None."""
    return asyncio.run(_result(job_id))


async def _result(job_id: str) -> Any:
    # A connection belongs to the event loop in which it was made.
    results: RedisAsyncResultBackend[Any] = RedisAsyncResultBackend(REDIS_URL)
    try:
        if not await results.is_result_ready(job_id):
            return None
        return (await results.get_result(job_id)).return_value
    finally:
        await results.shutdown()

"""Dramatiq on Redis: one thread, results kept in Redis; it acknowledges late of its own accord."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import ResultMissing, Results
from dramatiq.results.backends import RedisBackend

from bench.small_jobs.job import REDIS_URL, square

if TYPE_CHECKING:
    from collections.abc import Iterable

WORKER = [sys.executable, "-m", "dramatiq", __name__, "--processes", "1", "--threads", "1"]

results = RedisBackend(url=REDIS_URL)
broker = RedisBroker(url=REDIS_URL, middleware=None)
broker.add_middleware(Results(backend=results))
dramatiq.set_broker(broker)
actor = dramatiq.actor(square, store_results=True)
messages = {}


def submit(numbers: Iterable[int]) -> list[str]:
    """Put a job for each number on the queue; return their ids."""
    messages.update((str(number), actor.send(number)) for number in numbers)
    return list(messages)


def result(job_id: str) -> Any:
    """Return what the job has returned, or None."""
    try:
        return messages[job_id].get_result(backend=results)
    except ResultMissing:
        return None

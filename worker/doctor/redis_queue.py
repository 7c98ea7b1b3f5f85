"""A queue in Redis: the rights to it, tried on a queue of doctor's own, and its dead letters."""

from __future__ import annotations

import secrets
from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING

import redis
from redis.exceptions import RedisClusterException

from outlast.checkpoint.redis_client import connect
from outlast.worker.doctor.finding import ok
from outlast.worker.doctor.receives import dead_findings, receives_findings
from outlast.worker.queues import open_queue
from outlast.worker.queues.message import Message
from outlast.worker.queues.redis import RedisQueue
from outlast.worker.queues.redis_dead_letters import RedisDeadLetters
from outlast.worker.queues.redis_scripts import Keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.checkpoint.redis_client import RedisClient
    from outlast.worker.doctor.finding import Check, Finding
    from outlast.worker.settings import Settings


class RedisExamination:
    """Examines the queue `name` at `server`, a URL.

    What the server evicts or forgets is told of the store alone: a sweep sends a lost message anew.
    """

    def __init__(self, settings: Settings, server: str, name: str) -> None:
        self._settings = settings
        self._server = server
        self._name = name

    def checks(self) -> list[Check]:
        """Return the checks; none receives, hides or sends a job's message."""
        return [self._rights, partial(receives_findings, self._settings), self._dead]

    def _rights(self) -> Iterator[Finding]:
        open_queue(self._settings.queue)  # raises InvalidQueueUrl
        with closing(connect(self._server)) as client:
            try_queue(client, f"doctor-{secrets.token_hex(8)}")
        yield ok("queue.reach", "a trial message passed through a queue of its own")

    def _dead(self) -> Iterator[Finding]:
        with closing(RedisDeadLetters.from_url(self._server, self._name)) as letters:
            yield from dead_findings(letters.count())


def try_queue(client: RedisClient, name: str) -> None:
    """Do with a queue of this name, which nobody else uses, all that a worker does with one.

    Raises:
        QueueUnavailable: there is no server, or not the right to that.
    """
    queue = RedisQueue(client, name, max_receives=1)
    try:
        queue.receive(visibility_seconds=60, wait_seconds=0.1)  # long enough to block
        queue.send(Message(job_id="doctor"))
        if delivery := queue.receive(visibility_seconds=60, wait_seconds=0):
            queue.hide(delivery, 0)
            queue.receive(visibility_seconds=60, wait_seconds=0)  # makes it a dead letter
            queue.ack(delivery)
    finally:
        with suppress(redis.RedisError, RedisClusterException):
            client.delete(*Keys.of(name))

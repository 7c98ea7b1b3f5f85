"""Every queue behind one interface, so that one suite tests all of them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import boto3
from fakeredis import FakeRedis

from outlast.worker.queues.memory import MemoryQueue
from outlast.worker.queues.redis import RedisQueue
from outlast.worker.queues.redis_dead_letters import RedisDeadLetters
from outlast.worker.queues.sqlite import SqliteQueue
from outlast.worker.queues.sqs import SqsQueue

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import redis
    from mypy_boto3_sqs import SQSClient

    from outlast.worker.queues.contract import Queue

MAX_RECEIVES = 3
URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs"


@dataclass
class Clock:
    """A clock that only sleeping moves."""

    now: float = 1_000_000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass at once."""
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class Backend:
    """One queue under test.

    Attributes:
        queue: the queue, whose limit is MAX_RECEIVES.
        dead: returns the bodies of the dead letters.
        many: how many messages the backend handles in a few seconds.
        clock: what an embedded queue counts visibility by; None for a service.
        close: closes the queue.
    """

    queue: Queue
    dead: Callable[[], list[str]]
    many: int = 10_000
    clock: Clock | None = None
    close: Callable[[], None] = lambda: None


def memory(clock: Clock) -> Backend:
    """Open a queue in this process."""
    queue = MemoryQueue(clock=clock, sleep=clock.sleep, max_receives=MAX_RECEIVES)
    return Backend(queue, lambda: [body for body, _ in queue.dead], clock=clock)


def sqlite(path: Path, clock: Clock) -> Backend:
    """Open a queue in the file at `path`."""
    queue = SqliteQueue(path, clock=clock, sleep=clock.sleep, max_receives=MAX_RECEIVES)
    queue._durable.query("PRAGMA synchronous=OFF")  # no test cuts the power

    def dead() -> list[str]:
        with closing(sqlite3.connect(path)) as db:
            rows = db.execute("SELECT body FROM outlast_messages WHERE dead_reason != ''")
            return [body for (body,) in rows]

    return Backend(queue, dead, clock=clock, close=queue.close)


def redis_like(client: redis.Redis, *, many: int = 3000) -> Backend:
    """Open the queue `jobs` on the server of `client`, emptied."""
    client.flushall()
    queue = RedisQueue(client, "jobs", max_receives=MAX_RECEIVES)

    def dead() -> list[str]:
        with RedisDeadLetters(client, "jobs").look() as letters:
            return [letter.body for letter in letters]

    return Backend(queue, dead, many=many, close=queue.close)


def fakeredis() -> Backend:
    """Open a queue on a server in this process, whose scripts are slow."""
    return redis_like(FakeRedis(), many=500)


def sqs(url: str, ending: str) -> Backend:
    """Create a queue with its dead-letter queue on the service at `url`; FIFO by its `ending`."""
    client = boto3.client("sqs", endpoint_url=url)
    fifo = {"FifoQueue": "true"} if ending == ".fifo" else {}
    dead = client.create_queue(QueueName="dead" + ending, Attributes=fifo)["QueueUrl"]
    answer = client.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
    policy = {
        "deadLetterTargetArn": answer["Attributes"]["QueueArn"],
        "maxReceiveCount": MAX_RECEIVES,
    }
    attributes = {"RedrivePolicy": json.dumps(policy), **fifo}
    client.create_queue(QueueName="jobs" + ending, Attributes=attributes)
    return Backend(SqsQueue("sqs://jobs" + ending), lambda: _bodies(client, dead), many=200)


def _bodies(client: SQSClient, url: str) -> list[str]:
    answer = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    return [message["Body"] for message in answer.get("Messages", [])]

"""Real workers on a real Valkey and on SQS over HTTP, one of them killed every second."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import boto3
import primecountpy
import pytest

from worker.client import Client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Server

POSITIONS = range(200_000_000, 400_000_000, 10_000_000)
WORKERS = 3
SLICE_SECONDS = "0.5"
KILL_EVERY_SECONDS = 1.0
LIMIT_SECONDS = 240.0


class Fleet:
    """Worker processes, each replaced when it is killed."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._numbers = itertools.count()
        self._workers = [self._start() for _ in range(WORKERS)]
        self.kills = 0
        self._random = random.Random(self.kills)

    def kill_one(self) -> None:
        """Kill any worker, and start another."""
        victim = self._workers.pop(self._random.randrange(WORKERS))
        victim.kill()
        victim.wait()
        self.kills += 1
        self._workers.append(self._start())

    def stop(self) -> list[int]:
        """Ask all to stop; return their exit codes."""
        for worker in self._workers:
            worker.send_signal(signal.SIGTERM)
        try:
            return [worker.wait(timeout=30) for worker in self._workers]
        finally:
            for worker in self._workers:
                with suppress(ProcessLookupError):
                    worker.kill()
                worker.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        with (self._logs / f"worker-{next(self._numbers)}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "worker.cli", "worker", "--slice-seconds", SLICE_SECONDS],
                stdout=log,
                stderr=log,
            )


@pytest.fixture
def queues(
    valkey_server: Server, ministack: Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[str]]:
    """A queue and its dead-letter queue, set up for the workers; gives the URLs of both."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    monkeypatch.setenv("OUTLAST_STORE", f"{valkey_server.url}/7")
    monkeypatch.setenv("OUTLAST_QUEUE", "sqs://killed-workers")
    sqs = boto3.client("sqs", endpoint_url=ministack.url)
    dead = sqs.create_queue(QueueName="killed-workers-dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
    redrive = {"deadLetterTargetArn": arn["Attributes"]["QueueArn"], "maxReceiveCount": 10}
    url = sqs.create_queue(
        QueueName="killed-workers", Attributes={"RedrivePolicy": json.dumps(redrive)}
    )["QueueUrl"]
    yield [url, dead]
    sqs.close()


def test_every_job_ends_right_though_workers_die(queues: list[str], tmp_path: Path) -> None:
    """Losing this, a fleet of spot machines or time-outs would lose jobs, or answer wrongly."""
    client = Client()
    jobs = {n: client.submit("nth-prime", job_id=f"killed-{n}", position=n) for n in POSITIONS}
    fleet = Fleet(tmp_path)
    end = time.monotonic() + LIMIT_SECONDS
    try:
        while not _all_over(client, jobs.values()):
            assert time.monotonic() < end, _report(client, jobs.values(), tmp_path)
            time.sleep(KILL_EVERY_SECONDS)  # The subject of the test, not a wait for an event.
            fleet.kill_one()
        while _messages(queues[0]):
            assert time.monotonic() < end, "the queue does not run empty"
            time.sleep(0.1)  # SQS has no event for that.
    finally:
        codes = fleet.stop()
    assert codes == [0] * WORKERS, "SIGTERM is a clean end"
    assert fleet.kills > 3
    for position, job_id in jobs.items():
        expected = {"position": position, "prime": primecountpy.nth_prime(position)}
        assert client.result(job_id) == expected
    assert _messages(queues[1]) == 0, "nothing is a dead letter"


def _all_over(client: Client, jobs: Iterator[str]) -> bool:
    return all(client.status(job_id).status.is_final for job_id in jobs)


def _messages(url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    sqs = boto3.client("sqs", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    sqs.close()
    return sum(int(found[name]) for name in names)


def _report(client: Client, jobs: Iterator[str], logs: Path) -> str:
    records = [client.status(job_id) for job_id in jobs]
    lines = [f"{r.job_id} {r.status} slice {r.slice} {r.progress:.0%} {r.error}" for r in records]
    tails = [log.read_text()[-500:] for log in sorted(logs.iterdir())[-WORKERS:]]
    return "\n".join(["not over in time:", *lines, *tails])

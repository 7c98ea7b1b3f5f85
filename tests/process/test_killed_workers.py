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
import pytest

from outlast.worker.jobs.client import Client
from outlast.worker.queues.embedded import MAX_RECEIVES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Server

# Each takes a few slices. The primes are primecount's.
PRIMES = {
    200_000_000_000_000: 7_093_600_525_704_677,
    210_000_000_000_000: 7_458_833_302_326_829,
    220_000_000_000_000: 7_824_556_240_506_443,
    230_000_000_000_000: 8_190_747_051_345_797,
    240_000_000_000_000: 8_557_385_371_684_607,
    250_000_000_000_000: 8_924_452_511_009_719,
    260_000_000_000_000: 9_291_931_318_720_261,
    270_000_000_000_000: 9_659_805_902_533_429,
    280_000_000_000_000: 10_028_061_610_302_037,
    290_000_000_000_000: 10_396_684_799_472_617,
    300_000_000_000_000: 10_765_662_794_071_351,
    310_000_000_000_000: 11_134_983_728_148_503,
    320_000_000_000_000: 11_504_636_598_784_223,
    330_000_000_000_000: 11_874_610_979_662_637,
    340_000_000_000_000: 12_244_897_030_891_601,
    350_000_000_000_000: 12_615_485_679_364_501,
    360_000_000_000_000: 12_986_368_258_381_291,
    370_000_000_000_000: 13_357_536_524_360_459,
    380_000_000_000_000: 13_728_982_901_601_823,
    390_000_000_000_000: 14_100_699_917_897_767,
}
WORKERS = 3
SLICE_SECONDS = "0.5"
LIMIT_SECONDS = 240.0


class Fleet:
    """Worker processes, each replaced when it is killed."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._numbers = itertools.count()
        self._log_of: dict[int, Path] = {}
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
        """Ask all to stop, once they listen; return their exit codes.

        Before Python has installed a handler a signal ends a process, as it does any other.
        """
        end = time.monotonic() + 30
        while not all(map(self._has_spoken, self._workers)) and time.monotonic() < end:
            time.sleep(0.1)  # A log file has no event for that.
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
        path = self._logs / f"worker-{next(self._numbers)}.log"
        with path.open("wb") as log:
            worker = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "outlast.worker.cli",
                    "worker",
                    "--slice-seconds",
                    SLICE_SECONDS,
                ],
                stdout=log,
                stderr=log,
            )
        self._log_of[worker.pid] = path
        return worker

    def _has_spoken(self, worker: subprocess.Popen[bytes]) -> bool:
        """Whether the worker has told of a slice, or that it waits for messages."""
        return self._log_of[worker.pid].stat().st_size > 0


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
    redrive = {
        "deadLetterTargetArn": arn["Attributes"]["QueueArn"],
        "maxReceiveCount": MAX_RECEIVES,
    }
    url = sqs.create_queue(
        QueueName="killed-workers", Attributes={"RedrivePolicy": json.dumps(redrive)}
    )["QueueUrl"]
    yield [url, dead]
    sqs.close()


@pytest.mark.parametrize(
    ("number", "seconds_between_kills"),
    [(3, 3.0), pytest.param(20, 1.0, marks=pytest.mark.chaos)],
)
def test_every_job_ends_right_though_workers_die(
    queues: list[str], tmp_path: Path, number: int, seconds_between_kills: float
) -> None:
    """Losing this, a fleet of spot machines or time-outs would lose jobs, or answer wrongly."""
    client = Client()
    positions = list(PRIMES)[:number]
    jobs = {n: client.submit("nth-prime", job_id=f"killed-{n}", position=n) for n in positions}
    fleet = Fleet(tmp_path)
    end = time.monotonic() + LIMIT_SECONDS
    try:
        while not _all_over(client, jobs.values()):
            assert time.monotonic() < end, _report(client, jobs.values(), tmp_path)
            time.sleep(seconds_between_kills)  # The subject of the test, not a wait for an event.
            fleet.kill_one()
        while _messages(queues[0]):
            assert time.monotonic() < end, "the queue does not run empty"
            time.sleep(0.1)  # SQS has no event for that.
    finally:
        codes = fleet.stop()
    assert set(codes) == {0}, "SIGTERM is a clean end"
    assert fleet.kills
    for position, job_id in jobs.items():
        assert client.status(job_id).usage.slices_begun > 1, "it did not outlast a worker"
        expected = {"position": position, "prime": PRIMES[position]}
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
    lines = [
        f"{r.job_id} {r.status} in {r.slice_number} {r.progress:.0%} {r.error}" for r in records
    ]
    tails = [log.read_text()[-500:] for log in sorted(logs.iterdir())[-WORKERS:]]
    return "\n".join(["not over in time:", *lines, *tails])

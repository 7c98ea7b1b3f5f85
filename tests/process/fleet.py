"""Workers as real processes on a real queue, and everything that happens to processes."""

from __future__ import annotations

import itertools
import json
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

import boto3

from outlast.worker.queues.receives import MAX_RECEIVES

if TYPE_CHECKING:
    from pathlib import Path

    from outlast.worker.jobs.client import Client

FROZEN_SECONDS = 8.0  # longer than the shortest lease
MIXED = {"SIGKILL": 5, "SIGTERM": 2, "SIGSTOP": 2}


def make_queue(endpoint: str, name: str) -> list[str]:
    """Create a queue, FIFO by its name, and its dead-letter queue; return the URLs of both."""
    stem, dot, ending = name.partition(".")
    kind = {"FifoQueue": "true"} if ending == "fifo" else {}
    with closing(boto3.client("sqs", endpoint_url=endpoint)) as sqs:
        dead = sqs.create_queue(QueueName=f"{stem}-dead{dot}{ending}", Attributes=kind)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
        target = arn["Attributes"]["QueueArn"]
        policy = {"deadLetterTargetArn": target, "maxReceiveCount": MAX_RECEIVES}
        attributes = {"RedrivePolicy": json.dumps(policy)} | kind
        return [sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"], dead]


def messages_in(url: str) -> int:
    """Return how many messages a queue has, those that are hidden too."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    with closing(boto3.client("sqs", endpoint_url=os.environ["AWS_ENDPOINT_URL"])) as sqs:
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(attributes[name]) for name in names)


def await_no_parts(client: Client, *, limit_seconds: float) -> None:
    """Wait until no part of a job is left; those of a worker that died are removed by another."""
    end = time.monotonic() + limit_seconds
    while left := [*client.jobs.nodes.job_ids()]:
        assert time.monotonic() < end, left
        time.sleep(0.1)  # A store has no event for that.


class Steps:
    """Counts the steps that all kernels do, by the FIFO into which they write."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self.count = 0
        # Open for both, so that it neither waits for a writer nor ends with the last one.
        self._fifo = os.open(path, os.O_RDWR)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """Return the steps that were done."""
        os.write(self._fifo, b"!")
        self._thread.join()
        os.close(self._fifo)
        return self.count

    def _read(self) -> None:
        while b"!" not in (data := os.read(self._fifo, 65536)):
            self.count += len(data)
        self.count += len(data) - 1


class Fleet:
    """Worker processes, each replaced when it ends; `done` counts what was done to them."""

    def __init__(
        self, logs: Path, size: int, environment: dict[str, str] | None = None, seed: int = 1
    ) -> None:
        self._logs = logs
        self._environment = os.environ | (environment or {})
        self._numbers = itertools.count()
        self._log_of: dict[int, Path] = {}
        self._random = random.Random(seed)
        self._frozen: list[tuple[float, subprocess.Popen[bytes]]] = []
        self._leaving: list[subprocess.Popen[bytes]] = []
        self._workers = [self._start() for _ in range(size)]
        self.done: Counter[str] = Counter()

    def disturb(self, weights: dict[str, int] = MIXED) -> None:
        """Send one of these signals to any worker, and wake those that were frozen long enough."""
        self._wake(time.monotonic())
        self._replace_ended()
        worker = self._workers.pop(self._random.randrange(len(self._workers)))
        kind = self._random.choices([*weights], [*weights.values()])[0]
        self.done[kind] += 1
        worker.send_signal(signal.Signals[kind])
        if kind == "SIGSTOP":
            self._frozen.append((time.monotonic() + FROZEN_SECONDS, worker))
        else:
            worker.wait(timeout=60)
        self._workers.append(self._start())

    def fill_disk(self, seconds: float) -> None:
        """Let no worker make a file longer for a while."""
        self.done["disk full"] += 1
        for limit in (1, resource.RLIM_INFINITY):
            for worker in self._workers:
                if worker.poll() is None:
                    most = (limit, resource.RLIM_INFINITY)
                    resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, most)
            time.sleep(seconds)

    def stop(self) -> list[int]:
        """Ask all to stop, once they listen; return their exit codes.

        Before Python has installed a handler a signal ends a process, as it does any other.
        """
        self._wake(float("inf"))
        end = time.monotonic() + 30
        self._replace_ended()  # One may have started in an outage, just before.
        while not all(map(self._has_spoken, self._workers)) and time.monotonic() < end:
            time.sleep(0.1)  # A log file has no event for that.
        for worker in self._workers:
            worker.terminate()
        started = self._workers + self._leaving
        try:
            return [worker.wait(timeout=60) for worker in started]
        finally:
            for worker in started:
                worker.kill()
                worker.wait()

    def _wake(self, now: float) -> None:
        """Let those go on whose time has come; the oldest leave instead."""
        for due, worker in [entry for entry in self._frozen if entry[0] <= now]:
            self._frozen.remove((due, worker))
            worker.send_signal(signal.SIGCONT)
            self._workers.append(worker)
            self._leaving.append(self._workers.pop(0))
            self._leaving[-1].terminate()

    def _replace_ended(self) -> None:
        """Start others for those that found no store at their start, as a supervisor would."""
        for worker in [worker for worker in self._workers if worker.poll() is not None]:
            self._workers.remove(worker)
            self.done[f"exit {worker.returncode}"] += 1
            self._workers.append(self._start())

    def _start(self) -> subprocess.Popen[bytes]:
        path = self._logs / f"worker-{next(self._numbers)}.log"
        command = [sys.executable, "-m", "outlast.worker.cli", "worker"]
        with path.open("wb") as log:
            worker = subprocess.Popen(command, stdout=log, stderr=log, env=self._environment)
        self._log_of[worker.pid] = path
        return worker

    def _has_spoken(self, worker: subprocess.Popen[bytes]) -> bool:
        """Whether the worker has logged a slice, or that it waits for messages."""
        return self._log_of[worker.pid].stat().st_size > 0

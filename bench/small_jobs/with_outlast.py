"""Outlast, by the loop of `outlast worker`, on the store and queue that OUTLAST_… name.

The kernel yields nothing, so a job is one slice: claimed, computed, stored, acknowledged.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bench.small_jobs.job import square
from outlast.checkpoint.record import Record
from outlast.checkpoint.status import Status
from outlast.kernel import Kernel, Model, Resources
from outlast.worker.jobs.client import Client
from outlast.worker.loops.consumer import Consumer
from outlast.worker.queues.message import Message
from outlast.worker.slices.worker_process import make_process

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

WORKER = [sys.executable, "-m", __name__]

client = Client()


class Number(Model):
    """The number to square."""

    number: int


class Squared(Model):
    """What `square` returns."""

    begun: float
    square: int


class Square(Kernel[Number, Number, Squared]):
    """The square of a number, in one step."""

    name = "square"
    Params = State = Number
    Result = Squared

    def run(
        self,
        params: Number,
        state: Number | None,  # noqa: ARG002 - there is none
        resources: Resources,  # noqa: ARG002 - needs none
    ) -> Generator[Number, None, Squared]:
        """Return the result before the first safe point."""
        yield from ()
        return Squared.model_validate(square(params.number))

    def progress(self, params: Number, state: Number) -> float:  # noqa: ARG002 - all or nothing
        """Return that nothing is done."""
        return 0.0


def submit(numbers: Iterable[int]) -> list[str]:
    """Store a job for each number and put it on the queue; return their ids."""
    now = client.jobs.clock()
    ids = [f"job-{number}" for number in numbers]
    for number, job_id in enumerate(ids):
        params = {"number": number}
        client.jobs.submit(
            Record(job_id=job_id, kernel="square", params=params, created_at=now, updated_at=now)
        )
        client.queue.send(Message(job_id=job_id, slice=1))
    return ids


def result(job_id: str) -> Any:
    """Return what the job has returned, or None."""
    record = client.status(job_id)
    return record.result if record.status is Status.SUCCEEDED else None


if __name__ == "__main__":
    kernel = Square()
    process = make_process(client.settings, client.jobs, client.queue)
    Consumer(
        replace(process, kernels=lambda _: kernel),
        slice_seconds=client.settings.slice_seconds,
    ).run()

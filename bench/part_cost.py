"""What a part of a divided job costs: 2,000 parts of a kernel that does nothing, on real servers.

Four workers take one delivery each in turn, as fast as they can. A part is one slice.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from bench.counted import s3, valkey
from bench.table import print_table
from outlast.checkpoint.fleet import Fleet
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.record import Record
from outlast.checkpoint.status import Status
from outlast.worker.queues.message import Message
from outlast.worker.slices.deliver import deliver
from outlast.worker.slices.worker_process import WorkerProcess
from tests.fakes import HookedQueue
from tests.kernels import Dividing, expected

if TYPE_CHECKING:
    from bench.counted import Connect, Count

PARTS = 2_000
PARALLEL = 100
WORKERS = 4
JOB = "many"


def main() -> None:
    """Print the requests a part, by kind, and what is left in the store."""
    rows = []
    for name, server in (("S3", s3), ("Redis", valkey)):
        with server() as (connect, count):
            rows.append((name, *_run(connect, count)))
    title = f"A job of some {PARTS:,} parts that do nothing: requests a part"
    print_table(title, ("", "parts", "store", "queue", "ms", "left in the store"), rows)


def _run(connect: Connect, count: Count) -> tuple[str, ...]:
    queue, asked = HookedQueue(), Counter[str]()
    queue.before = lambda operation: asked.update([operation])
    fleet = [
        WorkerProcess(
            jobs=JobStore(connect()), queue=queue, worker=f"w{n}", kernels=lambda _: Dividing()
        )
        for n in range(WORKERS)
    ]
    jobs, now = fleet[0].jobs, time.time()
    base = {"job_id": JOB, "kernel": "dividing", "created_at": now, "updated_at": now}
    jobs.submit(Record(**base, params={"steps": PARTS}, fleet=Fleet.of(PARALLEL, part_seconds=1.0)))
    before, begun = count(), time.perf_counter()
    queue.send(Message(job_id=JOB, slice=1))
    while not _work(fleet, queue):
        pass
    seconds, made = time.perf_counter() - begun, count() - before
    job = jobs.load(JOB).record
    if job.status is not Status.SUCCEEDED or job.result != expected(PARTS):
        raise SystemExit(f"the job went wrong: {job.error or job.result}")
    parts = job.fleet.parts if job.fleet else 0
    left = ", ".join(connect().keys(""))
    return (
        f"{parts:,}",
        _each(made, parts),
        _each(asked, parts),
        f"{1000 * seconds / parts:.1f}",
        left,
    )


def _work(fleet: list[WorkerProcess], queue: HookedQueue) -> bool:
    """Let each worker handle a delivery; return whether there was none."""
    for process in fleet:
        delivery = queue.receive(visibility_seconds=30.0, wait_seconds=0.0)
        if delivery is None:
            return True
        if deliver(process, delivery).ack:
            queue.ack(delivery)
    return False


def _each(made: Counter[str], parts: int) -> str:
    return ", ".join(f"{number / parts:.2f} {kind}" for kind, number in sorted(made.items()))


if __name__ == "__main__":
    main()

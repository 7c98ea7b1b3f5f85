"""What sweeps cost a store with many finished jobs, some open ones and no work.

The finished jobs are stored as versions before the index of open jobs did: the first sweep reads
them all. The servers are those of the tests.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench.counted import measured, s3, valkey
from bench.table import print_table
from outlast.checkpoint.codec import encode
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.record import Record
from outlast.worker.jobs.sweep import sweep
from outlast.worker.loops.consumer import Consumer
from outlast.worker.queues.memory import MemoryQueue
from outlast.worker.slices.worker_process import WorkerProcess
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.counted import Connect, Count
    from outlast.checkpoint.register import Register

FINISHED, OPEN = 10_000, 100
FOREIGN_KEYS = 1_000_000
WORKERS, SWEEPS = 4, 10
EVERY_SECONDS = 60.0


def main() -> None:
    """Print the requests of a first sweep, of a later one, and of a fleet for ten sweeps."""
    rows = []
    for name, server in (("S3", s3), ("Redis", valkey)):
        with server() as (connect, count):
            rows += [(f"{name}: {what}", *cells) for what, cells in _sweeps(connect, count)]
    with valkey(FOREIGN_KEYS) as (connect, count):
        cells = list(_sweeps(connect, count))[1][1]
        rows.append((f"Redis with {FOREIGN_KEYS:,} keys of others: a later one", *cells))
    title = f"Sweeps of a store with {FINISHED:,} finished and {OPEN} open jobs"
    print_table(title, ("", "requests", "s"), rows)


def _sweeps(connect: Connect, count: Count) -> Iterator[tuple[str, tuple[str, str]]]:
    clock = FakeClock(time.time())
    _fill(connect(), clock)
    jobs, queue = JobStore(connect(), clock=clock), MemoryQueue()
    for what in ("the first sweep", "a later one"):
        clock.sleep(EVERY_SECONDS)
        with measured(count) as cells:
            sweep(jobs, queue, after_seconds=EVERY_SECONDS)
        yield what, tuple(cells)
    with measured(count) as cells:
        _be_idle([connect() for _ in range(WORKERS)], clock.now)
    yield f"{WORKERS} idle workers, {SWEEPS} sweeps", tuple(cells)


def _fill(register: Register, clock: FakeClock) -> None:
    """Store the jobs; the open ones are paused, so that no sweep has to wake one."""
    base = {"kernel": "k", "params": {}, "created_at": clock.now, "updated_at": clock.now}
    for number in range(FINISHED):
        record = Record(job_id=f"over-{number}", **base).succeeded({"answer": number})
        register.put(f"jobs/{record.job_id}", encode(record), expected=None)
    for number in range(OPEN):
        JobStore(register, clock=clock).submit(Record(job_id=f"open-{number}", **base).paused())


def _be_idle(registers: list[Register], now: float) -> None:
    """Let as many workers wait for messages for ten sweeps; they began at different times."""
    fleet = []
    for number, register in enumerate(registers):
        clock = FakeClock(now + number * EVERY_SECONDS / WORKERS)
        process = WorkerProcess(
            jobs=JobStore(register, clock=clock),
            queue=MemoryQueue(clock=clock, sleep=clock.sleep),
            worker=f"w{number}",
            clock=clock,
            sleep=clock.sleep,
        )
        consumer = Consumer(process, slice_seconds=60.0, sweep_seconds=EVERY_SECONDS)
        fleet.append((clock, consumer))
    for second in range(int((SWEEPS + 1) * EVERY_SECONDS)):
        for clock, consumer in fleet:
            consumer.run(done=lambda clock=clock, second=second: clock.now >= now + second)


if __name__ == "__main__":
    main()

"""How soon a checkpoint is durable once a slice has to stop: at its deadline, and on SIGTERM.

The deadline is known beforehand, so a slice stops before the step that would not fit, and its
checkpoint is due before the end of its budget. SIGTERM comes unannounced: the step that runs has
to reach its safe point first.
"""

from __future__ import annotations

import os
import signal
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.table import print_table
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.record import Record
from outlast.checkpoint.registers.sqlite import SqliteRegister
from outlast.kernel.registry import load
from outlast.worker.queues.message import Message
from outlast.worker.queues.sqlite import SqliteQueue
from outlast.worker.slices.deliver import deliver
from outlast.worker.slices.worker_process import WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Callable

SLICES = 200
SLICE_SECONDS = 0.25
WARM_SECONDS = 15.0
POSITION = 10**18


class TimedRegister(SqliteRegister):
    """Remembers when each value had become durable."""

    def put(self, key: str, value: bytes, *, expected: str | None) -> str:
        """Write as usual, then look at the clock."""
        version = super().put(key, value, expected=expected)
        self.durable_at.append(time.perf_counter())
        return version

    durable_at: list[float]


def main() -> None:
    """Print both latencies."""
    rows = [
        _row("end of the budget", at_deadline),
        _row("SIGTERM", on_sigterm),
    ]
    print_table(
        f"From the reason to stop to the durable checkpoint: {SLICES} slices of {SLICE_SECONDS} s "
        f"of nth-prime position={POSITION:,}, SQLite (negative: durable before it)",
        ("reason", "median ms", "p99 ms", "worst ms"),
        rows,
    )


def at_deadline(run: Callable[[float | None], None], _register: TimedRegister) -> float:
    """Run one slice to its deadline; return when that was."""
    end = time.perf_counter() + SLICE_SECONDS
    run(SLICE_SECONDS)
    return end


def on_sigterm(run: Callable[[float | None], None], _register: TimedRegister) -> float:
    """Run one slice until a SIGTERM from outside; return when that was."""
    sent = []

    def send() -> None:
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGTERM)

    timer = threading.Timer(SLICE_SECONDS, send)
    timer.start()
    run(None)
    timer.join()
    return sent[0]


def _row(
    name: str, stop: Callable[[Callable[[float | None], None], TimedRegister], float]
) -> tuple[str, ...]:
    with tempfile.TemporaryDirectory() as folder:
        latencies = sorted(_latencies(Path(folder) / "outlast.db", stop))
    p99 = latencies[int(len(latencies) * 0.99) - 1]
    return (
        name,
        *(f"{x * 1e3:.1f}" for x in (statistics.median(latencies), p99, latencies[-1])),
    )


def _latencies(
    path: Path, stop: Callable[[Callable[[float | None], None], TimedRegister], float]
) -> list[float]:
    register = TimedRegister(path)
    register.durable_at = []
    jobs, queue = JobStore(register), SqliteQueue(path)
    process = WorkerProcess(jobs=jobs, queue=queue, worker="bench")
    kernel = load("nth-prime")
    kernel.prepare(kernel.Params(position=POSITION))

    def run(seconds: float | None) -> None:
        delivery = queue.receive(visibility_seconds=10, wait_seconds=0)
        assert delivery is not None
        assert deliver(process, delivery, seconds=seconds).ack
        queue.ack(delivery)

    latencies = []
    params = {"position": POSITION}
    jobs.submit(
        Record(job_id="job", kernel="nth-prime", params=params, created_at=0.0, updated_at=0.0)
    )
    queue.send(Message(job_id="job", slice=1))
    run(WARM_SECONDS)  # Builds the tables, which this process then keeps.
    for _ in range(SLICES):
        stopped = stop(run, register)
        # The last write of a slice announces the next one; the one before it is the checkpoint.
        latencies.append(register.durable_at[-2] - stopped)
    return latencies


if __name__ == "__main__":
    main()

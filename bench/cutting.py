"""What cutting a job into slices costs: the CPU time of the cut job over that of the whole one."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from bench.table import print_table
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.record import Record
from outlast.checkpoint.registers.sqlite import SqliteRegister
from outlast.checkpoint.status import Status
from outlast.kernel.registry import load
from outlast.worker.queues.message import Message
from outlast.worker.queues.sqlite import SqliteQueue
from outlast.worker.slices.deliver import deliver
from outlast.worker.slices.worker_process import WorkerProcess

POSITION = 10**16
SLICE_SECONDS = 1.0
ROUNDS = 3


def main() -> None:
    """Print the CPU time of both, in turn, and the ratio pair by pair."""
    params = {"position": POSITION}
    rounds = [
        (cpu_seconds("nth-prime", params, None), cpu_seconds("nth-prime", params, SLICE_SECONDS))
        for _ in range(ROUNDS)
    ]
    whole = statistics.median(w[0] for w, _ in rounds)
    cut = statistics.median(c[0] for _, c in rounds)
    ratio = statistics.median(c[0] / w[0] for w, c in rounds)
    print_table(
        f"nth-prime position={POSITION:,} whole and in slices of {SLICE_SECONDS:g} s: "
        f"median of {ROUNDS} pairs",
        ("", "slices", "CPU s", "ratio"),
        [
            ("whole", "1", f"{whole:.2f}", "1"),
            ("cut", str(rounds[0][1][1]), f"{cut:.2f}", f"{ratio:.3f}"),
        ],
    )


def cpu_seconds(
    name: str, params: dict[str, int], slice_seconds: float | None
) -> tuple[float, int]:
    """Return the CPU time of the whole job and the number of its slices."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "outlast.db"
        jobs, queue = JobStore(SqliteRegister(path)), SqliteQueue(path)
        process = WorkerProcess(jobs=jobs, queue=queue, worker="bench")
        kernel = load(name)
        kernel.prepare(kernel.Params(**params))
        jobs.submit(
            Record(job_id="job", kernel=name, params=params, created_at=0.0, updated_at=0.0)
        )
        queue.send(Message(job_id="job", slice=1))
        begun = time.process_time()
        while delivery := queue.receive(visibility_seconds=10, wait_seconds=0):
            if deliver(process, delivery, seconds=slice_seconds).ack:
                queue.ack(delivery)
        spent = time.process_time() - begun
        record = jobs.load("job").record
        assert record.status is Status.SUCCEEDED, record.error
        return spent, record.usage.slices_begun


if __name__ == "__main__":
    main()

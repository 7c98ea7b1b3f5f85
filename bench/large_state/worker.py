"""A worker that runs one slice, is stopped by SIGTERM, and prints what the slice cost as JSON."""

from __future__ import annotations

import json
import logging
import os
import signal
import statistics
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.large_state.line import Line
from outlast.checkpoint.blobs import default_blobs, open_blobs
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.registers import open_register
from outlast.kernel import registry
from outlast.worker.queues.memory import MemoryQueue
from outlast.worker.queues.message import Message
from outlast.worker.slices.deliver import deliver
from outlast.worker.slices.timing import Timing
from outlast.worker.slices.worker_process import WorkerProcess

if TYPE_CHECKING:
    from outlast.worker.slices.worker_process import AnyKernel, RunningJob

JOB = "job"


class Diary(logging.Handler):
    """What happens in a slice, with the time of a monotonic clock.

    Attributes:
        steps: of each step, when it ended, and all time in the kernel by then.
        saves: of each save but the last, when it began and when it was done.
        stopped_at, ended_at: when SIGTERM came, and when the last save was done.
    """

    def __init__(self, *, stop_after_seconds: float) -> None:
        """Send SIGTERM so long after the first step."""
        super().__init__()
        self.steps: list[tuple[float, float]] = []
        self.saves: list[tuple[float, float]] = []
        self.stopped_at = self.ended_at = 0.0
        self._timer = threading.Timer(stop_after_seconds, self._stop)

    def watch(self, job: RunningJob) -> None:
        """Note a step."""
        if not self.steps:
            self._timer.start()
        self.steps.append((time.monotonic(), job.work.seconds))

    def emit(self, record: logging.LogRecord) -> None:
        """Note what the worker tells."""
        now, told = time.monotonic(), vars(record)
        event = told.get("event")
        if event == "checkpoint_saved":
            self.saves.append((now - told["seconds"], now))
        elif event == "slice_ended":
            self.ended_at = now

    def _stop(self) -> None:
        self.stopped_at = time.monotonic()
        os.kill(os.getpid(), signal.SIGTERM)

    def costs(self) -> dict[str, float]:
        """Return what saves cost while the kernel goes on; times in seconds, the rest in shares."""
        (begin, before), (end, after) = self.steps[0], self.steps[-1]
        saves = max(len(self.saves), 1)
        return {
            "saves": len(self.saves),
            "step": statistics.median(b - a for (_, a), (_, b) in pairwise(self.steps)),
            "save": sum(done - begun for begun, done in self.saves) / saves,
            "still": (end - begin - (after - before)) / saves,
            "kept": (after - before) / (end - begin),
            "slower": self._slower(),
            "stop": self.ended_at - self.stopped_at,
        }

    def _slower(self) -> float:
        """Return how much longer a step takes while arrays are sent than else."""
        took: dict[bool, list[float]] = {True: [], False: []}
        for (_, before), (end, after) in pairwise(self.steps):
            begin = end - (after - before)
            sends = any(begun < end and begin < done for begun, done in self.saves)
            took[sends].append(after - before)
        return statistics.mean(took[True]) / statistics.mean(took[False]) - 1 if took[True] else 0.0


def main(
    url: str, seconds: float, interval: float, bytes_a_second: float, prepare: float = 0
) -> None:
    """Run the next slice of the job for so many seconds, with a save in each interval.

    prepare: not 0: the kernel is prepared before, so that what it loads is neither the slice's time
    nor its memory.
    """
    place = os.environ.get("OUTLAST_BLOBS") or default_blobs(url)
    assert place is not None
    line, diary = Line(open_blobs(place), bytes_a_second), Diary(stop_after_seconds=seconds)
    logging.getLogger("outlast").addHandler(diary)
    logging.getLogger("outlast").setLevel(logging.DEBUG)
    queue = MemoryQueue()
    process = WorkerProcess(
        jobs=JobStore(open_register(url)),
        queue=queue,
        worker="bench",
        blobs=line,
        kernels=_kernel,
        timing=Timing(checkpoint_seconds=interval),
        watch=diary.watch,
    )
    queue.send(Message(job_id=JOB))
    delivery = queue.receive(visibility_seconds=600, wait_seconds=0)
    assert delivery is not None
    record, started = process.jobs.load(JOB).record, time.monotonic()
    if prepare:
        kernel = _kernel(record.kernel)
        kernel.prepare(kernel.Params.model_validate(record.params))
    usage, idle = record.usage, _memory("VmRSS")
    begun = time.monotonic()
    deliver(process, delivery)
    ended = process.jobs.load(JOB).record
    computed = ended.usage.compute_seconds - usage.compute_seconds
    first_end, first_seconds = diary.steps[0]
    costs: dict[str, Any] = diary.costs() | {
        "preparing": begun - started,
        "opening": first_end - (first_seconds - usage.compute_seconds) - begun,
        "lost": 1 - computed / (diary.ended_at - begun),
        "sent_bytes": line.sent_bytes,
        "all_saves": ended.usage.saves - usage.saves,
        "peak_bytes": _memory("VmHWM") - idle,
    }
    print(json.dumps(costs))


def _kernel(name: str) -> AnyKernel:
    if name != "drifting":
        return registry.load(name)
    from bench.large_state.kernel import Drifting  # here, as a worker without a job has no numpy

    return Drifting()


def _memory(name: str) -> int:
    """Return a number of bytes that the system tells of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (kilobytes,) = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return 1024 * int(kilobytes)


if __name__ == "__main__":
    main(sys.argv[1], *map(float, sys.argv[2:]))

"""What a look through all jobs of a store costs, with their states and without.

Each way runs in a process of its own on the same SQLite file, twice: the first time brings the
file into the system's cache. The states cannot be deflated.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time

from bench.table import print_table
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.record import Record
from outlast.checkpoint.record_parts import Checkpoint
from outlast.checkpoint.registers import open_register

SIZES = ((10_000, 10_000), (10_000, 100_000), (2_000, 1_000_000))  # jobs, bytes of each state


def main() -> None:
    """Print CPU time and peak memory of both ways, for each size."""
    head = ("jobs, bytes a state", "whole, CPU s", "MB", "heads, CPU s", "MB", "ratio")
    print_table("Looking through all jobs of a SQLite file", head, map(_row, SIZES))


def _row(size: tuple[int, int]) -> tuple[str, ...]:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/outlast.db"
        _fill(JobStore(open_register(url)), *size)
        (whole, whole_mb), (heads, heads_mb) = (_measured(url, way) for way in ("whole", "heads"))
    cells = (f"{whole:.2f}", f"{whole_mb:.0f}", f"{heads:.2f}", f"{heads_mb:.0f}")
    return (f"{size[0]:,}, {size[1]:,}", *cells, f"{whole / heads:.1f}")


def _fill(jobs: JobStore, count: int, state_bytes: int) -> None:
    for number in range(count):
        state = os.urandom(state_bytes)
        checkpoint = Checkpoint.of(state, version=1, slice=1, progress=0.5, saved_at=1.0)
        record = Record(job_id=f"job-{number}", kernel="k", params={}, created_at=1, updated_at=1)
        jobs.submit(record.saved(checkpoint))


def _measured(url: str, way: str) -> tuple[float, float]:
    """Return CPU seconds and peak megabytes of the second time."""
    words = [sys.executable, "-m", "bench.listing", url, way]
    for _ in range(2):
        done = subprocess.run(words, check=True, capture_output=True, text=True)
    cpu, peak = map(float, done.stdout.split())
    return cpu, peak


def read(url: str, way: str) -> None:
    """Read all jobs in this process; print CPU seconds and peak megabytes."""
    jobs = JobStore(open_register(url))
    begun = time.process_time()
    for _ in jobs.heads() if way == "heads" else map(jobs.load, jobs.ids()):
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(time.process_time() - begun, peak)


if __name__ == "__main__":
    read(*sys.argv[1:])

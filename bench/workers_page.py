"""What the dashboard's page of the workers takes where all jobs of a SQLite file are open.

Each figure is CPU time of this process, beside that of reading the head of every job once.
"""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections import deque
from statistics import median
from typing import TYPE_CHECKING

from bench.table import print_table
from outlast.checkpoint.record import Record
from outlast.checkpoint.record_parts import Checkpoint
from outlast.worker.dashboard import workers
from outlast.worker.jobs.client import Client

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = (1_000, 10_000)
STATE_BYTES = 10_000
ROUNDS = 5


def main() -> None:
    """Print the time of the first look and of the later ones, for each number of jobs."""
    # One look is a whole round, and each asks the store.
    workers.LOOK_SECONDS, workers.FRESH_SECONDS = math.inf, 0.0
    head = ("open jobs", "heads, CPU s", "first look", "ratio", "later looks", "ratio")
    print_table("Looking at all workers of a SQLite file", head, map(_row, SIZES))


def _row(count: int) -> tuple[str, ...]:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/outlast.db"
        client = Client(url, url)
        for number in range(count):
            state = os.urandom(STATE_BYTES)
            checkpoint = Checkpoint.of(state, version=1, slice=1, progress=0.5, saved_at=1.0)
            job = Record(job_id=f"job-{number}", kernel="k", params={}, created_at=1, updated_at=1)
            client.jobs.submit(job.saved(checkpoint))
        heads = median(_cpu(lambda: deque(client.jobs.heads(), 0)) for _ in range(ROUNDS))
        looks = [workers.Workers(client) for _ in range(ROUNDS)]
        first = median(_cpu(each.look) for each in looks)
        later = median(_cpu(looks[0].look) for _ in range(ROUNDS))
    cells = (f"{first:.2f}", f"{first / heads:.1f}", f"{later:.2f}", f"{later / heads:.1f}")
    return (f"{count:,}", f"{heads:.2f}", *cells)


def _cpu(act: Callable[[], object]) -> float:
    begun = time.process_time()
    act()
    return time.process_time() - begun


if __name__ == "__main__":
    main()

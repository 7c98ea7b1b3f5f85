"""What one slice costs on the embedded store, beside a loop written by hand.

The hand-written loop has the same durability: every state is synced to the disk before the
message that leads on from it is, the write is a compare-and-set, and the state has a checksum
that is verified when it is read. It has no leases, no generations, no accounting and no guards.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from bench.kernels import CountTo
from bench.table import print_table
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.record import Record
from outlast.checkpoint.registers.sqlite import SqliteRegister
from outlast.worker.queues.message import Message
from outlast.worker.queues.sqlite import SqliteQueue
from outlast.worker.slices.deadline import Deadline
from outlast.worker.slices.deliver import deliver
from outlast.worker.slices.worker_process import WorkerProcess

SLICES = 1000
ROUNDS = 5


def main() -> None:
    """Print the cost of a slice of each, and the ratio."""
    ours, theirs = [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            theirs.append(hand_written(Path(folder) / "hand.db"))
            ours.append(outlast(Path(folder) / "outlast.db"))
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    print_table(
        f"One slice on SQLite: median of {ROUNDS} rounds of {SLICES} slices",
        ("", "ms a slice", "ratio"),
        [
            ("hand-written loop", f"{statistics.median(theirs) * 1e3:.3f}", "1"),
            ("Outlast", f"{statistics.median(ours) * 1e3:.3f}", f"{ratio:.2f}"),
        ],
    )


def outlast(path: Path) -> float:
    """Return the seconds that one slice of one step takes."""
    jobs = JobStore(SqliteRegister(path))
    queue = SqliteQueue(path)
    kernel = CountTo()
    process = WorkerProcess(jobs=jobs, queue=queue, worker="bench", kernels=lambda _: kernel)
    params = {"steps": SLICES + 1}
    jobs.submit(
        Record(job_id="job", kernel=kernel.name, params=params, created_at=0.0, updated_at=0.0)
    )
    queue.send(Message(job_id="job", slice=1))
    begun = time.perf_counter()
    with Deadline() as stop:  # as a worker has one, for all its messages
        for _ in range(SLICES):
            delivery = queue.receive(visibility_seconds=10, wait_seconds=0)
            assert delivery is not None
            handled = deliver(process, delivery, seconds=0, stop=stop)
            if handled.ack and not handled.is_acked:
                queue.ack(delivery)
    seconds = time.perf_counter() - begun
    assert jobs.load("job").record.checkpoints[0].progress == SLICES / (SLICES + 1)
    return seconds / SLICES


def hand_written(path: Path) -> float:
    """Return the seconds that one turn of the loop takes."""
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript("""
        PRAGMA journal_mode=WAL;
        PRAGMA synchronous=FULL;
        CREATE TABLE jobs (id TEXT PRIMARY KEY, version INTEGER, state BLOB, digest BLOB);
        CREATE TABLE queue (id INTEGER PRIMARY KEY, job TEXT, visible_at REAL);
    """)
    first = json.dumps({"count": 0}).encode()
    db.execute("INSERT INTO jobs VALUES ('job', 1, ?, ?)", (first, _digest(first)))
    db.execute("INSERT INTO queue (job, visible_at) VALUES ('job', 0)")
    begun = time.perf_counter()
    for _ in range(SLICES):
        _turn(db)
    seconds = time.perf_counter() - begun
    db.close()
    return seconds / SLICES


def _turn(db: sqlite3.Connection) -> None:
    now = time.time()
    message, job = db.execute(
        "UPDATE queue SET visible_at = ? WHERE id = "
        "(SELECT id FROM queue WHERE visible_at <= ? ORDER BY id LIMIT 1) RETURNING id, job",
        (now + 30, now),
    ).fetchone()
    version, state, digest = db.execute(
        "SELECT version, state, digest FROM jobs WHERE id = ?", (job,)
    ).fetchone()
    assert _digest(state) == digest
    state = json.dumps({"count": json.loads(state)["count"] + 1}).encode()
    saved = db.execute(
        "UPDATE jobs SET version = version + 1, state = ?, digest = ? WHERE id = ? AND version = ?",
        (state, _digest(state), job, version),
    )
    assert saved.rowcount == 1
    db.execute("INSERT INTO queue (job, visible_at) VALUES (?, ?)", (job, now))
    db.execute("DELETE FROM queue WHERE id = ?", (message,))


def _digest(state: bytes) -> bytes:
    return hashlib.blake2b(state, digest_size=16).digest()


if __name__ == "__main__":
    main()

"""The SQLite queue: it outlives its process and shares a file with others."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from outlast.worker.queues.message import Message
from outlast.worker.queues.sqlite import SqliteQueue
from tests.fakes import START, FakeClock
from tests.systems import on_linux
from tests.worker.queues.test_conformance import look, take

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FULL, NORMAL = 2, 1
PROCESSES = 3
TAKE = """
import sys
from pathlib import Path
from outlast.worker.queues.sqlite import SqliteQueue
queue = SqliteQueue(Path(sys.argv[1]))
delivery = queue.receive(visibility_seconds=3600, wait_seconds=0)
queue.keep(delivery, 3600)
if sys.argv[2:]:
    queue.hide(delivery, 3600)
"""
OLD_TABLE = """
CREATE TABLE outlast_messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    body TEXT NOT NULL,
    visible_at REAL NOT NULL,
    receives INTEGER NOT NULL DEFAULT 0,
    dead_reason TEXT
);
INSERT INTO outlast_messages (body, visible_at) VALUES ('{"job_id": "a"}', 0);
"""
DRAIN = """
import sys
from pathlib import Path
from outlast.worker.queues.sqlite import SqliteQueue
queue = SqliteQueue(Path(sys.argv[1]))
while delivery := queue.receive(visibility_seconds=3600, wait_seconds=0):
    print(delivery.body)
print(flush=True)
sys.stdin.read()  # It lives on: what it has is not to be free.
queue.close()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the queue's file is."""
    return tmp_path / "outlast.db"


@pytest.fixture
def queue(path: Path) -> Iterator[SqliteQueue]:
    """A queue as a worker opens it."""
    with closing(SqliteQueue(path, max_receives=1)) as queue:
        yield queue


def test_a_message_hidden_by_a_clock_that_was_wrong_comes_back(path: Path) -> None:
    """A machine whose clock was a year ahead at its start would sleep on its jobs for a year."""
    clock = FakeClock()
    with closing(SqliteQueue(path, clock=clock, sleep=clock.sleep)) as queue:
        queue.send(Message(job_id="a", slice=1))
        clock.now += 365 * 86_400.0
        assert take(queue)
        clock.now = START
        assert look(queue) is None  # by which it is noticed
        assert take(queue)


def test_processes_never_hold_the_same_message(queue: SqliteQueue, path: Path) -> None:
    """Two workers on one machine would spend their time on the same slice."""
    expected = {Message(job_id=f"job-{n}", slice=1).body() for n in range(300)}
    for body in expected:
        queue.send(Message.parse(body))
    command = [sys.executable, "-c", DRAIN, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    workers = [subprocess.Popen(command, **pipes, text=True) for _ in range(PROCESSES)]
    received = [line.strip() for worker in workers for line in iter(worker.stdout.readline, "\n")]
    for worker in workers:
        worker.communicate()
    assert [worker.returncode for worker in workers] == [0] * PROCESSES
    assert sorted(received) == sorted(expected)


def test_messages_and_their_time_outs_outlive_the_process(path: Path) -> None:
    """Jobs would be lost, or taken twice, when the machine restarts."""
    with closing(SqliteQueue(path, clock=lambda: 1000.0)) as before:
        before.send(Message(job_id="a", slice=1))
        before.send(Message(job_id="b", slice=1))
        first = take(before)
    with closing(SqliteQueue(path, clock=lambda: 1000.0)) as after:
        assert take(after).body != first.body
        assert look(after) is None


@on_linux
def test_what_a_process_had_that_is_gone_is_free_at_once(path: Path, queue: SqliteQueue) -> None:
    """A job on a laptop would wait half a minute for a worker that was killed."""
    queue.send(Message(job_id="a", slice=1))
    subprocess.run([sys.executable, "-c", TAKE, path], check=True)
    with closing(SqliteQueue(path)) as other:
        assert take(other)
        other._freed_at = 0.0
        assert look(other) is None, "this process lives"


def test_what_was_handed_back_waits_though_the_process_is_gone(
    path: Path, queue: SqliteQueue
) -> None:
    """A job that waits after an error would be received by each worker that starts meanwhile."""
    queue.send(Message(job_id="a", slice=1))
    subprocess.run([sys.executable, "-c", TAKE, path, "hide"], check=True)
    with closing(SqliteQueue(path)) as other:
        assert look(other) is None
        assert look(other) is None


def test_a_file_from_before_there_were_names_is_read(path: Path) -> None:
    """The messages of a laptop would be lost with an upgrade."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript(OLD_TABLE)
    for _ in range(2):
        with closing(SqliteQueue(path)) as queue:
            queue.hide(take(queue), 0)


def test_only_a_send_waits_for_the_disk(queue: SqliteQueue) -> None:
    """A power cut would lose the job's next slice; or each slice would cost four syncs, not one."""
    assert queue._durable.query("PRAGMA synchronous") == [(FULL,)]
    assert queue._quick.query("PRAGMA synchronous") == [(NORMAL,)]


def test_a_receipt_never_fits_a_later_message(queue: SqliteQueue) -> None:
    """The late ack of a slow worker would delete another job's message."""
    queue.send(Message(job_id="a", slice=1))
    stale = take(queue)
    queue.ack(stale)
    queue.send(Message(job_id="b", slice=1))
    current = take(queue)
    queue.ack(stale)
    assert queue._quick.query("SELECT body FROM outlast_messages") == [(current.body,)]


def test_a_dead_letter_says_why(queue: SqliteQueue, path: Path) -> None:
    """A person would find a job at a standstill and nothing to explain it."""
    queue.send(Message(job_id="a", slice=1))
    queue.hide(take(queue), 0)
    assert look(queue) is None
    with closing(sqlite3.connect(path)) as db:
        reasons = db.execute("SELECT dead_reason FROM outlast_messages").fetchall()
    assert reasons == [("received 1 times and never acknowledged",)]

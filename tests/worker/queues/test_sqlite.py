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
from tests.worker.queues.test_conformance import look, take

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FULL, NORMAL = 2, 1
PROCESSES = 3
DRAIN = """
import sys
from pathlib import Path
from outlast.worker.queues.sqlite import SqliteQueue
queue = SqliteQueue(Path(sys.argv[1]))
while delivery := queue.receive(visibility_seconds=3600, wait_seconds=0):
    print(delivery.body)
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
    workers = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(PROCESSES)
    ]
    received = [body for worker in workers for body in worker.communicate()[0].split()]
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

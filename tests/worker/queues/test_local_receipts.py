"""Messages of workers that were killed, shown by the others on their machine."""

from __future__ import annotations

import os
import shutil
import sys
import time
from typing import TYPE_CHECKING

import pytest

from outlast.checkpoint.local_process import this_process
from outlast.worker.queues import local_receipts as module
from outlast.worker.queues.contract import Delivery
from outlast.worker.queues.local_receipts import (
    LOOK_SECONDS,
    STALE_SECONDS,
    LocalReceipts,
    local_receipts,
)
from outlast.worker.queues.memory import MemoryQueue
from outlast.worker.queues.message import Message
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from pathlib import Path

    from outlast.worker.queues.contract import Queue
    from tests.worker.queues.backends import Backend

if sys.platform != "linux":
    pytest.skip("processes have names on Linux alone", allow_module_level=True)

REDIS = "redis://host:6379/0"


def take(queue: Queue, count: int = 1) -> list[Delivery]:
    """Receive so many messages, each hidden for a minute."""
    batch = [queue.receive(visibility_seconds=60, wait_seconds=0) for _ in range(count)]
    return [delivery for delivery in batch if delivery]


def send(queue: Queue, count: int = 1) -> None:
    """Send so many messages, each for another job."""
    for number in range(count):
        queue.send(Message(job_id=f"job-{number}", slice=1))


@pytest.fixture
def queue() -> MemoryQueue:
    """A queue whose clock stands still."""
    clock = FakeClock()
    return MemoryQueue(clock=clock, sleep=clock.sleep)


@pytest.fixture
def killed(tmp_path: Path, queue: MemoryQueue) -> LocalReceipts:
    """The receipts of a process that is gone."""
    return receipts_of_killed(tmp_path, queue)


def receipts_of_killed(folder: Path, queue: Queue) -> LocalReceipts:
    """Return the receipts of a process whose number this one has by now."""
    own, _, began = this_process().rpartition("@")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "this_process", lambda: f"{own}@{int(began) - 1}")
        receipts = LocalReceipts(folder, queue)
        receipts.note([Delivery("", "")])
    return receipts


def test_the_message_of_a_killed_worker_comes_at_once(backend: Backend, tmp_path: Path) -> None:
    """Its job would wait for as long as the queue hides the message."""
    folder = tmp_path / "receipts"
    folder.mkdir()
    send(backend.queue)
    receipts_of_killed(folder, backend.queue).note(take(backend.queue))
    assert not take(backend.queue)
    LocalReceipts(folder, backend.queue).show_lost()
    assert len(take(backend.queue)) == 1
    assert not list(folder.iterdir())


def test_a_live_worker_keeps_its_messages(tmp_path: Path, queue: MemoryQueue) -> None:
    """Every idle worker would take the messages of all others."""
    send(queue)
    LocalReceipts(tmp_path, queue).note(take(queue))
    LocalReceipts(tmp_path, queue).show_lost()
    assert not take(queue)


def test_only_what_it_had_last_is_shown(
    tmp_path: Path, queue: MemoryQueue, killed: LocalReceipts
) -> None:
    """Messages that wait for their time would come before it, and use up their receives."""
    send(queue, 10)
    killed.note(take(queue, 10))
    send(queue)
    killed.note(take(queue))
    LocalReceipts(tmp_path, queue).show_lost()
    assert len(take(queue, 2)) == 1


def test_what_another_worker_has_by_now_stays_its_own(
    tmp_path: Path, queue: MemoryQueue, killed: LocalReceipts
) -> None:
    """A job that goes on already would be worked on twice."""
    send(queue)
    (delivery,) = take(queue)
    killed.note([delivery])
    queue.hide(delivery, 0)
    assert take(queue)
    LocalReceipts(tmp_path, queue).show_lost()
    assert not take(queue)


def test_a_worker_that_has_ended_leaves_nothing(tmp_path: Path, queue: MemoryQueue) -> None:
    """The folder would grow with every worker."""
    receipts = LocalReceipts(tmp_path, queue)
    receipts.note([])
    assert not list(tmp_path.iterdir())
    send(queue)
    receipts.note(take(queue))
    receipts.note([])
    receipts.close()
    assert not list(tmp_path.iterdir())


def test_it_looks_now_and_then(tmp_path: Path, queue: MemoryQueue, killed: LocalReceipts) -> None:
    """A worker of small jobs would spend its time in the folder."""
    clock = FakeClock()
    receipts = LocalReceipts(tmp_path, queue, clock=clock)
    receipts.show_lost()
    send(queue)
    killed = receipts_of_killed(tmp_path, queue)
    killed.note(take(queue))
    receipts.show_lost()
    assert not take(queue)
    clock.sleep(LOOK_SECONDS)
    receipts.show_lost()
    assert take(queue)


@pytest.mark.parametrize("content", [b"", b"\xff", b"7\n", b'["1'])
def test_a_damaged_file_ends_no_worker(
    tmp_path: Path, queue: MemoryQueue, killed: LocalReceipts, content: bytes
) -> None:
    """One file would keep all workers of a machine from their work."""
    (path,) = tmp_path.iterdir()
    path.write_bytes(content)
    LocalReceipts(tmp_path, queue).show_lost()
    killed.close()


def test_a_folder_that_is_gone_or_full_ends_no_worker(tmp_path: Path, queue: MemoryQueue) -> None:
    """A tidy-up of temporary files would end all workers of a machine."""
    receipts = LocalReceipts(tmp_path / "gone", queue)
    send(queue)
    receipts.note(take(queue))
    receipts.show_lost()
    receipts.close()


def test_a_file_that_is_gone_is_made_anew(tmp_path: Path, queue: MemoryQueue) -> None:
    """After a tidy-up of temporary files no message of a killed worker would come at once."""
    folder = tmp_path / "workers" / "queue"
    folder.parent.mkdir(mode=0o700)
    receipts = LocalReceipts(folder, queue)
    send(queue)
    batch = take(queue)
    receipts.note(batch)
    shutil.rmtree(folder.parent)
    folder.parent.mkdir(mode=0o700)
    receipts.note(batch)
    assert [path.name for path in folder.iterdir()] == [this_process()]
    receipts.close()


def test_what_earlier_boots_have_left_is_removed(
    tmp_path: Path, queue: MemoryQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder would grow with every crash of the machine, and each look take longer."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    place = tmp_path / f"outlast-workers-{os.getuid()}"
    names = ("earlier#1@2", this_process())
    kept = [place / "used" / name for name in (*names, "new#1@2")]
    (place / "used").mkdir(parents=True, mode=0o700)
    (place / "unused").mkdir()
    place.chmod(0o700)
    for path in kept:
        path.touch()
    long_ago = time.time() - STALE_SECONDS - 60.0
    for path in (*kept[:2], place / "unused"):
        os.utime(path, (long_ago, long_ago))
    assert local_receipts(REDIS, queue)
    assert not kept[0].exists()
    assert kept[1].exists()
    assert kept[2].exists()
    assert not (place / "unused").exists()


def test_the_workers_of_a_queue_share_a_folder(
    tmp_path: Path, queue: MemoryQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would not see each other's receipts, or show what other queues have hidden."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert local_receipts(REDIS, queue)
    assert local_receipts("redis://me:my-password@host:6379/0", queue)
    assert local_receipts("redis://host:6379?db=1", queue)
    assert local_receipts("redis://host:6379?db=2", queue)
    assert local_receipts("sqs://jobs", queue)
    assert local_receipts("sqlite:////jobs.db", queue) is None
    (folder,) = tmp_path.iterdir()
    assert len(list(folder.iterdir())) == 4
    assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("trap", ["link", "open", "file"])
def test_a_folder_that_others_can_write_is_not_taken(
    tmp_path: Path, queue: MemoryQueue, monkeypatch: pytest.MonkeyPatch, trap: str
) -> None:
    """Another user of the machine could have a worker write and delete where they like."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    path = tmp_path / f"outlast-workers-{os.getuid()}"
    match trap:
        case "link":
            (tmp_path / "theirs").mkdir()
            path.symlink_to(tmp_path / "theirs")
        case "open":
            path.mkdir()
            path.chmod(0o777)
        case "file":
            path.touch()
    assert local_receipts(REDIS, queue) is None

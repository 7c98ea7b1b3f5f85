"""A store and a queue in a file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from outlast.worker.doctor import sqlite_disk
from outlast.worker.doctor.sqlite_disk import disk_findings, file_system
from outlast.worker.jobs.client import Client
from outlast.worker.queues.message import Message

if TYPE_CHECKING:
    from pathlib import Path

MOUNTS = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:27 / /tmp rw - tmpfs tmpfs rw
31 22 0:28 / /home rw shared:1 - nfs4 host:/home rw
32 31 0:29 / /home/a\\040b rw - xfs /dev/vdb rw
33 22 0:30 / /box rw - overlay overlay rw
"""


@pytest.mark.parametrize(
    ("path", "kind", "expected"),
    [
        ("/var/lib/a.db", "ext4", "ok"),
        ("/home/me/a.db", "nfs4", "error"),
        ("/home/a b/a.db", "xfs", "ok"),
        ("/tmp/a.db", "tmpfs", "warning"),
        ("/box/a.db", "overlay", "warning"),
        ("/tmpx/a.db", "ext4", "ok"),
    ],
)
def test_the_disk_of_a_file(path: str, kind: str, expected: str, tmp_path: Path) -> None:
    """Two machines would damage the file, or a container take it along when it ends."""
    from pathlib import Path

    assert file_system(Path(path), MOUNTS) == kind
    table = tmp_path / "mountinfo"
    table.write_text(MOUNTS)
    findings = {
        f.check: f.level
        for f in disk_findings("store", Path(path), max_state_bytes=1, mounts=table)
    }
    assert findings == {"store.disk": expected, "store.space": "ok"}


def test_the_disk_of_a_system_without_such_a_table(tmp_path: Path) -> None:
    """Doctor would fail on a Mac."""
    findings = disk_findings("store", tmp_path, max_state_bytes=1, mounts=tmp_path / "none")
    assert [f.level for f in findings] == ["ok", "ok"]


def test_a_disk_that_is_nearly_full(run_doctor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """All jobs would stop at the next large save."""
    usage = type("Usage", (), {"free": 100 << 20})
    monkeypatch.setattr(sqlite_disk.shutil, "disk_usage", lambda _: usage)
    assert run_doctor()["store.space"].level == "warning"


def test_a_file_that_cannot_be(folder: Path, run_doctor: Any) -> None:
    """A person would not know which folder it is; the queue's own fault would be hidden."""
    (folder / "file").touch()
    bad = f"sqlite:///{folder}/file/a.db"
    findings = run_doctor(OUTLAST_STORE=bad, OUTLAST_QUEUE=bad)
    assert {name: f.level for name, f in findings.items() if f.level != "ok"} == {
        "store.reach": "error",
        "blobs.reach": "error",
        "queue.reach": "error",
    }
    assert findings["store.reach"].mend


def test_a_file_that_keeps_no_log(run_doctor: Any) -> None:
    """A crash could damage the file."""
    findings = run_doctor(OUTLAST_STORE="sqlite:///:memory:")
    assert "no write-ahead log" in findings["store.reach"].found


def test_a_queue_that_cannot_be_written(folder: Path, run_doctor: Any) -> None:
    """Jobs would be stored and never woken."""
    with closing(sqlite3.connect(folder / "outlast.db")) as other:
        Client().queue.send(Message(job_id="a"))
        other.execute("DROP TABLE outlast_messages")
        other.execute("CREATE TABLE outlast_messages (x)")
        other.commit()
    findings = run_doctor()
    assert findings["queue.reach"].level == "error"
    assert "its tables are not Outlast's" in findings["queue.reach"].found


def test_messages_that_were_given_up(folder: Path, run_doctor: Any) -> None:
    """Nobody would look for the jobs that stand still."""
    Client().queue.send(Message(job_id="a"))
    assert run_doctor()["queue.dead-letters"].level == "ok"
    with closing(sqlite3.connect(folder / "outlast.db")) as other:
        other.execute("UPDATE outlast_messages SET dead_reason = 'received 30 times'")
        other.commit()
    findings = run_doctor()["queue.dead-letters"]
    assert (findings.level, findings.found[:2]) == ("warning", "1 ")
    assert "outlast dlq list" in findings.mend


def test_more_stalls_than_the_queue_has_receives(run_doctor: Any) -> None:
    """A job that never advances would lose its message, and stand still in place of failing."""
    assert run_doctor()["queue.receives"].level == "ok"
    findings = run_doctor(OUTLAST_MAX_STALLS="11")["queue.receives"]
    assert (findings.level, "OUTLAST_MAX_STALLS is 11" in findings.found) == ("warning", True)


def test_two_files(folder: Path, run_doctor: Any) -> None:
    """The disk of the queue would go unsaid, or that of one file be told twice."""
    assert "queue.disk" not in run_doctor()
    findings = run_doctor(OUTLAST_QUEUE=f"sqlite:///{folder}/queue.db")
    assert {"store.disk", "queue.disk"} <= set(findings)

"""Who only looks at jobs creates nothing and needs no right to write."""

from __future__ import annotations

import ctypes
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.process import OUTLAST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from outlast.worker.jobs.client import Client
    from tests.cli.process import Outlast

LOOKS = [("status", "a"), ("result", "a"), ("checkpoints", "a"), ("history", "a"), ("list",)]


@pytest.mark.parametrize("words", LOOKS, ids=lambda words: words[0])
def test_a_look_creates_no_store(
    words: tuple[str, ...],
    outlast: Outlast,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A typo in OUTLAST_STORE would leave an empty store behind, instead of a clear answer."""
    monkeypatch.setenv("OUTLAST_STORE", f"sqlite:///{folder}/new/folder/a.db")
    ended = outlast(*words)
    assert list(folder.iterdir()) == []
    if words == ("list",):
        assert (ended.code, ended.out) == (0, "")
        assert ended.err == f"outlast: there is no job in sqlite:///{folder}/new/folder/a.db\n"
    else:
        store = f"sqlite:///{folder}/new/folder/a.db (OUTLAST_STORE)"
        assert ended == (1, "", f"outlast: there is no job 'a' in this store: {store}\n")


def without_power() -> None:
    """Let file permissions count for this process even if it is root's."""
    drop_from_bounding_set, may_override_permissions = 24, 1  # prctl.h, capability.h
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(drop_from_bounding_set, may_override_permissions, 0, 0, 0)


@pytest.fixture
def locked(client: Client, folder: Path) -> Iterator[Path]:
    """A folder with a job, neither of which may be written to."""
    client.submit("tally", job_id="a", steps=1)
    client.jobs._register.close()
    client.queue.close()
    (folder / "outlast.db").chmod(0o444)
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)


@pytest.mark.parametrize("words", LOOKS, ids=lambda words: words[0])
def test_a_look_at_a_store_that_may_not_be_written(words: tuple[str, ...], locked: Path) -> None:
    """A backup, or another user's store, could not be looked at."""
    before = sorted(locked.iterdir())
    done = subprocess.run(
        [OUTLAST, *words], capture_output=True, text=True, check=False, preexec_fn=without_power
    )
    expected = "job a is queued, 0.0% done" if words[0] == "result" else ""
    assert expected in done.stderr
    assert done.returncode == (3 if words[0] == "result" else 0), done.stderr
    assert sorted(locked.iterdir()) == before
    refused = subprocess.run(
        [OUTLAST, "cancel", "a"],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=without_power,
    )
    assert refused.returncode == 1
    assert "allow writing to the file and its folder" in refused.stderr


def test_a_look_beside_a_worker_sees_its_last_write(
    outlast: Outlast, client: Client, folder: Path
) -> None:
    """A job would look as it was when the worker started."""
    client.submit("tally", job_id="a", steps=1)
    client.cancel("a")
    assert (folder / "outlast.db-wal").stat().st_size > 0
    assert "cancelled" in outlast("status", "a").out
    client.jobs._register.close()
    client.queue.close()
    assert "cancelled" in outlast("status", "a").out
    assert [path.name for path in folder.iterdir()] == ["outlast.db"]


def test_a_look_at_a_file_of_someone_else(outlast: Outlast, folder: Path) -> None:
    """Its owner would find a table in it that is not theirs."""
    with sqlite3.connect(folder / "outlast.db") as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    ended = outlast("status", "a")
    assert ended.code == 1
    assert "its tables are not Outlast's" in ended.err
    (folder / "outlast.db").unlink()
    (folder / "outlast.db").touch()
    assert "there is no job 'a'" in outlast("status", "a").err
    assert (folder / "outlast.db").stat().st_size == 0

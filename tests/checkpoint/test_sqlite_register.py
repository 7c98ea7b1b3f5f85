"""What the disk and other programs do to a SQLite file, and what a person then reads."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from outlast.checkpoint.errors import StoreReplaced, StoreUnavailable, VersionConflict
from outlast.checkpoint.registers.sqlite import SqliteRegister
from outlast.checkpoint.sqlite_file import SqliteFile

KEY = "jobs/one"
NOBODY = 65_534

LIMITED = """
import resource, sys
from pathlib import Path
from outlast.checkpoint.errors import StoreUnavailable
from outlast.checkpoint.registers.sqlite import SqliteRegister
register = SqliteRegister(Path(sys.argv[1]))
version = register.put("jobs/one", b"first", expected=None)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
try:
    register.write("jobs/one", bytes(1_000_000), expected=version)
except StoreUnavailable as error:
    print(error)
assert register.read("jobs/one") == (b"first", version)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
register.write("jobs/one", b"second", expected=version)
"""
READ_ONLY = """
import os, sys
from pathlib import Path
from outlast.checkpoint.errors import StoreUnavailable
from outlast.checkpoint.registers.sqlite import SqliteRegister
if os.geteuid() == 0:
    os.setuid(int(sys.argv[2]))
try:
    SqliteRegister(Path(sys.argv[1])).put("jobs/one", b"first", expected=None)
except StoreUnavailable as error:
    print(error)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that does not exist yet."""
    return tmp_path / "outlast.db"


def run(script: str, *arguments: object) -> str:
    """Return what a script prints in a process of its own."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def test_same_bytes_never_have_the_same_version(path: Path) -> None:
    """Whoever knew the deleted value could overwrite the one created in its place."""
    with closing(SqliteRegister(path)) as register:
        first = register.put(KEY, b"same", expected=None)
        register.delete(KEY, expected=first)
        second = register.put(KEY, b"same", expected=None)
        assert second != first
        with pytest.raises(VersionConflict):
            register.put(KEY, b"other", expected=first)


def test_a_commit_is_synced(path: Path) -> None:
    """A power cut would take back progress that was reported as saved."""
    with closing(SqliteRegister(path)) as register:
        connection = register._file._connection
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


def test_two_may_open_a_new_file_at_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of workers that are started together, one now and then would end with "locked"."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE theirs (number INTEGER)")
        other.execute("BEGIN")
        other.execute("SELECT * FROM theirs").fetchall()
        # SQLite gives up on this reader; our own first wait ends the reading.
        waits = SimpleNamespace(monotonic=lambda: 0, sleep=lambda _: other.execute("COMMIT"))
        monkeypatch.setattr("outlast.checkpoint.sqlite_file.time", waits)
        SqliteRegister(path, busy_seconds=0.01).close()
        assert not other.in_transaction


def test_a_full_disk_keeps_the_value_before(path: Path) -> None:
    """A full disk would cost the progress made before it, or end in a traceback."""
    with closing(SqliteRegister(path)) as register:
        version = register.put(KEY, b"first", expected=None)
        # SQLite's own limit takes the way of a full disk; it never goes below the present size.
        register._file._connection.execute("PRAGMA max_page_count=1")
        with pytest.raises(StoreUnavailable, match=f"^{path}: the disk is full; free some space"):
            register.write(KEY, bytes(1_000_000), expected=version)
        assert register.read(KEY) == (b"first", version)
        register._file._connection.execute("PRAGMA max_page_count=100000")
        register.write(KEY, b"second", expected=version)


def test_a_write_the_system_refuses_keeps_the_value_before(path: Path) -> None:
    """A quota or a file size limit would cost progress."""
    assert run(LIMITED, path).startswith(f"{path}: the disk failed to read or write; check")


@pytest.mark.parametrize("exists", [False, True], ids=["new file", "file of before"])
def test_a_read_only_folder_is_named(exists: bool) -> None:
    """A person would look at a traceback instead of at the folder's permissions."""
    with tempfile.TemporaryDirectory() as name:
        folder, path = Path(name), Path(name) / "outlast.db"
        if exists:
            SqliteRegister(path).close()
            path.chmod(0o444)
        folder.chmod(0o555)
        try:
            message = run(READ_ONLY, path, NOBODY)
        finally:
            folder.chmod(0o755)
    assert message.startswith(f"{path}: it ")
    assert "allow writing to the file and its folder" in message


def test_a_file_that_is_no_database_is_left_alone(path: Path) -> None:
    """A mistyped path would destroy a person's own file."""
    path.write_text("a letter to my aunt\n" * 100)
    with pytest.raises(StoreUnavailable, match=f"^{path}: it is not a SQLite database; choose"):
        SqliteRegister(path)
    assert path.read_text() == "a letter to my aunt\n" * 100


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """A person would not learn which setting to correct."""
    with pytest.raises(StoreUnavailable, match=f"^{tmp_path}: it is a folder; name a file in it"):
        SqliteRegister(tmp_path)


def test_a_folder_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    """A person would not learn which setting to correct."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match=r"outlast.db: its folder cannot be created .*path$"):
        SqliteRegister(tmp_path / "file" / "outlast.db")


def test_a_locked_file_is_waited_for_and_then_named(path: Path) -> None:
    """A worker would hang for ever behind a forgotten `sqlite3` session."""
    with closing(SqliteRegister(path, busy_seconds=0.05)) as register:
        version = register.put(KEY, b"first", expected=None)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert register.read(KEY).value == b"first"
            with pytest.raises(StoreUnavailable, match=f"^{path}: another process holds it locked"):
                register.put(KEY, b"second", expected=version)
        register.put(KEY, b"second", expected=version)


def test_a_transaction_is_all_or_nothing(path: Path) -> None:
    """A message and what belongs to it would be written by half."""
    schema = "CREATE TABLE IF NOT EXISTS numbers (number INTEGER)"
    with closing(SqliteFile(path, schema=schema)) as file:
        with suppress(ZeroDivisionError), file.transaction() as connection:
            connection.execute("INSERT INTO numbers VALUES (1)")
            _ = 1 // 0
        with file.transaction() as connection:
            connection.execute("INSERT INTO numbers VALUES (2)")
        assert file.query("SELECT number FROM numbers") == [(2,)]


def test_a_mistake_in_a_statement_is_not_blamed_on_the_disk(path: Path) -> None:
    """A defect of the program would be retried for ever as if the store were down."""
    with closing(SqliteFile(path, schema="")) as file, pytest.raises(sqlite3.OperationalError):
        file.query("SELECT nothing FROM nowhere")


def test_a_fork_must_open_the_file_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's locks do not hold across a fork: the file would be damaged."""
    with closing(SqliteFile(path, schema="")) as file:
        parent = os.getpid()
        monkeypatch.setattr(os, "getpid", lambda: parent + 1)
        with pytest.raises(RuntimeError, match="open it again in the child"):
            file.query("SELECT 1")
        monkeypatch.undo()


def test_a_file_without_a_write_ahead_log_is_refused() -> None:
    """The start would hang for ever where SQLite cannot keep its log."""
    with pytest.raises(StoreUnavailable, match="choose a file on a local disk"):
        SqliteRegister(Path(":memory:"))


def test_a_file_with_a_table_of_someone_elses_is_named(path: Path) -> None:
    """A person would be told of a column that they never heard of."""
    with closing(sqlite3.connect(path)) as theirs:
        theirs.execute("CREATE TABLE outlast_register (key, theirs)")
    with pytest.raises(StoreUnavailable, match=f"^{path}: its tables are not Outlast's; choose"):
        SqliteRegister(path)


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_file_that_is_removed_under_a_worker_is_refused(
    tmp_path: Path, is_replaced: bool
) -> None:
    """It would go on for hours, and save into a file that nobody will ever find."""
    path = tmp_path / "jobs.db"
    with closing(SqliteRegister(path)) as register:
        register.put("jobs/a", b"1", expected=None)
        for file in tmp_path.iterdir():
            file.unlink()
        if is_replaced:
            SqliteRegister(path).close()
        with pytest.raises(StoreReplaced, match="was removed or replaced while in use"):
            register.put("jobs/b", b"1", expected=None)
    with closing(SqliteRegister(path)) as register:
        assert list(register.keys("")) == []


def test_a_relative_path_stays_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel that changes the folder it works in would take the store from its worker."""
    monkeypatch.chdir(tmp_path)
    with closing(SqliteRegister(Path("jobs.db"))) as register:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        register.put("jobs/a", b"1", expected=None)
        assert list(register.keys("")) == ["jobs/a"]

"""One SQLite file, opened for durable writes from many threads and processes."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outlast.checkpoint.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

BUSY_SECONDS = 10.0
BUSY_POLL_SECONDS = 0.01
MEMORY = ":memory:"

# What SQLite's primary result codes mean to the person who runs this. Every other code is a
# mistake of the program and is not translated.
REASONS = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space, then go on",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write; check its space, limits and health",
    sqlite3.SQLITE_READONLY: "it is read-only; allow writing to the file and its folder",
    sqlite3.SQLITE_PERM: "it may not be opened; allow writing to the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; allow writing to the file and its folder",
    sqlite3.SQLITE_NOTADB: "it is no SQLite database; choose another path",
    sqlite3.SQLITE_CORRUPT: "it is damaged; keep a copy, then repair it or choose another path",
    sqlite3.SQLITE_BUSY: "another process holds it locked; end that process or wait",
    sqlite3.SQLITE_LOCKED: "another process holds it locked; end that process or wait",
}


def sqlite_path(url: str) -> Path | None:
    """Return the path in `sqlite:///path`, or None where the URL has another form.

    Three slashes begin a relative path, four an absolute one; a leading `~` is the home folder.
    """
    path = url.removeprefix("sqlite:///")
    try:
        return Path(path).expanduser() if path not in {"", url} else None
    except RuntimeError:  # `~name` of nobody here
        return None


class SqliteFile:
    """A file whose every commit is on the disk before the call returns.

    Threads share one connection and take turns; processes each open the file for themselves, and
    so must a forked child. It is created with its folder where it is missing, and `schema` is
    run at each opening: statements that say IF NOT EXISTS, and one that fails where a table of
    that name has other columns. With `read_only` no file is created and nothing in it changed; one
    that is missing or empty, or has other tables of Outlast's only, then stands for one with empty
    tables.

    Every method raises StoreUnavailable where the file or the disk is at fault. What was to be
    written then has not been, or, if the disk fails during the commit, may have been.
    """

    def __init__(
        self,
        path: Path,
        *,
        schema: str,
        busy_seconds: float = BUSY_SECONDS,
        read_only: bool = False,
    ) -> None:
        self.path = path
        self._busy_seconds = busy_seconds
        self._lock = threading.Lock()
        self._process = os.getpid()
        if not read_only:
            self._create_folder()
        with self._translated():
            place = _place_to_read(path, schema) if read_only else str(path)
            # Autocommit: a single statement is its own transaction, others say BEGIN themselves.
            self._connection = sqlite3.connect(
                place,
                timeout=busy_seconds,
                isolation_level=None,
                check_same_thread=False,
                uri=read_only,
            )
        # Whoever does not close it himself: no later than when it is forgotten, or at exit.
        self._close = weakref.finalize(self, self._connection.close)
        with self._translated():
            if read_only and place != MEMORY:
                self._connection.execute("PRAGMA query_only=ON")
            self._prepare(schema, read_only=read_only)
        # A kernel may change the folder that a relative path begins in.
        self._place = path.absolute()
        self._identity = None if place == MEMORY else _identity_of(self._place)

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run one statement in a transaction of its own and return its rows."""
        with self._turn() as connection:
            return connection.execute(sql, parameters).fetchall()

    def change(self, sql: str, *parameters: object) -> int:
        """Run one statement in a transaction of its own; return how many rows it changed."""
        with self._turn() as connection:
            return connection.execute(sql, parameters).rowcount

    def transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        """Hold the write lock for several statements: all of them last, or none on an error.

        Run them on the connection it gives; this object's own methods would wait for ever.
        """
        return self._begun("BEGIN IMMEDIATE")

    def snapshot(self) -> AbstractContextManager[sqlite3.Connection]:
        """Hold one view of the file for several reads; others may write meanwhile.

        Read on the connection it gives, as in `transaction`.
        """
        return self._begun("BEGIN")

    @contextmanager
    def _begun(self, statement: str) -> Iterator[sqlite3.Connection]:
        with self._turn() as connection:
            connection.execute(statement)
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the file; whoever closes it last folds the write-ahead log into it."""
        with self._lock:
            self._close()

    def _create_folder(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = f"its folder cannot be created ({error}); choose another path"
            raise StoreUnavailable(f"{self.path}: {reason}") from error

    def _prepare(self, schema: str, *, read_only: bool) -> None:
        if not read_only:
            self._use_write_ahead_log()
            # With the write-ahead log FULL is what syncs each commit; NORMAL would not.
            self._connection.execute("PRAGMA synchronous=FULL")
        try:
            self._connection.executescript(schema)
        except sqlite3.OperationalError as error:
            # Where tables are there, creating those that are not is no write.
            foreign = sqlite3.SQLITE_READONLY if read_only else sqlite3.SQLITE_ERROR
            if _primary(error) not in {sqlite3.SQLITE_ERROR, foreign}:
                raise
            raise StoreUnavailable(
                f"{self.path}: its tables are not Outlast's; choose another path ({error})"
            ) from error

    def _use_write_ahead_log(self) -> None:
        """Switch a new file's mode, which SQLite refuses at once, not waiting, when others do."""
        limit = time.monotonic() + self._busy_seconds
        while self._connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            try:
                (mode,) = self._connection.execute("PRAGMA journal_mode=WAL").fetchone()
            except sqlite3.OperationalError as error:
                if _primary(error) != sqlite3.SQLITE_BUSY or time.monotonic() > limit:
                    raise
                time.sleep(BUSY_POLL_SECONDS)
            else:
                self._require_write_ahead_log(mode)

    def _require_write_ahead_log(self, mode: str) -> None:
        if mode != "wal":  # So it is in memory, and on file systems without shared memory.
            raise StoreUnavailable(
                f"{self.path}: SQLite keeps no write-ahead log there; choose a file on a local disk"
            )

    @contextmanager
    def _turn(self) -> Iterator[sqlite3.Connection]:
        if os.getpid() != self._process:
            # SQLite's locks belong to a process: going on would damage the file.
            raise RuntimeError(f"{self.path}: opened before a fork; open it again in the child")
        if self._identity and _identity_of(self._place) != self._identity:
            # SQLite would go on with what nobody will ever find.
            raise StoreUnavailable(
                f"{self.path}: it was removed or replaced while in use; start this process again"
            )
        with self._lock, self._translated():
            yield self._connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            reason = REASONS.get(_primary(error))
            if reason is None:
                raise
            raise StoreUnavailable(f"{self.path}: {reason} ({error})") from error


def _place_to_read(path: Path, schema: str) -> str:
    """Return what opens the file, or stands for it, so that nothing on the disk changes."""
    if not path.exists() or path.stat().st_size == 0:
        return MEMORY
    uri = _uri_to_read(path)
    return MEMORY if _has_others_only(uri, schema) else uri


def _has_others_only(uri: str, schema: str) -> bool:
    """Whether there are tables of Outlast's, but none of `schema`: a queue where no job is yet."""
    find = (
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'outlast@_%' ESCAPE '@'"
    )
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        found = [name for (name,) in connection.execute(find)]
    return bool(found) and not any(f" {name} (" in schema for name in found)


def _uri_to_read(path: Path) -> str:
    uri = path.absolute().as_uri()
    # Readers and writers of a write-ahead log share files beside it. Only who may write removes
    # them again; left behind by another user, they would keep the writers out.
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        return f"{uri}?mode=rw"
    # Without such files there is no writer that could get in between.
    has_log = path.with_name(path.name + "-wal").exists()
    return f"{uri}?mode=ro" if has_log else f"{uri}?immutable=1"


def _identity_of(path: Path) -> tuple[int, int] | None:
    """Return what tells the file from another one of its name; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _primary(error: sqlite3.Error) -> int:
    """Return the error's code without SQLite's finer distinctions; 0 where it has none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF

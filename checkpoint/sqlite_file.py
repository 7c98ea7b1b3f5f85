"""One SQLite file, opened for durable writes from many threads and processes."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from outlast.checkpoint.errors import StoreFull, StoreReplaced, StoreUnavailable
from outlast.checkpoint.sqlite_read_only import MEMORY, read_only_uri

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

BUSY_SECONDS = 10.0
BUSY_POLL_SECONDS = 0.01

# What SQLite's primary result codes mean to an operator. Every other code is a mistake of the
# program and is not translated.
REASONS = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space, then go on",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write; check its space, limits and health",
    sqlite3.SQLITE_READONLY: "it is read-only; allow writing to the file and its folder",
    sqlite3.SQLITE_PERM: "it may not be opened; allow writing to the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; allow writing to the file and its folder",
    sqlite3.SQLITE_NOTADB: "it is not a SQLite database; choose another path",
    sqlite3.SQLITE_CORRUPT: "it is damaged; keep a copy, then repair it or choose another path",
    sqlite3.SQLITE_BUSY: "another process holds it locked; end that process or wait",
    sqlite3.SQLITE_LOCKED: "another process holds it locked; end that process or wait",
}


class SqliteFile:
    """A file whose every commit is on the disk before the call returns.

    Threads share one connection and take turns. Each process opens the file for itself, a forked
    child too. A missing file is created with its folder, and `schema` runs at each opening: its
    statements say IF NOT EXISTS, and one fails where a table of that name has other columns. With
    `read_only` no file is created or changed; one without the tables reads as one with empty
    tables.

    Every method raises StoreUnavailable where the file or the disk is at fault. Nothing is written
    then, or, if the disk fails during the commit, the write may have happened. It is StoreReplaced,
    from then on, once the file has been removed or replaced.
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
        with self._translate_errors():
            database = read_only_uri(path, schema) if read_only else str(path)
            # Autocommit: a single statement is its own transaction; `_begin` says BEGIN.
            self._connection = sqlite3.connect(
                database,
                timeout=busy_seconds,
                isolation_level=None,
                check_same_thread=False,
                uri=read_only,
            )
        # Without a call of `close`: when this object is collected, or at exit.
        self._close = weakref.finalize(self, self._connection.close)
        with self._translate_errors():
            if read_only and database != MEMORY:
                self._connection.execute("PRAGMA query_only=ON")
            self._prepare(schema, read_only=read_only)
        # Absolute: a kernel may change the working folder.
        self._absolute = str(path.absolute())
        self._identity = None if database == MEMORY else _identity_of(self._absolute)

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run one statement in a transaction of its own and return its rows."""
        with self._turn() as connection:
            return connection.execute(sql, parameters).fetchall()

    def change(self, sql: str, *parameters: object) -> int:
        """Run one statement in a transaction of its own; return how many rows it changed."""
        with self._turn() as connection:
            return connection.execute(sql, parameters).rowcount

    def transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        """Hold the write lock for several statements, all of which are undone on an error.

        Run them on the connection of the `with` statement; this object's methods would deadlock.
        """
        return self._begin("BEGIN IMMEDIATE")

    def snapshot(self) -> AbstractContextManager[sqlite3.Connection]:
        """Hold one view of the file for several reads, while others may write.

        Read on the connection of the `with` statement, as in `transaction`.
        """
        return self._begin("BEGIN")

    @contextmanager
    def _begin(self, statement: str) -> Iterator[sqlite3.Connection]:
        with self._turn() as connection:
            connection.execute(statement)
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def is_same(self, other: SqliteFile) -> bool:
        """Whether both are one file, and not in memory."""
        return self._identity is not None and self._identity == other._identity

    def close(self) -> None:
        """Close the file; the last one to close it merges the write-ahead log into it."""
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
            # Read-only, the attempt to create a missing table fails as a write.
            foreign = sqlite3.SQLITE_READONLY if read_only else sqlite3.SQLITE_ERROR
            if _primary(error) not in {sqlite3.SQLITE_ERROR, foreign}:
                raise
            raise StoreUnavailable(
                f"{self.path}: its tables are not Outlast's; choose another path ({error})"
            ) from error

    def _use_write_ahead_log(self) -> None:
        """Switch a new file's mode; SQLite refuses that without waiting when others do the same."""
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
        if mode != "wal":  # The file is in memory, or its file system has no shared memory.
            raise StoreUnavailable(
                f"{self.path}: SQLite keeps no write-ahead log there; choose a file on a local disk"
            )

    @contextmanager
    def _turn(self) -> Iterator[sqlite3.Connection]:
        if os.getpid() != self._process:
            # SQLite's locks belong to a process: going on would damage the file.
            raise RuntimeError(f"{self.path}: opened before a fork; open it again in the child")
        if self._identity and _identity_of(self._absolute) != self._identity:
            # SQLite would go on in a file that has no name left.
            raise StoreReplaced(
                f"{self.path}: it was removed or replaced while in use; start this process again"
            )
        with self._lock:
            try:  # Not by the method below: this way a statement takes a tenth less time.
                yield self._connection
            except sqlite3.Error as error:
                self._raise_translated(error)

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            self._raise_translated(error)

    def _raise_translated(self, error: sqlite3.Error) -> NoReturn:
        reason = REASONS.get(_primary(error))
        if reason is None:
            raise error
        if self.path.is_dir():
            reason = "it is a folder; name a file in it"
        kind = StoreFull if _primary(error) == sqlite3.SQLITE_FULL else StoreUnavailable
        raise kind(f"{self.path}: {reason} ({error})") from error


def _identity_of(path: str) -> tuple[int, int] | None:
    """Return the file's device and inode; None: there is no file."""
    try:
        status = os.stat(path)  # noqa: PTH116 - at each statement, and a Path takes twice as long
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _primary(error: sqlite3.Error) -> int:
    """Return the error's primary result code; 0: it has none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF

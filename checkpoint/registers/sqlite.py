"""Values in one SQLite file: the register that needs no server."""

from __future__ import annotations

import json
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import VersionConflict
from outlast.checkpoint.register import Register, Stored
from outlast.checkpoint.sqlite_file import BUSY_SECONDS, SqliteFile

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence
    from pathlib import Path

# The version comes before the value: SQLite compares it without reading megabytes.
SCHEMA = """
CREATE TABLE IF NOT EXISTS outlast_register (
    key TEXT PRIMARY KEY, version TEXT NOT NULL, value BLOB NOT NULL
);
SELECT key, version, value FROM outlast_register LIMIT 0;
"""
# Cast, as a foreign value may have any type; as bytes it does not begin as a record does.
READ = "SELECT CAST(value AS BLOB), version FROM outlast_register WHERE key = ?"
CREATE = (
    "INSERT INTO outlast_register (version, value, key) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
)
REPLACE = "UPDATE outlast_register SET version = ?, value = ? WHERE key = ? AND version = ?"
FIND = "SELECT rowid, typeof(value) FROM outlast_register WHERE key = ?"
DELETE = "DELETE FROM outlast_register WHERE key = ? AND version = ?"
REMOVE = "DELETE FROM outlast_register WHERE key IN (SELECT value FROM json_each(?))"
PAGE = """
SELECT key FROM outlast_register WHERE key > ? AND key >= ? AND key < ? ORDER BY key LIMIT ?
"""
PAGE_KEYS = 1000
AFTER_EVERY_KEY = "\U0010ffff"


class SqliteRegister(Register):
    """A register in a file, for the threads and processes of one machine.

    A value is on the disk when `put` returns, at the cost of one sync of the write-ahead log. The
    file must be on a local disk; SQLite's locks do not hold on network file systems. Versions
    are random and never repeat.
    """

    forgets_seconds = 0.0

    def __init__(
        self, path: Path, *, busy_seconds: float = BUSY_SECONDS, read_only: bool = False
    ) -> None:
        self._file = SqliteFile(path, schema=SCHEMA, busy_seconds=busy_seconds, read_only=read_only)

    def read(self, key: str) -> Stored | None:
        """Return the current value and its version; see `Register.read`."""
        rows = self._file.query(READ, key)
        return Stored(*rows[0]) if rows else None

    def put(self, key: str, value: bytes, *, expected: str | None) -> str:
        """Make one attempt to replace the value; see `Register.put`."""
        version = secrets.token_hex(16)
        if not self._file.change(*_replacing(key, value, version, expected)):
            raise self._conflict(key)
        return version

    @contextmanager
    def putting(
        self, key: str, value: bytes, *, expected: str | None
    ) -> Iterator[tuple[str, sqlite3.Connection]]:
        """Do as `put`; what the block writes on the connection happens in the same step.

        Yields the new version and the connection.
        """
        version = secrets.token_hex(16)
        statement, *values = _replacing(key, value, version, expected)
        with self._file.transaction() as connection:
            if not connection.execute(statement, values).rowcount:
                raise self._conflict(key)
            yield version, connection

    def _conflict(self, key: str) -> VersionConflict:
        return VersionConflict(f"{self._file.path}: {key} was written by someone else")

    def delete(self, key: str, *, expected: str) -> None:
        """Remove the value; see `Register.delete`."""
        if not self._file.change(DELETE, key, expected):
            raise self._conflict(key)

    def remove(self, keys: Sequence[str]) -> None:
        """Remove these values in one transaction; see `Register.remove`."""
        self._file.change(REMOVE, json.dumps(list(keys)))

    def keys(
        self,
        prefix: str,
        *,
        after: str = "",
        since: float = 0.0,  # noqa: ARG002 - the file does not say when a value was written
    ) -> Iterator[str]:
        """Yield keys in order, a page at a time, so that a slow reader blocks nobody."""
        end = prefix + AFTER_EVERY_KEY
        while page := self._file.query(PAGE, after, prefix, end, PAGE_KEYS):
            yield from (key for (key,) in page)
            after = page[-1][0]

    def peek(self, keys: Sequence[str], limit_bytes: int) -> list[bytes | None]:
        """Return the values' first bytes; see `Register.peek`."""
        with self._file.snapshot() as connection:
            return [_start(connection, key, limit_bytes) for key in keys]

    def is_in(self, file: SqliteFile) -> bool:
        """Whether this is the file of the register."""
        return file.is_same(self._file)

    def close(self) -> None:
        """Close the file; the register cannot be used again."""
        self._file.close()


def _replacing(
    key: str, value: bytes, version: str, expected: str | None
) -> tuple[str, *tuple[str | bytes, ...]]:
    """Return the statement that replaces a value, and its parameters."""
    if expected is None:
        return CREATE, version, value, key
    return REPLACE, version, value, key, expected


def _start(connection: sqlite3.Connection, key: str, limit_bytes: int) -> bytes | None:
    row = connection.execute(FIND, (key,)).fetchone()
    if row is None:
        return None
    row_id, kind = row
    if kind != "blob":
        return b""
    # A query would read the whole value even if it returns only its start.
    with connection.blobopen("outlast_register", "value", row_id, readonly=True) as value:
        return value.read(limit_bytes)

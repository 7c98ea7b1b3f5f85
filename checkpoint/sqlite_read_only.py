"""How to open a SQLite file without changing anything on the disk."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MEMORY = ":memory:"
TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'outlast@_%' ESCAPE '@'"


def read_only_uri(path: Path, schema: str) -> str:
    """Return the URI that opens the file, or MEMORY where it has none of the schema's tables.

    That is so for a file that is missing or empty, and for one with other tables of Outlast's only,
    such as a queue's before the first job is stored. A foreign file is opened, to be refused then.
    """
    if not path.exists() or path.stat().st_size == 0:
        return MEMORY
    uri = _uri(path)
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        tables = [name for (name,) in connection.execute(TABLES)]
    has_others_only = tables and not any(f" {name} (" in schema for name in tables)
    return MEMORY if has_others_only else uri


def _uri(path: Path) -> str:
    uri = path.absolute().as_uri()
    # Readers and writers of a write-ahead log share files beside it, and only a user who may write
    # removes them again. Left behind by another user, they would keep the writers out.
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        return f"{uri}?mode=rw"
    # Without such files no writer can interfere.
    has_log = path.with_name(path.name + "-wal").exists()
    return f"{uri}?mode=ro" if has_log else f"{uri}?immutable=1"

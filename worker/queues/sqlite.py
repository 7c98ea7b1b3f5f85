"""The embedded queue: one table in a SQLite file, which may be the store's file, too."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import StoreUnavailable
from outlast.checkpoint.local_process import is_gone, this_process
from outlast.checkpoint.registers.sqlite import SqliteRegister
from outlast.checkpoint.sqlite_file import SqliteFile
from outlast.worker.queues.contract import Backlog, Delivery, QueueUnavailable
from outlast.worker.queues.polled import PolledQueue
from outlast.worker.queues.receives import MAX_RECEIVES, receipt_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from outlast.checkpoint.register import Register
    from outlast.worker.queues.database import Database
    from outlast.worker.queues.message import Message

# AUTOINCREMENT: no id repeats, or a stale receipt could match a later message.
SCHEMA = """
CREATE TABLE IF NOT EXISTS outlast_messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    body TEXT NOT NULL,
    visible_at REAL NOT NULL,  -- seconds since the epoch
    receives INTEGER NOT NULL DEFAULT 0,
    dead_reason TEXT,  -- NULL while the message lives; a dead letter stays here
    process TEXT  -- who works on it; NULL: nobody
);
CREATE INDEX IF NOT EXISTS outlast_living_messages ON outlast_messages (visible_at)
WHERE dead_reason IS NULL;
SELECT id, body, visible_at, receives, dead_reason FROM outlast_messages LIMIT 0;
"""
SEND = "INSERT INTO outlast_messages (body, visible_at) VALUES (?, ?)"
# A foreign row may have bytes instead of text; the cast returns them unchanged.
NEXT = """
SELECT id, CAST(body AS BLOB), receives FROM outlast_messages
WHERE dead_reason IS NULL AND visible_at <= ? ORDER BY visible_at, id LIMIT 1
"""
# The number of receives identifies a delivery, so it fences every later statement.
TAKE = """
UPDATE outlast_messages SET visible_at = ?, process = ?, receives = receives + 1
WHERE id = ? AND receives = ?
"""
BURY = "UPDATE outlast_messages SET dead_reason = ? WHERE id = ? AND receives = ?"
HIDE = "UPDATE outlast_messages SET visible_at = ?, process = NULL WHERE id = ? AND receives = ?"
KEEP = "UPDATE outlast_messages SET visible_at = ? WHERE id = ? AND receives = ?"
# A file from before there was this column.
HAS_PROCESS = "SELECT 1 FROM pragma_table_info('outlast_messages') WHERE name = 'process'"
ADD_PROCESS = "ALTER TABLE outlast_messages ADD COLUMN process TEXT"
HOLDERS = """
SELECT DISTINCT process FROM outlast_messages WHERE dead_reason IS NULL AND visible_at > ?
"""
FREE = """
UPDATE outlast_messages SET visible_at = ?, process = NULL
WHERE dead_reason IS NULL AND visible_at > ? AND process = ?
"""
# How often a worker looks for messages of processes that are gone.
LOOK_SECONDS = 0.5
# Nothing is hidden for so long: a clock that was wrong did that.
LONGEST_HIDE_SECONDS = 12 * 3600.0
MINUTE_SECONDS = 60.0
SHOW = """
UPDATE outlast_messages SET visible_at = ? WHERE dead_reason IS NULL AND visible_at > ?
"""
# How many messages wait, and since when the oldest does; how many are hidden; how many are dead.
COUNT = """
SELECT count(*) FILTER (WHERE visible_at <= ?), min(visible_at),
    count(*) FILTER (WHERE visible_at > ?),
    (SELECT count(*) FROM outlast_messages WHERE dead_reason IS NOT NULL)
FROM outlast_messages WHERE dead_reason IS NULL
"""
ACK = "DELETE FROM outlast_messages WHERE id = ? AND receives = ?"


class SqliteQueue(PolledQueue):
    """Carries messages between the processes and threads of one machine.

    Visibility is counted by the wall clock, which all processes share and which survives a restart.
    When that clock is set, a message may be visible early, or late by half a day at most; nothing
    worse happens.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        max_receives: int = MAX_RECEIVES,
    ) -> None:
        super().__init__(clock=clock, sleep=sleep, max_receives=max_receives)
        self._shown_at = self._freed_at = 0.0
        # Only a send must survive a power cut: a lost receive, hide or ack leads to a duplicate,
        # which the protocol handles. So a message costs one sync of the disk, not four. Two
        # connections, as each has one setting for how a commit syncs.
        with translate_errors():
            self._durable = SqliteFile(path, schema=SCHEMA)
            self._quick = SqliteFile(path, schema="PRAGMA synchronous=NORMAL")
            if not self._durable.query(HAS_PROCESS):
                self._add_process()

    def _add_process(self) -> None:
        with self._durable.transaction() as connection:
            if not connection.execute(HAS_PROCESS).fetchall():
                connection.execute(ADD_PROCESS)

    def send(
        self,
        message: Message,
        *,
        deduplication_id: str | None = None,  # noqa: ARG002 - drops none
    ) -> None:
        """Put `message` behind those that are visible."""
        with translate_errors():
            self._durable.change(SEND, message.body(), self._clock())

    def look(self, visibility_seconds: float) -> Delivery | None:
        """Return the message that has been visible longest, or None."""
        with translate_errors():
            now = self._clock()
            self._free(now)
            while rows := self._quick.query(NEXT, now):
                number, body, receives = rows[0]
                if receives >= self._max_receives:
                    self._quick.change(BURY, self._dead_reason, number, receives)
                elif self._take(number, receives, now + visibility_seconds):
                    receipt = f"{number}:{receives + 1}"
                    text = body.decode(errors="replace")
                    return Delivery(text, receipt, visibility_seconds, is_first=not receives)
            self._show_overdue(now)
            return None

    def _take(self, number: int, receives: int, visible_at: float) -> bool:
        return bool(self._quick.change(TAKE, visible_at, this_process(), number, receives))

    def _show_overdue(self, now: float) -> None:
        """Once a minute, show messages that a clock that was ahead has hidden for too long."""
        if abs(now - self._shown_at) > MINUTE_SECONDS:
            self._shown_at = now
            self._quick.change(SHOW, now, now + LONGEST_HIDE_SECONDS)

    def _free(self, now: float) -> None:
        """Now and then, show the messages of processes that are gone from this machine."""
        if abs(now - self._freed_at) < LOOK_SECONDS:
            return
        self._freed_at = now
        for (process,) in self._quick.query(HOLDERS, now):
            if process and is_gone(process):
                self._quick.change(FREE, now, now, process)

    def is_empty(self) -> bool:
        """Return whether no message is visible."""
        with translate_errors():
            return not self._quick.query(NEXT, self._clock())

    def backlog(self) -> Backlog:
        """Return what the file holds."""
        with translate_errors():
            now = self._clock()
            ((waiting, first, hidden, dead),) = self._quick.query(COUNT, now, now)
        return Backlog(waiting, hidden, dead, max(now - (first or now), 0.0))

    def hide(self, delivery: Delivery, seconds: float) -> None:
        """Hide the message for `seconds` from now."""
        with translate_errors():
            self._quick.change(HIDE, self._clock() + seconds, *receipt_fields(delivery))

    def keep(self, delivery: Delivery, seconds: float) -> None:
        """Hide the message for `seconds` from now, as long as this process lives."""
        with translate_errors():
            self._quick.change(KEEP, self._clock() + seconds, *receipt_fields(delivery))

    def ack(self, delivery: Delivery) -> None:
        """Delete the message, even if it is a dead letter by now."""
        with translate_errors():
            self._quick.change(ACK, *receipt_fields(delivery))

    def database_with(self, register: Register) -> Database | None:
        """Return the file, if it is that of `register`."""
        if not (isinstance(register, SqliteRegister) and register.is_in(self._durable)):
            return None
        from outlast.worker.queues.sqlite_database import SqliteDatabase  # which imports this

        return SqliteDatabase(register, self, self._clock)

    def close(self) -> None:
        """Close the file."""
        self._durable.close()
        self._quick.close()


@contextmanager
def translate_errors() -> Iterator[None]:
    """Turn an error of the file into one of the queue."""
    try:
        yield
    except StoreUnavailable as error:
        raise QueueUnavailable(f"queue {error}") from error

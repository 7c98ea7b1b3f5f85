"""The dead letters of the embedded queue: the rows of its table that have a reason."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from outlast.checkpoint.sqlite_file import SqliteFile
from outlast.worker.queues.dead_letters import DeadLetter, DeadLetters
from outlast.worker.queues.sqlite import SCHEMA, translate_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# The cast is that of the queue's NEXT.
PAGE = """
SELECT id, CAST(body AS BLOB), receives, visible_at, dead_reason FROM outlast_messages
WHERE dead_reason IS NOT NULL AND id > ? ORDER BY id LIMIT 500
"""
# Dead or not, no two messages ever have the same id.
DROP = "DELETE FROM outlast_messages WHERE id = ?"
AGAIN = """
INSERT INTO outlast_messages (body, visible_at)
SELECT body, ? FROM outlast_messages WHERE id = ?
"""


class SqliteDeadLetters(DeadLetters):
    """The dead letters of a queue in this file; they stay in its table until they are dropped.

    `clock` is the queue's, in seconds since the epoch.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        with translate_errors():
            self._file = SqliteFile(path, schema=SCHEMA)

    @contextmanager
    def look(self) -> Iterator[Iterator[DeadLetter]]:
        """Iterate over the dead letters; see `DeadLetters.look`."""
        yield self._read()

    def redrive(self, letter: DeadLetter) -> None:
        """Send the message again, in one transaction; see `DeadLetters.redrive`."""
        # A new row: on the old one stale receipts would match again.
        with translate_errors(), self._file.transaction() as connection:
            connection.execute(AGAIN, [self._clock(), letter.letter_id])
            connection.execute(DROP, [letter.letter_id])

    def drop(self, letter: DeadLetter) -> None:
        """Delete the message for good; see `DeadLetters.drop`."""
        with translate_errors():
            self._file.change(DROP, letter.letter_id)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read(self) -> Iterator[DeadLetter]:
        number = 0
        while True:
            with translate_errors():
                rows = self._file.query(PAGE, number)
            for number, body, receives, since, reason in rows:
                text = body.decode(errors="replace")
                yield DeadLetter(str(number), text, receives, since, reason)
            if not rows:
                return

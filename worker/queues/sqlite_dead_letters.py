"""The dead letters of the embedded queue: rows of its table that have a reason."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from outlast.checkpoint.sqlite_file import SqliteFile
from outlast.worker.queues.dead_letters import DeadLetter, DeadLetters
from outlast.worker.queues.sqlite import SCHEMA, translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# A cast: as in the queue's NEXT.
PAGE = """
SELECT id, CAST(body AS BLOB), receives, visible_at, dead_reason FROM outlast_messages
WHERE dead_reason IS NOT NULL AND id > ? ORDER BY id LIMIT 500
"""
# No living message ever has the id of a dead one.
DROP = "DELETE FROM outlast_messages WHERE id = ?"
AGAIN = """
INSERT INTO outlast_messages (body, visible_at)
SELECT body, ? FROM outlast_messages WHERE id = ?
"""


class SqliteDeadLetters(DeadLetters):
    """The messages that a queue in this file has given up; they stay where they are until dropped.

    `clock` is the queue's: it gives seconds since the epoch.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        with translated():
            self._file = SqliteFile(path, schema=SCHEMA)

    @contextmanager
    def look(self) -> Iterator[Iterator[DeadLetter]]:
        """Lend the dead letters; see `DeadLetters.look`."""
        yield self._letters()

    def redrive(self, letter: DeadLetter) -> None:
        """Send the message again, in one transaction; see `DeadLetters.redrive`."""
        # A new row: in the old one the receipts of the first time would fit once more.
        with translated(), self._file.transaction() as connection:
            connection.execute(AGAIN, [self._clock(), letter.letter_id])
            connection.execute(DROP, [letter.letter_id])

    def drop(self, letter: DeadLetter) -> None:
        """Delete the message for good; see `DeadLetters.drop`."""
        with translated():
            self._file.change(DROP, letter.letter_id)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _letters(self) -> Iterator[DeadLetter]:
        number = 0
        while True:
            with translated():
                rows = self._file.query(PAGE, number)
            for number, body, receives, since, reason in rows:
                text = body.decode(errors="replace")
                yield DeadLetter(str(number), text, receives, since, reason)
            if not rows:
                return

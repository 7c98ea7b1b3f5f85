"""The queue: of which kind it is, and the checks of a queue in a file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Protocol

from outlast.checkpoint.sqlite_url import sqlite_path
from outlast.worker.doctor.finding import ok
from outlast.worker.doctor.receives import dead_findings, receives_findings
from outlast.worker.queues import redis_place
from outlast.worker.queues.contract import Delivery
from outlast.worker.queues.sqlite import SqliteQueue

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from outlast.worker.doctor.finding import Check, Finding
    from outlast.worker.settings import Settings

NO_MESSAGE = Delivery("", "0:0")  # ids begin at 1


class QueueExamination(Protocol):
    """Examines one queue."""

    def checks(self) -> list[Check]:
        """Return the checks of the queue; none of them touches a job's message."""


def examine_queue(settings: Settings) -> QueueExamination:
    """Return the examination of the queue that the settings name."""
    if path := sqlite_path(settings.queue):
        return FileExamination(settings, path)
    if place := redis_place(settings.queue):
        from outlast.worker.doctor.redis_queue import RedisExamination

        return RedisExamination(settings, *place)
    from outlast.worker.doctor.sqs_queue import SqsExamination

    return SqsExamination(settings)


class FileExamination:
    """Examines a queue in a SQLite file."""

    def __init__(self, settings: Settings, path: Path) -> None:
        self._settings = settings
        self._path = path

    def checks(self) -> list[Check]:
        """Return the checks; those of the disk only if the store is not in the same file."""
        receives = partial(receives_findings, self._settings)
        checks: list[Check] = [self._rights, receives, self._dead]
        if self._path != sqlite_path(self._settings.store):
            from outlast.worker.doctor.sqlite_disk import disk_findings

            limit = self._settings.max_state_bytes
            checks.append(partial(disk_findings, "queue", self._path, max_state_bytes=limit))
        return checks

    def _rights(self) -> Iterator[Finding]:
        with closing(SqliteQueue(self._path)) as queue:
            # Each takes the write lock, and changes no message.
            queue.hide(NO_MESSAGE, 0)
            queue.ack(NO_MESSAGE)
        yield ok("queue.reach", f"sqlite:///{self._path} can be written to")

    def _dead(self) -> Iterator[Finding]:
        count = "SELECT count(*) FROM outlast_messages WHERE dead_reason IS NOT NULL"
        with closing(sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            ((dead,),) = db.execute(count)
        yield from dead_findings(dead)

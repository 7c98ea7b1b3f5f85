"""Sweeps in the time that a worker can spare."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.worker.jobs.sweep import Sweep

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.worker.slices.worker_process import WorkerProcess

# Of a worker that has messages to handle.
SHARE = 0.05
# At a time: so long a message or a stop signal may wait.
MOST_SECONDS = 1.0


class Sweeper:
    """Sweeps every `every_seconds`, unless another worker does, in the time that it has saved up.

    A worker with slices of a minute comes here once a minute, and must not leave it at one request.
    """

    def __init__(self, process: WorkerProcess, *, every_seconds: float) -> None:
        self._process = process
        self._every_seconds = every_seconds
        self._due_at = process.clock() + every_seconds
        # From then on time is saved up; in the future: so long nothing is done.
        self._saves_since = process.clock()
        self._pieces: Iterator[str | None] | None = None

    def sweep(self, *, is_idle: bool) -> None:
        """Do the next pieces of a sweep, if there are some and the worker can spare the time.

        Raises:
            StoreUnavailable, QueueUnavailable: the next sweep goes on where this one broke off.
        """
        begun = self._process.clock()
        saved = MOST_SECONDS if is_idle else SHARE * (begun - self._saves_since)
        if saved < 0 or (self._pieces is None and begun < self._due_at):
            return
        if self._pieces is None:
            self._pieces = self._all_pieces()
        end = begun + min(saved, MOST_SECONDS)
        try:
            self._go_on(end)
        finally:
            now = self._process.clock()
            # What an idle worker does costs nothing, and pays for nothing that was done before.
            owed = 0.0 if is_idle else max(now - end, 0.0) / SHARE
            self._saves_since = max(self._saves_since, now + owed)

    def _go_on(self, end: float) -> None:
        """Do one piece, and more until `end`."""
        for _ in self._pieces or ():
            self._process.outages.store_answered()
            if self._process.clock() >= end:
                return
        self._pieces = None
        self._due_at = self._process.clock() + self._every_seconds

    def _all_pieces(self) -> Iterator[str | None]:
        process, every = self._process, self._every_seconds
        if turn := process.jobs.sweep_turns.take(process.worker, every_seconds=every):
            yield None
            sweep = Sweep(process.jobs, process.queue, turn, process.outages, after_seconds=every)
            yield from sweep.pieces()

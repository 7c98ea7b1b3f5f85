"""Sweeps in the time that a worker can spare."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.worker.jobs.sweep import Sweep

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.worker.slices.worker_process import WorkerProcess

# Of a worker that has messages to handle.
SHARE = 0.05


class Sweeper:
    """Sweeps every `every_seconds`, unless another worker does, a few requests at a time."""

    def __init__(self, process: WorkerProcess, *, every_seconds: float) -> None:
        self._process = process
        self._every_seconds = every_seconds
        self._due_at = process.clock() + every_seconds
        self._rests_until = process.clock()
        self._pieces: Iterator[str | None] | None = None

    def sweep(self, *, is_idle: bool) -> None:
        """Do the next piece of a sweep, if there is one to do and the worker can spare the time.

        Raises:
            StoreUnavailable, QueueUnavailable: the next sweep goes on where this one broke off.
        """
        begun = self._process.clock()
        if begun < self._rests_until and not is_idle:
            return
        if self._pieces is None:
            if begun < self._due_at:
                return
            self._pieces = self._all_pieces()
        try:
            next(self._pieces)
        except StopIteration:
            self._pieces = None
            self._due_at = self._process.clock() + self._every_seconds
        finally:
            now = self._process.clock()
            self._rests_until = now + (now - begun) * (1 / SHARE - 1)

    def _all_pieces(self) -> Iterator[str | None]:
        process, every = self._process, self._every_seconds
        if turn := process.jobs.sweep_turns.take(process.worker, every_seconds=every):
            yield None
            yield from Sweep(process.jobs, process.queue, turn, after_seconds=every).pieces()

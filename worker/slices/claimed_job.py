"""A job that this worker has claimed, and the work on it."""

from __future__ import annotations

import math
from functools import cached_property, partial
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import StoreUnavailable
from outlast.checkpoint.status import Status
from outlast.kernel.bulk import has_bulk, loaded
from outlast.worker.slices.arrays import Arrays
from outlast.worker.slices.figures import figures
from outlast.worker.slices.handover import Handover
from outlast.worker.slices.kernel_errors import line
from outlast.worker.slices.kernel_output import bulk_bytes_of, progress_of, stored_state
from outlast.worker.slices.last_tries import insist
from outlast.worker.slices.leased_job import LeasedJob, Stopped
from outlast.worker.slices.protocol import Errored, Failed, Postponed, Succeeded, ended
from outlast.worker.slices.reading import read_params
from outlast.worker.slices.unsaved import Snapshot, Unsaved
from outlast.worker.telemetry.job_events import tell_quarantine

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

    from outlast.checkpoint.job_store import StoredJob
    from outlast.checkpoint.record import Record
    from outlast.checkpoint.record_parts import Checkpoint
    from outlast.checkpoint.register import Put
    from outlast.kernel.bulk import Stored
    from outlast.worker.queues.contract import Delivery
    from outlast.worker.slices.held import Yielded
    from outlast.worker.slices.protocol import Ending
    from outlast.worker.slices.reading import Restored
    from outlast.worker.slices.worker_process import AnyKernel, WorkerProcess


class ClaimedJob(LeasedJob):
    """The job, its kernel, and the work on it that is not stored yet.

    Attributes:
        kernel: what runs; there once it is loaded.
        restored: the state from which it goes on; None: it begins, or has gone on already.
        is_stopped: whether a stop signal has come.
        seconds_left: until the platform ends all, or 0 once there is a reason to stop; infinite:
            there is neither.
        limit_seconds: until the platform ends all, whatever the reason to stop.
        tried_seconds: how long the end of the slice tried in vain.
        arrays: those of its states, on their way to where they are kept.
        prepares_since: when the kernel began to prepare, by the process's clock; None: it does not.
        unprepared: what it raised as it prepared, until that is told; None: nothing.
        told: the error of the kernel that the log has; None: it has none.
        is_acked: whether the message was acknowledged with the end of the slice.
    """

    kernel: AnyKernel
    restored: Restored | None = None
    prepares_since: float | None = None
    unprepared: BaseException | None = None
    told: str | None = None
    is_acked: bool = False

    def __init__(self, process: WorkerProcess, delivery: Delivery, before: StoredJob) -> None:
        """Prepare to claim the job, as it was read in `before`; see `take`."""
        super().__init__(process, delivery, before)
        self.is_stopped: Callable[[], bool] = lambda: False
        self.seconds_left: Callable[[], float] = lambda: math.inf
        self.limit_seconds: Callable[[], float] = lambda: math.inf
        self.tried_seconds = 0.0
        self.arrays = Arrays(process, f"{before.record.job_id}/{self.token}", self.note_life)

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self.arrays.close()
        self.process.timing.forget_job()
        super().__exit__(kind, *error)

    @cached_property
    def params(self) -> BaseModel:
        """The parameters as the kernel's model reads them.

        Raises:
            ValidationError: they do not fit it.
        """
        params: BaseModel = loaded(self.kernel.Params, *self.stored_params)
        return params

    def require_packages(self, params: BaseModel) -> None:
        """Do nothing if the packages are installed that the kernel needs for these parameters.

        Raises:
            UnknownKernel: one is missing.
        """
        self.kernel.require(params)

    @cached_property
    def stored_params(self) -> Stored:
        """The parameters as they are stored, read with their arrays at the first time.

        Raises:
            Unreadable, StoreUnavailable: as `read_params`.
        """
        return read_params(self)

    @property
    def is_paused(self) -> bool:
        """Whether a person has paused the job: then its slice ends."""
        return self.record.status is Status.PAUSED

    @cached_property
    def has_arrays(self) -> bool:
        """Whether the kernel's state has arrays, which change as soon as the kernel goes on."""
        return has_bulk(self.kernel.State)

    @cached_property
    def may_send(self) -> bool:
        """Whether arrays may have to be sent: those of a state, or of the result."""
        return self.has_arrays or has_bulk(self.kernel.Result)

    @property
    def bulk_bytes(self) -> int:
        """How many bytes of arrays the next save is likely to send."""
        expected = self.arrays.expected_bytes
        return self.stored_bulk_bytes if expected is None else expected

    @property
    def progress(self) -> float:
        """The share of the work that is done, stored or not, 0 to 1.

        Raises:
            Unusable: the kernel cannot tell.
        """
        if self.work.state is None:
            return self.record.progress
        return progress_of(self.kernel, self.params, self.work.state)

    def per_second(self, progress: float) -> float:
        """Return the speed lately, now that the job has this progress; 0: it is not known.

        The first second tells nothing: a first piece is seldom like the others.
        """
        record, seconds = self.record, self.work.seconds
        pace = record.pace.spent(seconds - record.usage.compute_seconds)
        return pace.moved(progress - record.progress, seconds).per_second if seconds >= 1 else 0.0

    def advanced(self, state: Yielded, step_seconds: float) -> None:
        """Take over the state that a step has led to, which took so many seconds."""
        if self.work.state is None and self.has_arrays:
            self.arrays.expect(bulk_bytes_of(state))
        self.work.advanced(state, step_seconds)
        self.process.timing.bytes_to_send = self.bulk_bytes
        self.note_life()

    def quarantine(self, checkpoint: Checkpoint) -> None:
        """Put a checkpoint aside whose arrays cannot be read.

        Raises:
            StoreUnavailable: it may not be.
        """
        before, clock = self.record, self.process.jobs.clock
        self.write(lambda record: record.unreadable(checkpoint, clock()))
        tell_quarantine(before, self.record)

    def write(
        self, move: Callable[[Record], Record], put: Callable[[Record], Put] | None = None
    ) -> Record:
        """Store what `move` makes of the job, and of its chunks; return that."""
        self.arrays.writes()
        record = super().write(lambda record: self.arrays.added_to(move(record)), put)
        self.arrays.stored(record)
        return record

    def go_on_reading(self) -> None:
        """Note that a piece of the arrays was read.

        Raises:
            Stopped: a stop signal has come, and all that was read is in vain.
        """
        self.note_life()
        if self.is_stopped():
            raise Stopped

    def save(self) -> bool:
        """Store what was done since the last save; return whether that is done.

        Arrays are copied, and sent while the kernel goes on: then see `finish_save`.

        Raises:
            Unusable, StateTooLarge: the state cannot be stored.
            StoreUnavailable: nothing may have been written.
        """
        work = self._unsaved()
        if work.snapshot and work.snapshot.bulk.size:
            self.arrays.begin(work, work.snapshot, self.record)
            return False
        self._store(work)
        return True

    def finish_save(self) -> bool:
        """Store the state whose arrays were sent; return that it is done.

        Raises:
            StoreUnavailable: they were not, or nothing may have been written.
        """
        self._store(self.arrays.finish())
        return True

    def _store(self, work: Unsaved) -> None:
        """Store work, and extend lease and visibility."""
        clock, begun = self.process.clock, self.process.clock()
        begun += self.cover(work.state_bytes)
        renewal = self.renewal(self.lease_seconds_for(work.state_bytes))
        self.write(lambda record: renewal(work.added_to(record, self.process.jobs.clock())))
        self.work.stored(work)
        self.process.timing.saw_write(clock() - begun, work.state_bytes)
        self.keep_hidden()

    def end(self, ending: Ending) -> Record:
        """Store the last state and the end of the slice in one write; return the job after it.

        Raises:
            Unusable, StateTooLarge: the state cannot be stored.
            LeaseLost, StoreUnavailable: as `insist`; the checkpoint before stands.
        """
        self.is_used = True
        try:
            work, ending = insist(self, partial(self._sent, ending))
        except StoreUnavailable as error:  # So far only the place of arrays was asked.
            work, ending = self._unsent(ending, error)
        self.cover(work.state_bytes)

        def move(record: Record) -> Record:
            # Asked at each attempt: what a save drops is kept for a while from then on.
            now = self.process.jobs.clock()
            return ended(self.with_doubt(work.added_to(record, now)), ending, now)

        return insist(self, lambda: self._hand_over(move))

    def _hand_over(self, move: Callable[[Record], Record]) -> Record:
        """Store the end of the slice; in the same step, if that can be, pass the job on."""
        database = self.process.database
        if database is None:
            return self.write(move)

        def announced(record: Record) -> Record:
            after = move(record)
            goes_on = after.status is Status.QUEUED and not self.is_paused
            return after.marked_announced() if goes_on else after

        handover = Handover(database, self.delivery)
        record = self.write(announced, handover.put)
        self.is_acked = handover.acks(record)
        return record

    def _sent(self, ending: Ending) -> tuple[Unsaved, Ending]:
        """Return what the last write stores; the arrays of state and result are there."""
        work = self._last(ending)
        if isinstance(ending, Succeeded) and ending.bulk.size:
            ending = ending.with_chunks(self.arrays.send(ending.bulk, self.record))
        return work, ending

    def _unsent(self, ending: Ending, error: StoreUnavailable) -> tuple[Unsaved, Ending]:
        """Return an end of the slice without the arrays, which could not be sent."""
        self.arrays.stop()
        if self.has_arrays:
            self.drop_state()
        if not isinstance(ending, (Failed, Errored)):
            ending = Postponed(line(error))
        return self._last(ending), ending

    def _last(self, ending: Ending) -> Unsaved:
        """Return the work that the last write stores; the arrays of its state are there."""
        if isinstance(ending, Succeeded) or self._is_newest_to_send():
            self.arrays.stop()
            work = self._unsaved()
            if work.snapshot and work.snapshot.bulk.size:
                work = work._replace(chunks=self.arrays.send(work.snapshot.bulk, self.record))
        else:
            work = self._finished()._replace(seconds=self.work.seconds, pace=self.work.pace)
        is_over = isinstance(ending, Succeeded)
        return work if is_over else work._replace(redone=self.work.seconds - work.state_seconds)

    def _is_newest_to_send(self) -> bool:
        """Whether the newest state is to be sent, and not the one that is on its way."""
        staged = self.arrays.under_way
        if staged is None:
            return True
        if staged.steps == self.work.steps:
            return False  # There is no newer one.
        # On a slow line it would not arrive before the platform's end, and the other neither.
        return self.process.timing.last_save_seconds() < self.seconds_left()

    def _finished(self) -> Unsaved:
        try:
            return self.arrays.finish()
        except StoreUnavailable:
            if self.work.state is None:
                self.drop_state()
            raise

    def drop_state(self) -> None:
        """Forget the newest state, which cannot be stored: the one before it stands."""
        self.work.drop_state(self.arrays.under_way, self.record)

    def _unsaved(self) -> Unsaved:
        work = self.work
        unsaved = Unsaved(work.steps, work.seconds, work.pace, work.state_seconds)
        if work.state is None or work.steps == self.record.usage.steps:
            return unsaved
        stored = stored_state(
            self.kernel, work.state, max_bytes=self.process.max_state_bytes, row=self.arrays.row
        )
        fields = {
            "version": self.kernel.version,
            "slice": self.record.slice_number,
            "progress": self.progress,
            "saved_at": self.process.jobs.clock(),
            "metrics": figures(self.kernel, self.params, work.state),
        }
        return unsaved._replace(snapshot=Snapshot(*stored, fields))

"""A job that this worker has claimed: the one owner of its lease, and all writes under it."""

from __future__ import annotations

import logging
import math
import secrets
import threading
from functools import cached_property
from typing import TYPE_CHECKING, Self, TypeVar

from outlast.checkpoint.errors import LeaseLost, StoreUnavailable
from outlast.checkpoint.record_parts import Lease
from outlast.kernel.bulk import has_bulk, loaded
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.slices.arrays import Arrays
from outlast.worker.slices.backoff import backoff
from outlast.worker.slices.kernel_output import bulk_bytes_of, progress_of, stored_state
from outlast.worker.slices.protocol import Succeeded, ended
from outlast.worker.slices.reading import read_params
from outlast.worker.slices.timing import LEASE_INTERVALS, SAFETY
from outlast.worker.slices.unsaved import Snapshot, Unsaved
from outlast.worker.slices.work import Work
from outlast.worker.telemetry.events import QUEUE_UNAVAILABLE, STORE_UNAVAILABLE, tell
from outlast.worker.telemetry.job_events import tell_claim, tell_quarantine

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

    from outlast.checkpoint.job_store import StoredJob
    from outlast.checkpoint.record import Record
    from outlast.checkpoint.record_parts import Checkpoint
    from outlast.kernel.bulk import Stored
    from outlast.worker.queues.contract import Delivery
    from outlast.worker.slices.held import Yielded
    from outlast.worker.slices.protocol import Ending
    from outlast.worker.slices.reading import Restored
    from outlast.worker.slices.worker_process import AnyKernel, WorkerProcess

log = logging.getLogger("outlast.slice")

T = TypeVar("T")

# A lease that has lost no more than this is not worth a write.
BRIEF_SECONDS = 1.0
# A step that has not returned by then may never do so: others are to have a chance.
LONGEST_STEP_SECONDS = 600.0
# A lease is doubled eight times at most.
MAX_STRETCHES = 16
# Waits between the attempts at the last save of a slice, whose loss would cost the most.
LAST_SAVE_WAITS_SECONDS = (0.1, 0.4, 1.5)


class JobMoved(Exception):
    """The job is not as it was read. Look again."""


class ClaimedJob:
    """The job, its lease, and the work on it that is not stored yet.

    It alone takes the lease, renews it, writes under it and gives it up, and hides the message
    meanwhile. Every write is fenced by the lease: a worker that has lost it finds out at its next
    write, and writes nothing. As a context it undoes a claim that was not used.

    Attributes:
        delivery: the message for which the job was claimed.
        stored: the job as last stored, with its version.
        kernel: what runs; there once it is loaded.
        restored: the state from which it goes on; None: it begins, or has gone on already.
        work: what was done on it, stored or not.
        arrays: those of its states, on their way to where they are kept.
        is_used: whether the slice has begun, so that its claim counts.
        doubt: an error that may be this machine's fault, by its kind and as a line; None: none.
    """

    kernel: AnyKernel
    restored: Restored | None = None

    def __init__(self, process: WorkerProcess, delivery: Delivery, before: StoredJob) -> None:
        """Prepare to claim the job, as it was read in `before`; see `take`."""
        self.process = process
        self.delivery = delivery
        self.work = Work(before.record)
        self.is_used = False
        self.doubt: tuple[str, str] | None = None
        self.stored = before
        self._before = before
        self._token = secrets.token_hex(8)
        self._stepped_at = process.clock()
        self._writing = threading.Lock()
        name = f"{before.record.job_id}/{self._token}"
        self.arrays = Arrays(process, name, self.note_life)

    @classmethod
    def take(
        cls, process: WorkerProcess, before: StoredJob, delivery: Delivery, *, announced: bool
    ) -> Self:
        """Take the lease; `announced`: as in `Record.claimed`.

        The claim comes before anything of the kernel is imported or runs: that may take the process
        down, and then the slice has been counted.

        Raises:
            VersionConflict: someone else was faster.
            JobMoved: no further slice may begin, so the job was given up instead.
        """
        job = cls(process, delivery, before)
        # A worker that dies must not cost a queue's whole visibility timeout, which on Lambda is
        # many times that of a slice. A consumer asked for the right one at the receipt.
        if delivery.hidden_seconds < job.lease_seconds:
            job.keep_hidden()
        begun = process.clock()
        # What jumps the queue, or waits in one of its own, says nothing of those that wait there.
        queued = announced and not process.is_alone
        claimed = before.record.claimed(job._new_lease(), announced=announced, queued=queued)
        job.stored = process.jobs.replace(before, claimed)
        process.timing.saw_write(process.clock() - begun, job.state_bytes)
        tell_claim(before.record, job.record, process.platform)
        if job.record.lease is None:
            raise JobMoved
        return job

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.arrays.close()
        self.process.timing.bytes_to_send = 0
        # Anything but an Exception ends the process: then the claim must count.
        if not self.is_used and (kind is None or issubclass(kind, Exception)):
            self.give_back()

    @property
    def record(self) -> Record:
        """The job as last stored."""
        return self.stored.record

    @cached_property
    def params(self) -> BaseModel:
        """The parameters as the kernel's model reads them.

        Raises:
            ValidationError: they do not fit it.
        """
        params: BaseModel = loaded(self.kernel.Params, *self.stored_params)
        return params

    @cached_property
    def stored_params(self) -> Stored:
        """The parameters as they are stored, read with their arrays at the first time.

        Raises:
            Unreadable, StoreUnavailable: as `read_params`.
        """
        return read_params(self)

    @cached_property
    def has_arrays(self) -> bool:
        """Whether the kernel's state has arrays, which change as soon as the kernel goes on."""
        return has_bulk(self.kernel.State)

    @property
    def bulk_bytes(self) -> int:
        """How many bytes of arrays the next save is likely to send."""
        if self.arrays.expected_bytes:
            return self.arrays.expected_bytes
        checkpoints = self.record.checkpoints
        return checkpoints[0].bulk_bytes if checkpoints else 0

    @property
    def progress(self) -> float:
        """The share of the work that is done, stored or not, 0 to 1.

        Raises:
            Unusable: the kernel cannot tell.
        """
        if self.work.state is None:
            return self.record.progress
        return progress_of(self.kernel, self.params, self.work.state)

    @property
    def state_bytes(self) -> int:
        """The size of the newest stored state; 0: there is none."""
        checkpoints = self.record.checkpoints
        return checkpoints[0].packed.size if checkpoints else 0

    @property
    def lease_seconds(self) -> float:
        """How long the lease is to run from its next renewal."""
        return self._lease_seconds(self.state_bytes)

    def _lease_seconds(self, state_bytes: int) -> float:
        seconds = self.process.timing.lease_seconds(state_bytes)
        return self.stretched(seconds) if self.work.state is None else seconds

    def stretched(self, seconds: float) -> float:
        """Return a time that doubles with every two slices in a row that did not advance the job.

        If a lease were too short for a step that keeps the heart from beating, one worker after
        another would lose the job, and none would advance it. But a job whose workers happened to
        be killed waits for longer.
        """
        stalls = min(self._before.record.guards.stalls, MAX_STRETCHES)
        return backoff(stalls, first=seconds, longest=math.inf, factor=math.sqrt(2))

    def slice_seconds(self, wish: float) -> float:
        """Return how long a slice is to be that should last for `wish`, so that a step fits in."""
        return self.stretched(max(wish, self.work.longest_step_seconds))

    def advanced(self, state: Yielded, step_seconds: float) -> None:
        """Take over the state that a step has led to, which took so many seconds."""
        if self.work.state is None and self.has_arrays:
            self.arrays.expect(bulk_bytes_of(state))
        self.work.advanced(state, step_seconds)
        self.note_life()

    def note_life(self) -> None:
        """Let the heart beat on: a step has ended, or a piece of the arrays was sent."""
        self._stepped_at = self.process.clock()

    def begin(self) -> None:
        """Begin the slice: from here on the claim counts, and what is done can be lost."""
        self.is_used, self._stepped_at = True, self.process.clock()

    # Writes. All raise LeaseLost where another worker has the job or a person stopped it.

    def renew(self) -> None:
        """Renew the lease unless it is brand-new, and learn whether the job is still ours."""
        lease = self.record.lease
        if lease and self.process.jobs.clock() - lease.claimed_at >= BRIEF_SECONDS:
            with self._writing:
                self._renew()

    def keep_alive(self) -> None:
        """Renew the lease if a third of it is left, for as long as the kernel may be alive.

        It is called from another thread, now and then, while this one is busy.
        """
        if not self._writing.acquire(blocking=False):
            return  # A write is under way, and renews it.
        try:
            if self._is_due():
                self._renew()
        finally:
            self._writing.release()

    def _renew(self) -> None:
        try:
            self._replace(self._renewal(self.lease_seconds))
        except StoreUnavailable as error:
            self.tell_unsaved("goes on with the lease that it has", error)
        else:
            self.keep_hidden()

    def _is_due(self) -> bool:
        """Whether the lease should be renewed; not where a step may never return."""
        lease = self.record.lease
        lasted = self.process.clock() - self._stepped_at
        if lease is None or lasted > self.slice_seconds(LONGEST_STEP_SECONDS):
            return False
        return lease.expires_at - self.process.jobs.clock() <= lease.seconds / LEASE_INTERVALS

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
        begun += self._cover(work.state_bytes)
        renewal = self._renewal(self._lease_seconds(work.state_bytes))
        self._write(lambda record: renewal(self._with(work, record)))
        self.work.stored(work)
        self.process.timing.saw_write(clock() - begun, work.state_bytes)
        self.keep_hidden()

    def end(self, ending: Ending) -> Record:
        """Store the last state and the end of the slice in one write; return the job after it.

        Raises:
            Unusable, StateTooLarge: the state cannot be stored.
            StoreUnavailable: it was tried more than once; the checkpoint before stands.
        """
        self.is_used = True
        work = self._insist(lambda: self._last(ending))
        if isinstance(ending, Succeeded):
            result = ending
            ending = self._insist(lambda: self._with_chunks(result))
        self._cover(work.state_bytes)
        now = self.process.jobs.clock()
        return self._insist(
            lambda: self._write(
                lambda record: ended(self._with_doubt(self._with(work, record)), ending, now)
            )
        )

    def _with(self, work: Unsaved, record: Record) -> Record:
        return self.arrays.added_to(work.added_to(record))

    def _insist(self, act: Callable[[], T]) -> T:
        """Do what the end of a slice needs, again where the store does not answer."""
        for seconds in LAST_SAVE_WAITS_SECONDS:
            try:
                return act()
            except StoreUnavailable as error:
                self.tell_unsaved("tries its last save again", error)
                self.process.sleep(seconds)
        return act()

    def _last(self, ending: Ending) -> Unsaved:
        """Return what the last write stores; the arrays of its state are there."""
        staged = self.arrays.under_way
        if isinstance(ending, Succeeded) or staged is None or staged.steps != self.work.steps:
            self.arrays.stop()
            work = self._unsaved()
            if work.snapshot and work.snapshot.bulk.size:
                work = work._replace(chunks=self.arrays.send(work.snapshot.bulk, self.record))
        else:  # There is no newer state.
            work = self._finished()._replace(seconds=self.work.seconds, pace=self.work.pace)
        is_over = isinstance(ending, Succeeded)
        return work if is_over else work._replace(redone=self.work.lost_seconds)

    def _finished(self) -> Unsaved:
        try:
            return self.arrays.finish()
        except StoreUnavailable:
            if self.work.state is None:
                self.drop_state()
            raise

    def _with_chunks(self, ending: Succeeded) -> Succeeded:
        if not ending.bulk.size:
            return ending
        return ending.with_chunks(self.arrays.send(ending.bulk, self.record))

    def drop_state(self) -> None:
        """Forget the newest state, which cannot be stored: the one before it stands."""
        self.work.drop_state(self.arrays.under_way, self.record)

    def _cover(self, state_bytes: int) -> float:
        """Renew a lease that might end during a write of that size; return what that took."""
        needed = SAFETY * self.process.timing.write_seconds(state_bytes)
        lease = self.record.lease
        if lease is None or lease.expires_at - self.process.jobs.clock() >= needed:
            return 0.0
        begun = self.process.clock()
        seconds = max(self._lease_seconds(state_bytes), 2 * needed)
        try:
            self._write(self._renewal(seconds))
        except StoreUnavailable as error:
            self.tell_unsaved("goes on with the lease that it has", error)
        self._hide(seconds)
        return self.process.clock() - begun

    def quarantine(self, checkpoint: Checkpoint) -> None:
        """Put a checkpoint aside whose arrays cannot be read.

        Raises:
            StoreUnavailable: it may not be.
        """
        before = self.record
        self._write(lambda record: record.unreadable(checkpoint))
        tell_quarantine(before, self.record)

    def give_back(self) -> None:
        """Undo the claim, as no part of the job was run; if that fails, a stall stays counted."""
        if self.record.lease is None:
            return
        before = self._before.record
        try:
            self._write(lambda record: self._with_doubt(record.unclaimed(before)))
        except LeaseLost:
            return
        except StoreUnavailable as error:
            self.tell_unsaved("was not given back and waits for the end of its lease", error)

    def _with_doubt(self, record: Record) -> Record:
        if self.doubt is None:
            return record
        kind, error = self.doubt
        return record.doubted(kind, self.process.worker, error)

    def keep_hidden(self) -> None:
        """Hide the message for as long as a new lease runs; a failure costs others a look."""
        self._hide(self.lease_seconds)

    def _hide(self, seconds: float) -> None:
        try:
            self.process.hide(self.delivery, seconds)
        except QueueUnavailable as error:
            effect = "a message may come again too soon"
            tell(log, QUEUE_UNAVAILABLE, effect=effect, error=str(error))

    def tell_unsaved(self, effect: str, error: Exception) -> None:
        """Log that a write failed, and what becomes of the job."""
        effect = f"job {self.record.job_id} {effect}"
        tell(log, STORE_UNAVAILABLE, effect=effect, error=str(error))

    def _write(self, move: Callable[[Record], Record]) -> Record:
        with self._writing:
            record = self._replace(move)
        self.arrays.stored(record)
        return record

    def _replace(self, move: Callable[[Record], Record]) -> Record:
        self.stored = self.process.jobs.advance(self.stored, self._token, move)
        return self.stored.record

    def _new_lease(self) -> Lease:
        process, now = self.process, self.process.jobs.clock()
        seconds = self.lease_seconds
        return Lease(
            worker=process.worker,
            platform=process.platform,
            token=self._token,
            claimed_at=now,
            expires_at=now + seconds,
            seconds=seconds,
            at_risk_seconds=self._at_risk_seconds,
        )

    @property
    def _at_risk_seconds(self) -> float:
        """The most work that a kill loses: one interval and one step."""
        lasted = self.process.clock() - self._stepped_at
        step = max(self.work.next_step_seconds, lasted) if self.is_used else 0.0
        return self.process.timing.interval_seconds(self.state_bytes) + step

    def _renewal(self, seconds: float) -> Callable[[Record], Record]:
        """Return the move that lets the lease run for `seconds` from the moment it is made."""
        clock, at_risk = self.process.jobs.clock, self._at_risk_seconds
        return lambda record: record.renewed(clock(), seconds, at_risk_seconds=at_risk)

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
        }
        return unsaved._replace(snapshot=Snapshot(*stored, fields))

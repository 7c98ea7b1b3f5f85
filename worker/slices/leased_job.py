"""A job under a lease: who has it, for how long, and all writes under it."""

from __future__ import annotations

import logging
import math
import secrets
import threading
from functools import partial
from typing import TYPE_CHECKING, Self, TypeVar

from outlast.checkpoint.errors import DeletedJob, LeaseLost, StoreUnavailable
from outlast.checkpoint.local_process import this_process
from outlast.checkpoint.record import Record
from outlast.checkpoint.record_parts import Lease
from outlast.checkpoint.safe_text import one_line
from outlast.checkpoint.status import Status
from outlast.kernel import UnknownKernel
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.slices.backoff import backoff
from outlast.worker.slices.kernel_errors import ERROR_CHARACTERS
from outlast.worker.slices.timing import LEASE_INTERVALS, SAFETY
from outlast.worker.slices.work import Work
from outlast.worker.telemetry.job_events import tell_claim
from outlast.worker.telemetry.kernel_lines import last_lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.checkpoint.job_store import StoredJob
    from outlast.checkpoint.register import Put
    from outlast.worker.queues.contract import Delivery
    from outlast.worker.slices.worker_process import WorkerProcess

log = logging.getLogger("outlast.slice")

T = TypeVar("T")

# A lease that has lost no more than this is not worth a write.
FRESH_SECONDS = 1.0
# A step that has not returned by then may never do so: others are to have a chance.
LONGEST_STEP_SECONDS = 600.0
# A lease is doubled eight times at most.
MAX_STRETCHES = 16


class JobMoved(Exception):
    """The job is not as it was read. Look again."""


class Stopped(Exception):
    """A stop signal came before the slice began. Give the job back."""


class LeasedJob:
    """The job and its lease.

    It alone takes the lease, renews it, writes under it and gives it up, and hides the message
    meanwhile. Every write is fenced by the lease: a worker that has lost it finds out at its next
    write, and writes nothing. As a context it undoes a claim that was not used.

    Attributes:
        delivery: the message for which the job was claimed.
        stored: the job as last stored, with its version; its claim may not be stored yet.
        token: that of the lease.
        work: what was done on it, stored or not.
        is_used: whether the slice has begun, so that its claim counts.
        is_known: whether others may know of the claim: a write of it was tried.
        is_lost: whether the heartbeat has found that the job is not ours any more.
        doubt: an error that may be this machine's fault, by its kind and as a line; None: none.
        obstacle: why this worker cannot run the job; one line; None: nothing is in its way.
        stepped_at: when the last sign of life came, by the process's clock: see `note_life`.
    """

    _claim: Callable[[Record], Record]

    def __init__(self, process: WorkerProcess, delivery: Delivery, before: StoredJob) -> None:
        """Prepare to claim the job, as it was read in `before`; see `take`."""
        self.process = process
        self.delivery = delivery
        self.token = secrets.token_hex(8)
        self.work = Work(before.record)
        self.is_used = self.is_known = self.is_lost = False
        self.doubt: tuple[str, str] | None = None
        self.obstacle: str | None = None
        self.stored = before
        self._before = before
        self.stepped_at = process.clock()
        self._writing = threading.Lock()

    @classmethod
    def take(
        cls, process: WorkerProcess, before: StoredJob, delivery: Delivery, *, announced: bool
    ) -> Self:
        """Take the lease; `announced`: as in `Record.claimed`.

        The claim comes before anything of the kernel is imported or runs: that may take the process
        down, and then the slice has been counted. That of a brief slice is stored with its first
        write, or after a second: see `Brevity`.

        Raises:
            VersionConflict: someone else was faster.
            JobMoved: no further slice may begin, so the job was given up instead.
        """
        job = cls(process, delivery, before)
        # A worker that dies must not cost a queue's whole visibility timeout, which on Lambda is
        # many times that of a slice. A consumer asked for the right one at the receipt.
        if delivery.hidden_seconds < job.lease_seconds:
            job.keep_hidden()
        # What jumps the queue, or waits in one of its own, says nothing of those that wait there.
        queued = announced and not process.is_alone
        job._claim = partial(
            Record.claimed, lease=job._new_lease(), announced=announced, queued=queued
        )
        claimed = job._claim(before.record)
        if process.brevity.may_wait(before.record, claimed, delivery):
            job.stored = before._replace(record=claimed)
        else:
            begun, job.is_known = process.clock(), True
            job.stored = process.jobs.replace(before, claimed)
            process.timing.saw_write(process.clock() - begun, job.state_bytes)
        tell_claim(before.record, claimed, process.platform)
        if claimed.lease is None:
            raise JobMoved
        return job

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # Anything but an Exception ends the process: then the claim must count.
        if not self.is_used and (kind is None or issubclass(kind, Exception)):
            self.give_back()

    @property
    def record(self) -> Record:
        """The job as last stored."""
        return self.stored.record

    @property
    def state_bytes(self) -> int:
        """The size of the newest stored state; 0: there is none."""
        checkpoints = self.record.checkpoints
        return checkpoints[0].packed.size if checkpoints else 0

    @property
    def stored_bulk_bytes(self) -> int:
        """The size of the arrays of the newest stored state."""
        checkpoints = self.record.checkpoints
        return checkpoints[0].bulk_bytes if checkpoints else 0

    @property
    def bulk_bytes(self) -> int:
        """How many bytes of arrays the next save is likely to send."""
        return self.stored_bulk_bytes

    @property
    def is_writing(self) -> bool:
        """Whether a write to the store is under way."""
        return self._writing.locked()

    @property
    def lease_seconds(self) -> float:
        """How long the lease is to run from its next renewal."""
        return self.lease_seconds_for(self.state_bytes)

    def lease_seconds_for(self, state_bytes: int) -> float:
        """Return how long the lease is to run where a state of that size is written."""
        seconds = self.process.timing.lease_seconds(state_bytes)
        # Not by whether there is a state: that may be gone by the end of the slice.
        return seconds if self.work.slowest_seconds else self.stretched(seconds)

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

    def note_life(self) -> None:
        """Let the heart beat on: a step has ended, or a piece of the arrays was sent."""
        self.stepped_at = self.process.clock()

    def refused(self, error: Exception) -> UnknownKernel:
        """Note why this worker cannot run the job, for who waits for it; return it as an error."""
        text = f"worker {self.process.worker} cannot run it: {error}"
        self.obstacle = one_line(text, ERROR_CHARACTERS)
        return UnknownKernel(f"job {self.record.job_id}: {error}")

    def begin(self) -> None:
        """Begin the slice: from here on the claim counts, and what is done can be lost."""
        self.is_used, self.stepped_at = True, self.process.clock()

    # Writes. All raise LeaseLost where another worker has the job or a person stopped it.

    def renew(self) -> None:
        """Renew the lease unless it is brand-new, and learn whether the job is still ours."""
        lease = self.record.lease
        if lease and self.process.jobs.clock() - lease.claimed_at >= FRESH_SECONDS:
            with self._writing:
                self._renew()

    def keep_alive(self) -> None:
        """Renew the lease if a third of it is left, for as long as the kernel may be alive.

        It stores a claim that is not stored yet. It is called from another thread, now and then,
        while this one is busy.
        """
        if not self._writing.acquire(blocking=False):
            return  # A write is under way, and renews it.
        try:
            if self._is_due():
                self._renew()
        except (LeaseLost, DeletedJob):
            self.is_lost = True
            raise
        finally:
            self._writing.release()

    def _renew(self) -> None:
        try:
            self._replace(self.renewal(self.lease_seconds))
        except StoreUnavailable as error:
            self.tell_unsaved("goes on with the lease that it has", error)
        # Also where the store is away: to no worker the message would be of any use.
        self.keep_hidden()

    def _is_due(self) -> bool:
        """Whether the lease should be stored; not where a step may never return."""
        lease = self.record.lease
        lasted = self.process.clock() - self.stepped_at
        if lease is None or lasted > self.slice_seconds(LONGEST_STEP_SECONDS):
            return False
        if not self._is_claim_stored:
            return True
        return lease.expires_at - self.process.jobs.clock() <= lease.seconds / LEASE_INTERVALS

    def cover(self, state_bytes: int) -> float:
        """Renew a lease that might end during a write of that size; return what that took."""
        needed = SAFETY * self.process.timing.write_seconds(state_bytes)
        lease = self.record.lease
        if lease is None or lease.expires_at - self.process.jobs.clock() >= needed:
            return 0.0
        begun = self.process.clock()
        seconds = max(self.lease_seconds_for(state_bytes), 2 * needed)
        try:
            self.write(self.renewal(seconds))
        except StoreUnavailable as error:
            self.tell_unsaved("goes on with the lease that it has", error)
        self._hide(seconds)
        return self.process.clock() - begun

    def give_back(self) -> None:
        """Undo the claim, as no part of the job was run; if that fails, a stall stays counted."""
        has_news = self.is_known or self.doubt or self.obstacle
        if self.record.lease is None or not has_news:
            return

        def move(record: Record) -> Record:
            return self.with_doubt(record.unclaimed(self._before.record, self.obstacle))

        try:
            self.write(move)
        except LeaseLost:
            return
        except StoreUnavailable as error:
            self.tell_unsaved("was not given back and waits for the end of its lease", error)

    def with_doubt(self, record: Record) -> Record:
        """Return the record with the doubt that there is."""
        if self.doubt is None:
            return record
        kind, error = self.doubt
        return record.doubted(kind, self.process.worker, error)

    def keep_hidden(self) -> None:
        """Hide the message for as long as a new lease runs; a failure costs others a look."""
        self._hide(self.lease_seconds)

    def _hide(self, seconds: float) -> None:
        try:
            self.process.keep(self.delivery, seconds)
        except QueueUnavailable as error:
            self.process.outages.failed(error, "a message may come again too soon")

    def tell_unsaved(self, effect: str, error: StoreUnavailable) -> None:
        """Log that a write failed, and what becomes of the job."""
        self.process.outages.failed(error, f"job {self.record.job_id} {effect}")

    def write(
        self, move: Callable[[Record], Record], put: Callable[[Record], Put] | None = None
    ) -> Record:
        """Store what `move` makes of the job, by what `put` returns for that; return it."""
        with self._writing:
            return self._replace(move, put)

    def _replace(
        self, move: Callable[[Record], Record], put: Callable[[Record], Put] | None = None
    ) -> Record:
        lines = last_lines(self.record.job_id)
        is_first, begun = not self.is_known, self.process.clock()
        self.is_known = True
        self.stored = self.process.jobs.advance(
            self.stored,
            self.token,
            lambda record: move(record).printed(lines),
            put=put,
            claim=self._claimed_again,
        )
        if is_first:  # The claim's own write would have told as much.
            self.process.timing.saw_write(self.process.clock() - begun, self.state_bytes)
        self.process.outages.store_answered()
        return self.stored.record

    def _claimed_again(self, record: Record) -> Record | None:
        """Make a claim that was not stored of the job as others have changed it meanwhile.

        None: it was stored, or they have claimed or ended the job.
        """
        before = self._before
        if self._is_claim_stored or not record.is_unclaimed_since(before.record):
            return None
        claimed = self._claim(record)
        if claimed.lease is None:
            return None
        self._before = before._replace(record=record)
        return claimed.paused() if record.status is Status.PAUSED else claimed

    @property
    def _is_claim_stored(self) -> bool:
        return self.stored.version != self._before.version

    def _new_lease(self) -> Lease:
        process, now = self.process, self.process.jobs.clock()
        seconds = self.lease_seconds
        return Lease(
            worker=process.worker,
            platform=process.platform,
            token=self.token,
            claimed_at=now,
            expires_at=now + seconds,
            seconds=seconds,
            at_risk_seconds=self._at_risk_seconds,
            process=this_process(),
        )

    @property
    def _at_risk_seconds(self) -> float:
        """The most work that a kill loses: a step and an interval.

        Arrays are stored when they were sent: until then the state before them is the last one.
        """
        lasted = self.process.clock() - self.stepped_at
        step = max(self.work.next_step_seconds, lasted) if self.is_used else 0.0
        timing, bulk_bytes = self.process.timing, self.bulk_bytes
        sending = timing.sending_seconds(bulk_bytes)
        return max(timing.interval_seconds(self.state_bytes, bulk_bytes), sending) + sending + step

    def renewal(self, seconds: float) -> Callable[[Record], Record]:
        """Return the move that lets the lease run for `seconds` from the moment it is made."""
        clock, at_risk = self.process.jobs.clock, self._at_risk_seconds
        return lambda record: record.renewed(clock(), seconds, at_risk_seconds=at_risk)

"""What to do with one delivery: the whole protocol in one place.

    save (state, next slice, no lease) -> send the continuation -> note it as announced -> ack
    save (the job is over) -> notify its targets -> note who was notified -> tidy up -> ack

In this order a crash at any point leaves a message that leads on, and a duplicate finds a record
that has moved past it.
"""

from __future__ import annotations

import logging
import math
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from outlast.checkpoint.errors import DeletedJob, LeaseLost, VersionConflict
from outlast.checkpoint.status import Status
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.queues.message import Message
from outlast.worker.slices.claimed_job import ClaimedJob
from outlast.worker.slices.deadline import Deadline
from outlast.worker.slices.health import BrokenWorker
from outlast.worker.slices.leased_job import JobMoved, Stopped
from outlast.worker.slices.loading import load_kernel
from outlast.worker.slices.owed_notices import notify_targets
from outlast.worker.slices.protocol import (
    LONGEST_HIDE_SECONDS,
    Drop,
    Failed,
    NotifyTargets,
    Resend,
    RunSlice,
    Wait,
    next_action,
)
from outlast.worker.slices.reading import Unreadable
from outlast.worker.slices.slice import Slice
from outlast.worker.slices.tidying import tidy
from outlast.worker.slices.timing import LEASE_INTERVALS
from outlast.worker.telemetry.events import (
    MESSAGE_DROPPED,
    WORKER_FAULT,
    WRITES_LOST,
    tell,
)
from outlast.worker.telemetry.job_events import tell_ending, tell_lost_lease
from outlast.worker.telemetry.kernel_lines import Source, heard

if TYPE_CHECKING:
    from outlast.checkpoint.job_store import StoredJob
    from outlast.checkpoint.record import Record
    from outlast.worker.queues.contract import Delivery
    from outlast.worker.slices.timing import Budget
    from outlast.worker.slices.worker_process import WorkerProcess

log = logging.getLogger("outlast.delivery")


class Handled(NamedTuple):
    """What became of one delivery.

    Attributes:
        ack: whether to delete the message; if not it stays hidden and will come again.
        record: the job as the slice that ran here left it; None if none ran.
    """

    ack: bool
    record: Record | None = None


def deliver(
    process: WorkerProcess,
    delivery: Delivery,
    *,
    seconds: float | None = None,
    slice_seconds: float | None = None,
    stop: Deadline | None = None,
) -> Handled:
    """Do what one delivery asks for, within `seconds` from now; None sets no limit.

    A slice lasts `slice_seconds` at most (None: no limit), so that other jobs get a turn. This is
    a wish where `seconds` is a limit: a job whose slices did not advance it, perhaps because its
    tables take longer to build, is granted longer each time: see `ClaimedJob.stretched`.

    A reason to stop that `stop` has ends the slice as well, or keeps it from beginning.

    Raises:
        ForeignMessage, UnknownJob, CorruptRecord, UnknownKernel, NewerState: this worker can do
            nothing with it; leave it to the queue's redrive.
        BrokenWorker: this worker takes an error for a fault of its machine; leave it to others.
        StoreUnavailable, QueueUnavailable: nothing is lost; the message will come again.
    """
    message = Message.parse(delivery.body)
    with Deadline(seconds, outer=stop, clock=process.clock) as deadline:
        turn = _Turn(process, delivery, message, deadline, slice_seconds)
        while True:
            try:
                return turn.handle(process.jobs.load(message.job_id))
            except (JobMoved, VersionConflict):
                continue  # Look again at what the message calls for.
            except LeaseLost:
                turn = replace(turn, may_run=False)  # The time for a slice may be over.
            except BrokenWorker as error:
                tell(log, WORKER_FAULT, worker=process.worker, error=str(error))
                with suppress(QueueUnavailable):
                    process.hide(delivery, 0)
                raise
            except DeletedJob:  # perhaps while its slice ran
                tell(log, MESSAGE_DROPPED, job_id=message.job_id)
                return Handled(ack=True)


def send_continuation(process: WorkerProcess, stored: StoredJob) -> None:
    """Send the message for the job's next slice, then note that it was sent."""
    record = stored.record
    # Whoever finds the message missing sends a duplicate. But where the store has lost the write
    # that it follows, or the job's id is used again, it is another message with the same number.
    process.queue.send(
        Message(job_id=record.job_id, slice=record.slice_number),
        deduplication_id=f"{record.job_id}:{record.revision.writer}",
    )
    try:
        process.jobs.replace(stored, record.marked_announced())
    except VersionConflict:
        # Another worker has claimed this slice, or a person stopped the job: both supersede it.
        log.debug("job %s moved on before its slice was marked as announced", record.job_id)


@dataclass(frozen=True)
class _Turn:
    """What one delivery is handled with: the time, and whether a slice may begin."""

    process: WorkerProcess
    delivery: Delivery
    message: Message
    deadline: Deadline
    slice_seconds: float | None
    may_run: bool = True

    def handle(self, stored: StoredJob) -> Handled:
        """Do what the message calls for, as the job stands."""
        process, record = self.process, stored.record
        match next_action(record, self.message.slice, process.jobs.clock()):
            case Drop():
                return Handled(ack=True)
            case Resend():
                send_continuation(process, stored)
                return Handled(ack=True)
            case Wait(seconds):
                return self._hide(self._hide_seconds(record, seconds))
            case NotifyTargets():
                return Handled(notify_targets(process, self.delivery, record, self.deadline))
            case RunSlice():
                if self.deadline.is_signalled or not self.may_run:
                    return self._hide(0)
                self._tell_lost_writes(record)
                begun = process.clock()
                if not self.delivery.receipt:
                    process.queue.reach()  # No message was hidden: at the end there may be no time.
                # A call or a kick names no slice, and proves no message for it.
                announced = self.message.slice is not None
                with (
                    ClaimedJob.take(process, stored, self.delivery, announced=announced) as job,
                    process.repeat(job.keep_alive),
                    heard(_source_of(job)),
                ):
                    process.timing.saw_opening(process.clock() - begun)
                    try:
                        handled = self._advance(job)
                    except LeaseLost:
                        tell_lost_lease(job.record, process.clock() - begun)
                        raise
                return handled or self._hide(0)

    def _advance(self, job: ClaimedJob) -> Handled | None:
        """Run the next slice and send the continuation; None: a stop signal came before it."""
        process, claimed = self.process, job.record
        left, opened = self.deadline.remaining, process.clock()
        job.is_stopped = lambda: self.deadline.is_signalled
        job.seconds_left = lambda: self.deadline.remaining
        try:
            load_kernel(job)
        except Stopped:
            return None
        except Unreadable as error:
            return self._ended(job, claimed, job.end(Failed(str(error))))
        if self.deadline.is_signalled:
            return None
        # The kernel took all the time: a step would be killed, and with it what it has prepared.
        is_late = 0 < left <= process.clock() - opened
        budget = self._budget(job)
        with Deadline(
            budget.seconds - budget.reserve, outer=self.deadline, clock=process.clock
        ) as deadline:
            slice_ = Slice(job, budget, deadline)
            record = slice_.pass_on() if is_late else slice_.run()
        sent = job.arrays.sending_seconds
        handled = self._ended(job, claimed, record)
        ending = process.clock() - slice_.stopped_at - sent
        process.timing.saw_ending(ending, job.state_bytes)
        return handled

    def _ended(self, job: ClaimedJob, claimed: Record, record: Record) -> Handled:
        """Tell of the end of the slice that was `claimed`: the log, the queue or the targets."""
        tell_ending(claimed, record)
        if record.status is Status.QUEUED:
            send_continuation(self.process, job.stored)
        ack = notify_targets(self.process, self.delivery, record, self.deadline)
        tidy(self.process, record, self.deadline)
        return Handled(ack, record)

    def _budget(self, job: ClaimedJob) -> Budget:
        """Return how the time from now on is divided."""
        wish = math.inf if self.slice_seconds is None else job.slice_seconds(self.slice_seconds)
        # Asked only now: in a new process the reserve follows from the opening.
        seconds = min(self.deadline.remaining, wish)
        return self.process.timing.budget(seconds, job.state_bytes, job.bulk_bytes)

    def _hide(self, seconds: float) -> Handled:
        self.process.hide(self.delivery, seconds)
        return Handled(ack=False)

    def _hide_seconds(self, record: Record, seconds: float) -> float:
        """Return how long to hide a message that comes `seconds` too early.

        Where another worker's lease is why, and was renewed lately, that is as long as the slice
        has lasted: a duplicate would meet a long slice again and again, and use up its receives.
        """
        lease = record.lease
        if lease is None or not self.process.queue.gives_up:
            return seconds
        if seconds < lease.seconds / LEASE_INTERVALS:
            return seconds  # The holder should have renewed it by now, and is dead.
        lasted = self.process.jobs.clock() - lease.claimed_at
        return max(seconds, min(lasted, LONGEST_HIDE_SECONDS))

    def _tell_lost_writes(self, record: Record) -> None:
        number, announced = record.slice_number, self.message.slice
        if announced is not None and announced > number:
            tell(log, WRITES_LOST, job_id=record.job_id, slice=number, announced=announced)


def _source_of(job: ClaimedJob) -> Source:
    record = job.record
    return Source(record.job_id, record.kernel, record.slice_number, job.process.worker)

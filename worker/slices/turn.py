"""What one delivery is handled with, and how the slice that it calls for is run."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Self

from outlast.checkpoint.errors import LeaseLost
from outlast.checkpoint.local_process import is_gone
from outlast.worker.slices.deadline import Deadline
from outlast.worker.slices.leased_job import Stopped
from outlast.worker.slices.loading import load_kernel
from outlast.worker.slices.protocol import LONGEST_HIDE_SECONDS, Failed
from outlast.worker.slices.reading import Unreadable
from outlast.worker.slices.slice import Slice
from outlast.worker.slices.slice_log import SliceLog
from outlast.worker.slices.timing import LEASE_INTERVALS
from outlast.worker.telemetry.job_events import tell_lost_lease
from outlast.worker.telemetry.kernel_lines import Source, heard

if TYPE_CHECKING:
    from outlast.checkpoint.head import Head
    from outlast.checkpoint.job_store import StoredJob
    from outlast.checkpoint.record import Record
    from outlast.worker.queues.contract import Delivery
    from outlast.worker.queues.message import Message
    from outlast.worker.slices.claimed_job import ClaimedJob
    from outlast.worker.slices.timing import Budget
    from outlast.worker.slices.worker_process import WorkerProcess


class Handled(NamedTuple):
    """What became of one delivery.

    Attributes:
        ack: whether to delete the message; if not it stays hidden and will come again.
        record: the job, or the part of it, as the slice that ran here left it; None if none ran.
        is_acked: whether the message was deleted already, with the end of the slice.
    """

    ack: bool
    record: Record | None = None
    is_acked: bool = False


@dataclass(frozen=True)
class Turn(ABC):
    """What one delivery is handled with: the time, and whether a slice may begin."""

    process: WorkerProcess
    delivery: Delivery
    message: Message
    deadline: Deadline
    slice_seconds: float | None
    may_run: bool = True

    def again(self, *, may_run: bool = True) -> Self:
        """Return the turn for another look at the job, which may not be as it was read."""
        delivery = replace(self.delivery, stored=None)
        return replace(self, delivery=delivery, may_run=self.may_run and may_run)

    @abstractmethod
    def handle(self) -> Handled:
        """Do what the message calls for, as the job stands."""

    @abstractmethod
    def claim(self, stored: StoredJob) -> ClaimedJob:
        """Claim the next slice of what was read in `stored`."""

    @abstractmethod
    def ended(self, job: ClaimedJob, claimed: Record, record: Record) -> Handled:
        """Tell of the end of the slice that was `claimed`: the log, the queue, whom it concerns."""

    def run_slice(self, stored: StoredJob) -> Handled:
        """Claim the next slice and advance it."""
        process = self.process
        if self.deadline.is_signalled or not self.may_run:
            return self.hide(0)
        begun = process.clock()
        if not self.delivery.receipt:
            process.queue.reach()  # No message was hidden: at the end there may be no time.
        with (
            self.claim(stored) as job,
            process.repeat(job.keep_alive),
            process.observe(SliceLog(job).look),
            heard(_source_of(job)),
        ):
            process.timing.saw_opening(process.clock() - begun)
            job.is_stopped = lambda: self.deadline.is_signalled
            job.seconds_left = lambda: self.deadline.remaining
            job.limit_seconds = lambda: self.deadline.limit_seconds
            try:
                handled = self.advance(job)
            except LeaseLost:
                tell_lost_lease(job.record, process.clock() - begun)
                raise
        return handled or self.hide(0)

    def advance(self, job: ClaimedJob) -> Handled | None:
        """Run the slice and send what goes on; None: a stop signal came before it."""
        process, claimed = self.process, job.record
        left, opened = self.deadline.remaining, process.clock()
        try:
            load_kernel(job)
        except Stopped:
            return None
        except Unreadable as error:
            return self.ended(job, claimed, job.end(Failed(str(error))))
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
        # Neither is to be kept back the next time: arrays are counted apart, and an outage passes.
        other = job.arrays.sending_seconds + job.tried_seconds
        if not job.may_send:
            process.brevity.saw(claimed.kernel, slice_.stopped_at - opened)
        handled = self.ended(job, claimed, record)
        ending = process.clock() - slice_.stopped_at - other
        process.timing.saw_ending(ending, job.state_bytes)
        return handled

    def _budget(self, job: ClaimedJob) -> Budget:
        """Return how the time from now on is divided."""
        wish = math.inf if self.slice_seconds is None else job.slice_seconds(self.slice_seconds)
        # Asked only now: in a new process the reserve follows from the opening.
        seconds = min(self.deadline.remaining, wish)
        return self.process.timing.budget(seconds, job.state_bytes, job.bulk_bytes)

    def hide(self, seconds: float) -> Handled:
        """Hide the message for so long."""
        self.process.hide(self.delivery, seconds)
        return Handled(ack=False)

    def wait(self, record: Head, seconds: float) -> Handled:
        """Hide a message that comes `seconds` too early.

        Where another worker's lease is why, and was renewed lately, that is as long as the slice
        has lasted: a duplicate would meet a long slice again and again, and use up its receives.
        """
        lease = record.lease
        if lease is None or not self.process.queue.gives_up or is_gone(lease.process):
            return self.hide(seconds)
        if seconds < lease.seconds / LEASE_INTERVALS:
            return self.hide(seconds)  # The holder should have renewed it by now, and is dead.
        lasted = self.process.jobs.clock() - lease.claimed_at
        return self.hide(max(seconds, min(lasted, LONGEST_HIDE_SECONDS)))


def _source_of(job: ClaimedJob) -> Source:
    record = job.record
    return Source(record.job_id, record.kernel, record.slice_number, job.process.worker)

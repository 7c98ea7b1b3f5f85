"""What to do with a message for a job.

    save (state, next slice, no lease) -> send the continuation -> note it as announced -> ack
    save (the job is over) -> notify its targets -> note who was notified -> tidy up -> ack

Where store and queue are one database, save, send, note and ack are one step: see `handover.py`.

In this order a crash at any point leaves a message that leads on, and a duplicate finds a record
that has moved past it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from outlast.checkpoint.status import Status
from outlast.worker.slices.claimed_job import ClaimedJob
from outlast.worker.slices.handover import send_continuation
from outlast.worker.slices.owed_notices import notify_targets
from outlast.worker.slices.protocol import (
    Drop,
    NotifyTargets,
    Resend,
    RunSlice,
    SendParts,
    Wait,
    next_action,
)
from outlast.worker.slices.tidying import tidy
from outlast.worker.slices.turn import Handled, Turn
from outlast.worker.telemetry.events import WRITES_LOST, tell
from outlast.worker.telemetry.job_events import tell_ending

if TYPE_CHECKING:
    from outlast.checkpoint.job_store import StoredJob
    from outlast.checkpoint.record import Record

log = logging.getLogger("outlast.delivery")


class JobTurn(Turn):
    """One delivery of a message for a job."""

    def handle(self) -> Handled:
        """Do what the message calls for, as the job stands."""
        process = self.process
        stored = process.jobs.load(self.message.job_id, self.delivery.stored)
        record = stored.record
        match next_action(record, self.message.slice, process.jobs.clock()):
            case Drop():
                return Handled(ack=True)
            case Resend():
                send_continuation(process, stored)
                return Handled(ack=True)
            case Wait(seconds):
                return self.wait(record, seconds)
            case NotifyTargets():
                return Handled(notify_targets(process, self.delivery, record, self.deadline))
            case RunSlice() | SendParts():
                self._tell_lost_writes(record)
                return self.run_slice(stored)

    def claim(self, stored: StoredJob) -> ClaimedJob:
        """Claim the job's next slice."""
        # A call or a kick names no slice, and proves no message for it.
        announced = self.message.slice is not None
        return ClaimedJob.take(self.process, stored, self.delivery, announced=announced)

    def advance(self, job: ClaimedJob) -> Handled | None:
        """Run the slice; where the job is divided, this sends the messages of its parts."""
        if not job.record.is_divided:
            return super().advance(job)
        from outlast.worker.slices.fleet.call import call_parts  # most jobs have no parts

        claimed = job.record
        record = call_parts(job)
        return None if record is None else self.ended(job, claimed, record)

    def ended(self, job: ClaimedJob, claimed: Record, record: Record) -> Handled:
        """Tell of the end of the slice that was `claimed`: the log, the queue or the targets."""
        tell_ending(claimed, record, job.told)
        if record.status is Status.QUEUED and not record.announced:
            send_continuation(self.process, job.stored)
        ack = notify_targets(self.process, self.delivery, record, self.deadline)
        tidy(self.process, record, self.deadline)
        return Handled(ack, record, job.is_acked)

    def _tell_lost_writes(self, record: Record) -> None:
        number, announced = record.slice_number, self.message.slice
        if record.is_divided or announced is None or announced <= number:
            return
        tell(log, WRITES_LOST, job_id=record.job_id, slice=number, announced=announced)

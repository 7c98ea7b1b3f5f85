"""What to do with a message for a part of a job.

    save (state, next slice, no lease) -> send the continuation -> note it as announced -> ack
    save (the part has succeeded) -> add up what it completes, perhaps the job -> ack
    save (the part has failed) -> fail the job -> ack

Whoever has ended the last part of a group adds the group up: each child is stored before its
siblings are read, so the last one sees all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.checkpoint.errors import DeletedJob
from outlast.checkpoint.fleet import Tree
from outlast.checkpoint.job_store import StoredJob
from outlast.checkpoint.record import Record
from outlast.checkpoint.record_parts import Limits
from outlast.checkpoint.status import Status
from outlast.worker.slices.fleet.adding_up import AddingUp, AddLater
from outlast.worker.slices.fleet.claimed_part import ClaimedPart
from outlast.worker.slices.fleet.failing import fail_job
from outlast.worker.slices.handover import send_continuation
from outlast.worker.slices.owed_notices import notify_targets
from outlast.worker.slices.protocol import (
    AddUp,
    Discard,
    Drop,
    FailJob,
    Resend,
    RunSlice,
    Wait,
    part_action,
)
from outlast.worker.slices.tidying import tidy
from outlast.worker.slices.turn import Handled, Turn
from outlast.worker.telemetry.job_events import tell_ending

if TYPE_CHECKING:
    from outlast.checkpoint.fleet import Node
    from outlast.checkpoint.head import Head
    from outlast.worker.slices.claimed_job import ClaimedJob


class PartTurn(Turn):
    """One delivery of a message for a part."""

    @property
    def _node(self) -> Node:
        node = self.message.node
        if node is None:
            raise ValueError("a message for no part")
        return node

    def handle(self) -> Handled:
        """Do what the message calls for, as the part and its job stand."""
        jobs, job_id = self.process.jobs, self.message.job_id
        part = jobs.load_node(job_id, self._node)
        try:
            job = jobs.head_of(job_id)
        except DeletedJob:
            if part:
                jobs.discard_node(part)
            raise
        action = part_action(
            job, part and part.record, self.message, jobs.clock(), lambda: self._is_added_up(job)
        )
        if isinstance(action, (Discard, FailJob, AddUp)):
            return self._settle(action, job, part)
        return self._advance(action, job, part)

    def _settle(
        self, action: Discard | FailJob | AddUp, job: Head, part: StoredJob | None
    ) -> Handled:
        """Let the job have what became of the part."""
        match action:
            case Discard():
                self._discard(part, job)
                return self._see_to(job)
            case FailJob(error):
                return self._fail(error, part.record.era if part else 0)
            case AddUp():
                return self._add_up(job, is_lost=part is None)

    def _advance(
        self, action: Drop | Resend | Wait | RunSlice, job: Head, part: StoredJob | None
    ) -> Handled:
        """Do what the message calls for, as for a job of its own."""
        part = part or self._new(job)
        match action:
            case Drop():
                return Handled(ack=True)
            case Resend():
                send_continuation(self.process, part)
                return Handled(ack=True)
            case Wait(seconds):
                return self.wait(part.record, seconds)
            case RunSlice():
                return self.run_slice(_prepared(part, job.era))

    def claim(self, stored: StoredJob) -> ClaimedJob:
        """Claim the part's next slice; the first time this creates its record."""
        return ClaimedPart.take(
            self.process, stored, self.delivery, announced=self.message.slice is not None
        )

    def ended(self, job: ClaimedJob, claimed: Record, record: Record) -> Handled:
        """Tell of the end of the slice that was `claimed`: the queue, or the job."""
        tell_ending(claimed, record, job.told)
        match record.status:
            case Status.QUEUED:
                # Whoever lets the job go on sends the messages of all its parts.
                if not (job.is_paused or record.announced):
                    send_continuation(self.process, job.stored)
                ack = True
            case Status.SUCCEEDED:
                ack = self._succeeded(job.stored).ack
            case _:
                ack = self._fail(record.error or str(record.status), record.era).ack
        return Handled(ack, record, job.is_acked)

    def _new(self, job: Head) -> StoredJob:
        """Return the part before anything is stored of it."""
        now, limits = self.process.jobs.clock(), job.limits
        record = Record(
            job_id=job.job_id,
            kernel=job.kernel,
            params={},
            # What a job may take at most counts for all its parts together: see `AddingUp`.
            limits=Limits(max_stalls=limits.max_stalls, max_failures=limits.max_failures),
            created_at=now,
            updated_at=now,
            node=self._node,
        )
        return StoredJob(record, None)

    def _discard(self, part: StoredJob | None, job: Head) -> None:
        """Remove a part that nobody needs, and all others if they are added up."""
        if part:
            self.process.jobs.discard_node(part)
        if job.fleet and job.fleet.concluded:
            # Whoever was to do that as it added them up may have died before.
            self.process.jobs.nodes.clear(job.job_id, self._node.birth)

    def _is_added_up(self, job: Head) -> bool:
        """Whether a group above the part has a record, although the part has none."""
        fleet = job.fleet
        if fleet is None or not self.process.jobs.forgets_seconds:
            return False
        above = [fleet.node(place) for place in Tree(fleet.parts).above(self._node.place)]
        return any(self.process.jobs.nodes.heads(job.job_id, above))

    def _succeeded(self, part: StoredJob) -> Handled:
        """Add up what the part completes, if the job still wants it."""
        try:
            job = self.process.jobs.head_of(self.message.job_id)
        except DeletedJob:
            self.process.jobs.discard_node(part)
            raise
        if job.needs_parts_of(self._node.birth):
            return self._add_up(job)
        self._discard(part, job)
        return self._see_to(job)

    def _add_up(self, job: Head, *, is_lost: bool = False) -> Handled:
        """Add up what the part completes; where that is the job, see to its end."""
        try:
            stored = AddingUp(self.process, job).from_part(self._node, is_lost=is_lost)
        except AddLater as error:
            return self.hide(error.seconds)
        return Handled(ack=True) if stored is None else self._job_ended(stored)

    def _fail(self, error: str, era: int) -> Handled:
        """Fail the job, unless it was retried since the part failed."""
        node = self._node
        reason = f"part {node.number}: {error}"
        return self._job_ended(
            fail_job(self.process, self.message.job_id, node.birth, reason, era=era)
        )

    def _see_to(self, job: Head) -> Handled:
        """Do what a worker that died has left to do for a job whose parts are added up."""
        if job.notices.owed or _is_asleep(job):
            return self._job_ended(self.process.jobs.load(job.job_id))
        return Handled(ack=True)

    def _job_ended(self, stored: StoredJob) -> Handled:
        """Tell of the job's end, or wake it where it goes on undivided."""
        record = stored.record
        if _is_asleep(record):
            send_continuation(self.process, stored)
        ack = notify_targets(self.process, self.delivery, record, self.deadline)
        tidy(self.process, record, self.deadline)
        return Handled(ack)


def _prepared(part: StoredJob, era: int) -> StoredJob:
    """Return the part as it is before its claim."""
    record = part.record
    is_again = record.status is Status.FAILED
    return part._replace(record=record.begun_again(era) if is_again else record.in_era(era))


def _is_asleep(job: Head) -> bool:
    """Whether the job goes on undivided, and the message for that is yet to be sent."""
    is_whole = job.fleet is not None and job.fleet.concluded
    return is_whole and job.status is Status.QUEUED and not job.announced

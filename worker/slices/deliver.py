"""What to do with one delivery: the whole protocol in one place.

    save (state, next slice, no lease) -> send the continuation -> note it as announced -> ack
    save (the job is over) -> tell those who are to be told -> note who was told -> ack

In this order a crash at any point leaves a message that leads on, and a duplicate finds a record
that has moved past it.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, NamedTuple

from outlast.checkpoint.errors import DeletedJob, LeaseLost, VersionConflict
from outlast.checkpoint.status import Status
from outlast.kernel import UnknownKernel
from outlast.worker.queues.message import Message
from outlast.worker.slices.claim import Claim, longer
from outlast.worker.slices.deadline import Deadline
from outlast.worker.slices.loading import NewerState, ready_kernel
from outlast.worker.slices.notices import give_notice
from outlast.worker.slices.protocol import (
    LONGEST_HIDE_SECONDS,
    Ack,
    Announce,
    Notify,
    Run,
    Wait,
    decide,
)
from outlast.worker.slices.reporting import report_ending, report_lost_lease
from outlast.worker.slices.slice import Slice
from outlast.worker.slices.timing import LEASE_INTERVALS
from outlast.worker.telemetry.events import MESSAGE_DROPPED, WRITES_LOST, tell

if TYPE_CHECKING:
    from outlast.checkpoint.jobs import Held
    from outlast.checkpoint.record import Record
    from outlast.worker.queues.contract import Delivery
    from outlast.worker.slices.process import Runtime

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
    runtime: Runtime,
    delivery: Delivery,
    *,
    seconds: float | None = None,
    slice_seconds: float | None = None,
    stop: Deadline | None = None,
) -> Handled:
    """Do what one delivery asks for, within `seconds` from now; None sets no limit.

    A slice lasts `slice_seconds` at most (None: no limit), so that other jobs get a turn. This is
    a wish where `seconds` is a limit: a job whose slices did not advance it, perhaps because its
    tables take longer to build, is given longer each time: see `longer` in `claim.py`.

    A reason to stop that `stop` has ends the slice as well, or keeps it from beginning.

    Raises:
        ForeignMessage, UnknownJob, CorruptRecord, UnknownKernel, NewerState: this worker can do
            nothing with it; leave it to the queue's redrive.
        StoreUnavailable, QueueUnavailable: nothing is lost; the message will come again.
    """
    message = Message.parse(delivery.body)
    with Deadline(seconds, outer=stop, clock=runtime.clock) as deadline:
        while True:
            try:
                held = runtime.jobs.load(message.job_id)
                match decide(held.record, message.slice, runtime.jobs.clock()):
                    case Ack():
                        return Handled(ack=True)
                    case Announce():
                        announce(runtime, held)
                        return Handled(ack=True)
                    case Wait(wait):
                        runtime.queue.hide(delivery, _patience(runtime, held.record, wait))
                        return Handled(ack=False)
                    case Notify():
                        is_done = give_notice(runtime, delivery, held.record, deadline)
                        return Handled(ack=is_done)
                    case Run():
                        _notice_lost_writes(held.record, message)
                        return _run(runtime, delivery, held, deadline, slice_seconds)
            except VersionConflict:
                continue  # Someone else moved the job between our read and our claim: look again.
            except DeletedJob:  # perhaps while its slice ran
                tell(log, MESSAGE_DROPPED, job_id=message.job_id)
                return Handled(ack=True)


def _notice_lost_writes(record: Record, message: Message) -> None:
    number = record.slice_number
    if message.slice is not None and message.slice > number:
        tell(log, WRITES_LOST, job_id=record.job_id, slice=number, announced=message.slice)


def announce(runtime: Runtime, held: Held, *, again: bool = False) -> None:
    """Send the message for the job's next slice, then note that it was sent.

    `again`: the store has forgotten that it was sent before; see `Queue.send`.
    """
    record = held.record
    runtime.queue.send(Message(job_id=record.job_id, slice=record.slice_number), again=again)
    try:
        runtime.jobs.replace(held, record.marked_announced())
    except VersionConflict:
        # Whoever moved the job on has claimed this slice, or stopped the job: both supersede it.
        log.debug(
            "job %s moved on before slice %d was announced", record.job_id, record.slice_number
        )


def _run(
    runtime: Runtime,
    delivery: Delivery,
    held: Held,
    deadline: Deadline,
    slice_seconds: float | None,
) -> Handled:
    """Claim the job, run its next slice and send the continuation."""
    if deadline.is_signalled:
        runtime.queue.hide(delivery, 0)
        return Handled(ack=False)
    begun = runtime.clock()
    claim = Claim(runtime, delivery, held)
    claimed = claim.take()
    if claimed is None:
        given_up = runtime.jobs.load(held.record.job_id).record
        return Handled(ack=give_notice(runtime, delivery, given_up, deadline))
    runtime.pace.saw_opening(runtime.clock() - begun)
    wanted = math.inf if slice_seconds is None else longer(slice_seconds, held.record)
    granted, opened = deadline.remaining, runtime.clock()
    try:
        kernel = ready_kernel(runtime, claim, claimed.record)
        if deadline.is_signalled:
            claim.give_back()
            runtime.queue.hide(delivery, 0)
            return Handled(ack=False)
        claimed = claim.renewed()
        # Then a step would be killed, and with the process what it has prepared.
        is_late = 0 < granted <= runtime.clock() - opened
        # Known only now: in a new process the reserve is measured by its opening.
        available = min(deadline.remaining, wanted)
        budget = available - runtime.pace.reserve_within(available)
        with Deadline(budget, outer=deadline, clock=runtime.clock) as budgeted:
            slice_ = Slice(runtime, claimed, kernel, budgeted, claim.keep_hidden)
            record = _run_slice(runtime, delivery, slice_, is_late=is_late)
        return Handled(ack=give_notice(runtime, delivery, record, deadline), record=record)
    except (UnknownKernel, NewerState):
        claim.give_back()
        raise
    except LeaseLost:
        report_lost_lease(claimed.record, runtime.clock() - begun)
        left = runtime.jobs.load(claimed.record.job_id).record
        # Whoever ended the job may die before it has told those who are to be told.
        is_over = left.status.is_final and not left.notices.owed
        return Handled(ack=is_over or left.status is Status.PAUSED)


def _run_slice(runtime: Runtime, delivery: Delivery, slice_: Slice, *, is_late: bool) -> Record:
    """Run the slice until the deadline and send the continuation."""
    claimed = slice_.job.record
    held = slice_.pass_on() if is_late else slice_.run()
    report_ending(claimed, held.record)
    if held.record.status is Status.QUEUED:
        # A number beyond the record's: the continuation has been sent before, and forgotten.
        number = Message.parse(delivery.body).slice or 0
        announce(runtime, held, again=number > claimed.slice_number)
    runtime.pace.saw_ending(runtime.clock() - slice_.stopped_at)
    return held.record


def _patience(runtime: Runtime, record: Record, seconds: float) -> float:
    """Return how long to hide a message that comes `seconds` too early.

    Where another worker's lease is why, and was renewed lately, that is as long as the slice has
    lasted: a duplicate would meet a long slice again and again, and use up its receives.
    """
    lease = record.lease
    if lease is None or not runtime.queue.gives_up:
        return seconds
    if seconds < (lease.expires_at - record.updated_at) / LEASE_INTERVALS:
        return seconds  # The holder should have renewed it by now, and is dead.
    lasted = runtime.jobs.clock() - lease.claimed_at
    return max(seconds, min(lasted, LONGEST_HIDE_SECONDS))

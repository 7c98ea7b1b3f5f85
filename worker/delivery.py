"""What to do with one delivery: the whole protocol in one place.

    save (state, next slice, no lease) -> send the continuation -> note it as announced -> ack
    save (the job is over) -> tell those who are to be told -> note who was told -> ack

In this order a crash at any point leaves a message that leads on, and a duplicate finds a record
that has moved past it.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from checkpoint.errors import DeletedJob, LeaseLost, VersionConflict
from checkpoint.record import Status
from kernel import UnknownKernel
from worker.claim import Claim, longer
from worker.deadline import Deadline
from worker.events import KERNEL_NOT_PREPARED, WRITES_LOST, tell
from worker.heartbeat import repeated
from worker.message import Message
from worker.notify.owed import LONGEST_HIDE_SECONDS, give_notice
from worker.reporting import report_ending, report_lost_lease
from worker.slice import Slice
from worker.storable import line

if TYPE_CHECKING:
    from checkpoint.jobs import Held
    from checkpoint.record import Record
    from worker.queues.contract import Delivery
    from worker.runtime import AnyKernel, Runtime

log = logging.getLogger("outlast.delivery")


class NewerState(Exception):
    """The job's state is of a newer version of the kernel. Leave it to workers that have it."""


@dataclass(frozen=True)
class Ack:
    """The message has done its work, or comes too late to do any."""


@dataclass(frozen=True)
class Announce:
    """A worker died between save and send: the continuation is missing."""


@dataclass(frozen=True)
class Wait:
    """It is too early: hide the message for `seconds`."""

    seconds: float


@dataclass(frozen=True)
class Run:
    """Claim the job and run its next slice."""


@dataclass(frozen=True)
class Notify:
    """The job is over, and there are some who are yet to be told."""


Decision = Ack | Announce | Wait | Run | Notify


def decide(record: Record, number: int | None, now: float) -> Decision:
    """Return what a message for slice `number` of the job `record` calls for at `now`.

    None is a kick, for whichever slice is next. A number beyond the record's means that the store
    lost its newest writes: the job goes on from what is left.
    """
    if record.owed:
        return _decide_notice(record.not_before - now)
    if record.status.is_final or record.status is Status.PAUSED:
        return Ack()
    if number is not None and number < record.slice:
        return Ack() if record.announced else Announce()
    if record.lease is not None and record.is_held(now):
        return Wait(record.lease.expires_at - now)
    if now < record.not_before:
        return Wait(record.not_before - now)
    return Run()


def _decide_notice(early_seconds: float) -> Notify | Wait | Ack:
    if early_seconds <= 0:
        return Notify()
    # The message of a long wait is the sweep's: one that comes too early too often is given up.
    return Wait(early_seconds) if early_seconds <= LONGEST_HIDE_SECONDS else Ack()


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
    tables take longer to build, is given longer each time: see `worker.claim.longer`.

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
                        runtime.queue.hide(delivery, _patience(wait, delivery.receives))
                        return Handled(ack=False)
                    case Notify():
                        is_done = give_notice(runtime, delivery, held.record, deadline)
                        return Handled(ack=is_done)
                    case Run():
                        _notice_lost_writes(held.record, message)
                        return _run(runtime, delivery, held, deadline, slice_seconds)
            except VersionConflict:
                continue  # Someone else moved the job between our read and our claim: look again.
            except DeletedJob as error:  # perhaps while its slice ran
                log.info("%s: its message is dropped", error)
                return Handled(ack=True)


def _notice_lost_writes(record: Record, message: Message) -> None:
    number = record.slice
    if message.slice is not None and message.slice > number:
        tell(log, WRITES_LOST, job_id=record.job_id, slice=number, announced=message.slice)


def announce(runtime: Runtime, held: Held, *, again: bool = False) -> None:
    """Send the message for the job's next slice, then note that it was sent.

    `again`: the store has forgotten that it was sent before; see `Queue.send`.
    """
    record = held.record
    runtime.queue.send(Message(job_id=record.job_id, slice=record.slice), again=again)
    try:
        runtime.jobs.replace(held, record.announced_once())
    except VersionConflict:
        # Whoever moved the job on has claimed this slice, or stopped the job: both supersede it.
        log.debug("job %s moved on before slice %d was announced", record.job_id, record.slice)


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
        kernel = _ready_kernel(runtime, claim, claimed.record)
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
        is_over = left.status.is_final and not left.owed
        return Handled(ack=is_over or left.status is Status.PAUSED)


def _run_slice(runtime: Runtime, delivery: Delivery, slice_: Slice, *, is_late: bool) -> Record:
    """Run the slice until the deadline and send the continuation."""
    claimed = slice_.record
    held = slice_.pass_on() if is_late else slice_.run()
    report_ending(claimed, held.record)
    if held.record.status is Status.QUEUED:
        # A number beyond the record's: the continuation has been sent before, and forgotten.
        number = Message.parse(delivery.body).slice or 0
        announce(runtime, held, again=number > claimed.slice)
    runtime.pace.saw_ending(runtime.clock() - slice_.stopped_at)
    return held.record


def _ready_kernel(runtime: Runtime, claim: Claim, record: Record) -> AnyKernel:
    """Return the job's kernel, ready; its lease lives on while that takes time."""
    # Once more takes no time, and a thread would cost a short slice a tenth. For other parameters
    # it may: then the job comes back with a slice that did not advance it, and is worth a thread.
    if record.kernel in runtime.pace.prepared and record.stalls <= 1:
        return _prepared_kernel(runtime, record)
    with repeated(claim.renewed, every_seconds=claim.seconds / 3):
        kernel = _prepared_kernel(runtime, record)
    runtime.pace.prepared.add(record.kernel)
    return kernel


def kernel_for(runtime: Runtime, record: Record) -> AnyKernel:
    """Return the job's kernel.

    Raises:
        UnknownKernel, NewerState: this worker is not one for the job.
    """
    kernel = runtime.kernels(record.kernel)
    if record.checkpoints and record.checkpoints[0].version > kernel.version:
        raise NewerState(
            f"job {record.job_id} was advanced by version {record.checkpoints[0].version} of "
            f"kernel {kernel.name!r}; this worker has version {kernel.version}: upgrade it"
        )
    return kernel


def _prepared_kernel(runtime: Runtime, record: Record) -> AnyKernel:
    """Return the job's kernel, ready to run without a long first step; raises as `kernel_for`."""
    kernel = kernel_for(runtime, record)
    if runtime.isolate or kernel.may_not_return:
        return kernel  # Preparing it may take the process down, too: its child does that.
    try:
        kernel.prepare(kernel.Params.model_validate_json(record.params_json))
    except BaseException as error:  # noqa: BLE001 - it will end the slice, where it is counted
        tell(
            log,
            KERNEL_NOT_PREPARED,
            job_id=record.job_id,
            kernel=kernel.name,
            error=line(error),
            cause=error,
        )
    return kernel


def _patience(seconds: float, receives: int) -> float:
    """Return how long to hide a message that came too early for the `receives`-th time.

    The time doubles, so that a duplicate that meets one long slice again and again does not use
    up the receives that the queue allows before it moves a message to the dead-letter queue.
    """
    return min(seconds * 2.0 ** min(receives - 1, 16), LONGEST_HIDE_SECONDS)

"""The protocol as pure rules: what a message calls for, and what the end of a slice makes of a job.

docs/protocol.md has the same rules as tables, with what happens when a worker dies in between.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from outlast.checkpoint.head import LONGEST_RETRY_SECONDS
from outlast.checkpoint.status import Status
from outlast.kernel.bulk import Bulk
from outlast.worker.slices.backoff import backoff

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.checkpoint.blobs.contract import Chunk
    from outlast.checkpoint.head import Head
    from outlast.checkpoint.record import Record
    from outlast.worker.queues.message import Message

# A message that waited longer would be received too often; the sweep sends a new one then.
LONGEST_HIDE_SECONDS = 900.0

FIRST_BACKOFF_SECONDS = 1.0
# A disk that is full will hardly have room sooner.
POSTPONED_SECONDS = 60.0

# ---- What a message calls for


@dataclass(frozen=True)
class Drop:
    """The message has done its work, or comes too late to do any: acknowledge it."""


@dataclass(frozen=True)
class Resend:
    """A worker died between save and send: the continuation is missing."""


@dataclass(frozen=True)
class Wait:
    """It is too early: hide the message for `seconds`."""

    seconds: float


@dataclass(frozen=True)
class RunSlice:
    """Claim the job and run its next slice."""


@dataclass(frozen=True)
class NotifyTargets:
    """The job is over, and some targets have yet to be notified."""


@dataclass(frozen=True)
class SendParts:
    """The job is divided, and the messages of its open parts are to be sent."""


@dataclass(frozen=True)
class Discard:
    """The part is of no use to its job any more: remove its record, acknowledge the message."""


@dataclass(frozen=True)
class AddUp:
    """The part has succeeded: add up the groups above it that it completes."""


@dataclass(frozen=True)
class FailJob:
    """The part has failed for a reason, and so has its job."""

    error: str


Action = Drop | Resend | Wait | RunSlice | NotifyTargets | SendParts
PartAction = Drop | Resend | Wait | RunSlice | Discard | AddUp | FailJob


def next_action(record: Record, message_slice: int | None, now: float) -> Action:
    """Return what a message for slice `message_slice` of the job `record` calls for at `now`.

    None is a message for whichever slice is next. A number beyond the record's means that the
    store lost its newest writes: the job goes on from what is left.
    """
    if record.notices.owed:
        return _notice_action(record.wait_seconds(now))
    if record.status.is_final or record.status is Status.PAUSED:
        return Drop()
    if record.is_divided:
        return _divided_action(record, now)
    return _slice_action(record, message_slice, now)


def _slice_action(
    record: Head, message_slice: int | None, now: float
) -> Drop | Resend | Wait | RunSlice:
    if message_slice is not None and message_slice < record.slice_number:
        return Drop() if record.announced else Resend()
    return _wait(record, now) or RunSlice()


def _divided_action(record: Head, now: float) -> Action:
    """Return what a message for the job itself calls for, while it is worked on part by part."""
    if early := _wait(record, now):
        return early
    return SendParts() if record.fleet and record.fleet.is_owed else Drop()


def _wait(record: Head, now: float) -> Wait | None:
    if record.lease is not None and record.is_held(now):
        return Wait(record.lease.expires_at - now)
    seconds = record.wait_seconds(now)
    return Wait(seconds) if seconds else None


def part_action(
    job: Head, part: Head | None, message: Message, now: float, is_added_up: Callable[[], bool]
) -> PartAction:
    """Return what a message for a part of `job` calls for at `now`.

    `part` is what is stored of it; None: nothing yet. `is_added_up` tells whether a group above it
    has a record, and is asked only where that matters. A part that failed before its job was
    retried begins again.
    """
    if not job.needs_parts_of(message.birth):
        return Discard()
    has_failed = part is not None and part.status is Status.FAILED
    if part and has_failed and part.era >= job.era and not job.status.is_final:
        return FailJob(part.error or str(part.status))
    if job.status.is_final or job.status is Status.PAUSED:
        return Drop()
    if part is None:
        return AddUp() if is_added_up() else RunSlice()
    if part.status is Status.SUCCEEDED:
        return AddUp()
    return RunSlice() if has_failed else _slice_action(part, message.slice, now)


def _notice_action(early_seconds: float) -> NotifyTargets | Wait | Drop:
    if early_seconds <= 0:
        return NotifyTargets()
    # After a long wait the sweep sends a new message: this one would be received too often.
    return Wait(early_seconds) if early_seconds <= LONGEST_HIDE_SECONDS else Drop()


# ---- How a slice ends


@dataclass(frozen=True)
class Interrupted:
    """It stopped at a safe point, and the job goes on; `reason` says why it stopped."""

    reason: str


@dataclass(frozen=True)
class Succeeded:
    """The kernel returned its result, a JSON value, with arrays that are to be put into chunks."""

    result: Any
    bulk: Bulk = field(default_factory=Bulk)
    chunks: tuple[Chunk, ...] = ()

    def with_chunks(self, chunks: tuple[Chunk, ...]) -> Succeeded:
        """Return this ending with its arrays in chunks."""
        return replace(self, bulk=Bulk(), chunks=chunks)


@dataclass(frozen=True)
class Failed:
    """The job cannot go on: an error can only repeat, or a ceiling was reached within the slice.

    What is reached before a slice fails the job at its claim; see `Record.exhausted`.
    """

    error: str


@dataclass(frozen=True)
class Errored:
    """The kernel raised an error, and another attempt may succeed.

    After `max_failures` in a row `Record.errored` fails the job.
    """

    error: str


@dataclass(frozen=True)
class Postponed:
    """Its arrays could not be stored: the job goes on from its checkpoint later, uncounted."""

    error: str


Ending = Interrupted | Succeeded | Failed | Errored | Postponed


def ended(record: Record, ending: Ending, now: float) -> Record:
    """Return the job after a slice that ended so at `now`; `record` is the job while it ran."""
    match ending:
        case Interrupted():
            after = record.released(queued_at=now)
        case Succeeded():
            after = record.succeeded(ending.result, ending.chunks)
        case Failed():
            after = record.failed(ending.error)
        case Errored():
            wait = backoff(
                record.guards.failures, first=FIRST_BACKOFF_SECONDS, longest=LONGEST_RETRY_SECONDS
            )
            after = record.errored(ending.error, not_before=now + wait, queued_at=now)
        case Postponed():
            after = record.postponed(ending.error, now + POSTPONED_SECONDS, queued_at=now)
    return after.after_slice(record, _history_entry(after, ending), now)


def _history_entry(after: Record, ending: Ending) -> str:
    if after.status is not Status.QUEUED:
        return after.error if after.status is Status.FAILED and after.error else str(after.status)
    if isinstance(ending, Errored):
        return f"error, to be tried again: {ending.error}"
    if isinstance(ending, Postponed):
        return f"not stored, to be done again: {ending.error}"
    return ending.reason if isinstance(ending, Interrupted) else str(after.status)

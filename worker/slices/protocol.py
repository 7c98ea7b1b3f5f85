"""What a message calls for, by the record of its job alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from outlast.checkpoint.status import Status

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record

# A message that waited longer would be received too often; the sweep sends a new one then.
LONGEST_HIDE_SECONDS = 900.0


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
    if record.notices.owed:
        return _decide_notice(record.not_before - now)
    if record.status.is_final or record.status is Status.PAUSED:
        return Ack()
    if number is not None and number < record.slice_number:
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

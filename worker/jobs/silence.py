"""What a record says about the job's message: how long there was none, and what was received."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.checkpoint.history import History
from outlast.checkpoint.status import Status
from outlast.worker.slices.backoff import backoff

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record

LONGEST_WAIT_SECONDS = 24 * 3600.0
# A slice that was lost again and again fills more of the history, and then tells less.
STRETCHES = 3


def is_silent(record: Record, now: float, after_seconds: float) -> bool:
    """Whether the job should have gone on for so long, doubled with each sweep that woke it."""
    if record.is_over or record.status is Status.PAUSED or record.is_held(now):
        return False
    patience = backoff(record.guards.sweeps, first=after_seconds, longest=LONGEST_WAIT_SECONDS)
    return now - due_at(record) >= patience


def due_at(record: Record) -> float:
    """Return when the job was ready to go on, in seconds since the epoch."""
    lease_end = record.lease.expires_at if record.lease else 0.0
    return max(record.updated_at, record.not_before, lease_end)


def received_since(record: Record) -> float:
    """Return a time, and a message of the job sent after it has been received; 0: none has.

    That is the message of the slice which was claimed last. Nobody sends it before the slice ahead
    of it has ended, or, for the first one, before the job was created.
    """
    stretches = History(rows=record.history.rows[-STRETCHES:]).stretches
    if record.lease is not None:
        claimed = record.slice_number
    elif stretches:
        claimed = stretches[-1].last
    else:
        return 0.0
    ends = [stretch.ended_at for stretch in stretches if stretch.last < claimed]
    return max([record.created_at, *ends])

"""Wakes jobs whose message was lost: by a crash between create and send, a purge, an expiry."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import (
    CheckpointError,
    NewerRecord,
    StoreUnavailable,
    UnknownJob,
    VersionConflict,
)
from outlast.checkpoint.status import Status
from outlast.worker.queues.message import Message
from outlast.worker.slices.backoff import backoff
from outlast.worker.telemetry.events import JOB_WOKEN, RECORD_UNREADABLE, tell

if TYPE_CHECKING:
    from outlast.checkpoint.job_store import JobStore
    from outlast.checkpoint.record import Record
    from outlast.worker.queues.contract import Queue

log = logging.getLogger("outlast.sweep")

LONGEST_WAIT_SECONDS = 24 * 3600.0


def sweep(jobs: JobStore, queue: Queue, *, after_seconds: float) -> list[str]:
    """Send the continuation again for every job that has been silent; return their ids.

    A job is silent if it should run or owes notices of its end, is neither paused nor leased, and
    was not written for `after_seconds`. One that stays silent, perhaps because the queue is long,
    is swept again after twice that time, then four times, so that sweeps do not fill the queue with
    duplicates. Duplicates do no harm: each message carries the number of its slice.
    """
    woken = []
    for head in jobs.heads(on_corrupt=_log_unreadable):
        if not _is_silent(head, jobs.clock(), after_seconds):
            continue
        job_id = head.job_id
        try:
            stored = jobs.load(job_id)
            if not _is_silent(stored.record, jobs.clock(), after_seconds):
                continue
            # Written before it is sent, so that two sweeps at once do not both send.
            jobs.replace(stored, stored.record.swept())
        except (VersionConflict, UnknownJob):
            continue  # Someone has just changed or deleted it, so it is not silent.
        except StoreUnavailable:
            raise
        except CheckpointError as error:
            # One bad record must not keep the others asleep.
            _log_unreadable(error)
            continue
        queue.send(Message(job_id=job_id, slice=stored.record.slice_number))
        woken.append(job_id)
        # A notice may wait for longer than a message can be hidden: then none was lost.
        if not stored.record.notices.owed:
            tell(log, JOB_WOKEN, job_id=job_id, slice=stored.record.slice_number)
    return woken


def _log_unreadable(error: CheckpointError) -> None:
    if isinstance(error, NewerRecord):
        log.info("%s", error)  # Newer workers sweep it.
    else:
        tell(log, RECORD_UNREADABLE, error=str(error))


def _is_silent(record: Record, now: float, after_seconds: float) -> bool:
    if (
        (record.status.is_final and not record.notices.owed)
        or record.status is Status.PAUSED
        or record.is_held(now)
    ):
        return False
    patience = backoff(record.guards.sweeps, first=after_seconds, longest=LONGEST_WAIT_SECONDS)
    due = max(record.updated_at, record.not_before, record.lease.expires_at if record.lease else 0)
    return now - due >= patience

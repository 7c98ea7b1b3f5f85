"""Wakes jobs whose message was lost: by a crash between create and send, a purge, an expiry.

A sweep looks at the jobs that are marked as open, and once a day at every job, for those that have
no mark: they come from an older version, or from a backup. It costs what is open, not what is
stored.
"""

from __future__ import annotations

import logging
import math
import time
from contextlib import suppress
from itertools import chain, islice
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import (
    CheckpointError,
    NewerRecord,
    StoreUnavailable,
    UnknownJob,
    VersionConflict,
)
from outlast.checkpoint.job_heads import HEADS_AT_ONCE
from outlast.checkpoint.status import Status
from outlast.checkpoint.survey import Survey
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.queues.message import Message
from outlast.worker.slices.backoff import backoff
from outlast.worker.slices.outages import Outages
from outlast.worker.telemetry.events import JOB_WOKEN, RECORD_UNREADABLE, tell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.checkpoint.head import Head
    from outlast.checkpoint.job_store import JobStore
    from outlast.checkpoint.record import Record
    from outlast.checkpoint.sweep_turn import StoredTurn
    from outlast.worker.queues.contract import Queue

log = logging.getLogger("outlast.sweep")

LONGEST_WAIT_SECONDS = 24 * 3600.0
# On S3 a full sweep leaves out what was written so long before the end of the last one, which took
# less than that.
OVERLAP_SECONDS = 7 * 24 * 3600.0


def sweep(
    jobs: JobStore,
    queue: Queue,
    *,
    after_seconds: float,
    seconds: float | None = None,
    every_job: bool = False,
) -> list[str]:
    """Wake every job that has lost its message, whoever sweeps besides; return their ids.

    After `seconds` it stops, and the next sweep goes on from there; None: there is no limit. With
    `every_job` it looks at all jobs, also at those that are not marked as open.
    """
    turn = None
    while turn is None:  # A worker takes its turn at this very moment: ours is the next one.
        turn = jobs.sweep_turns.take(from_start=seconds is None, every_job=every_job)
    outages = Outages(time.monotonic, are_one=False)
    running = Sweep(jobs, queue, turn, outages, after_seconds=after_seconds)
    end = math.inf if seconds is None else time.monotonic() + seconds
    woken = []
    for job_id in running.pieces():
        if job_id is not None:
            woken.append(job_id)
        if time.monotonic() >= end:
            with suppress(VersionConflict):
                running.note()
            break
    return woken


class Sweep:
    """One sweep, by whoever has the `turn`.

    A job has lost its message if it should run or owes notices of its end, is neither paused nor
    leased, was not written for `after_seconds`, and does not wait in the queue: either the queue
    is empty, or a message that was queued clearly later has been received. A job that stays silent
    is woken again after twice that time, then four times, so that sweeps do not fill the queue with
    duplicates. Duplicates do no harm: each message carries the number of its slice.
    """

    def __init__(
        self,
        jobs: JobStore,
        queue: Queue,
        turn: StoredTurn,
        outages: Outages,
        *,
        after_seconds: float,
    ) -> None:
        self._jobs = jobs
        self._queue = queue
        self._stored = turn
        self._outages = outages
        self._after_seconds = after_seconds
        self._after = turn.turn.after
        reached = turn.turn.reached
        self._reached = reached if reached <= jobs.clock() else 0.0  # else a clock was wrong
        self._queue_is_empty: bool | None = None
        self._marked: set[str] | None = None  # None: all that the sweep comes to
        self._may_tidy = True

    def pieces(self) -> Iterator[str | None]:
        """Sweep, and yield after every few requests: the id of the job just woken, or None.

        It ends early where someone else has taken the turn.
        """
        is_full, reached = self._stored.turn.is_full, self._stored.turn.reached
        with suppress(VersionConflict):
            for page in self._pages():
                for job_id, head in page.items():
                    yield from self._look_at(job_id, head)
                yield None
                self._note_now_and_then()
            self._after = ""
            if is_full:
                self.note(is_full=False, full_at=self._jobs.clock())
            elif self._stored.turn.after or self._reached != reached:
                self.note()

    def note(self, **changes: object) -> None:
        """Store how far the sweep has come.

        Raises:
            VersionConflict: someone else has taken the turn.
        """
        changes |= {"after": self._after, "reached": self._reached}
        self._stored = self._jobs.sweep_turns.note(self._stored, **changes)

    def _note_now_and_then(self) -> None:
        if abs(self._jobs.clock() - self._stored.turn.at) >= self._after_seconds / 2:
            self.note()

    def _pages(self) -> Iterator[dict[str, Head | None]]:
        """Yield the jobs, a hundred at a time, each with its head; None: it has none to be read."""
        ids = self._ids()
        while page := list(islice(ids, HEADS_AT_ONCE)):
            heads = {
                head.job_id: head for head in self._jobs.heads_of(page, on_corrupt=_log_unreadable)
            }
            now = self._jobs.clock()
            seen = (head.received_since for head in heads.values())
            self._reached = max([self._reached, *(moment for moment in seen if moment <= now)])
            self._queue_is_empty = None
            yield {job_id: heads.get(job_id) for job_id in page}

    def _ids(self) -> Iterator[str]:
        turn, open_jobs = self._stored.turn, self._jobs.open_jobs
        if not turn.is_full:
            return open_jobs.ids(after=self._after)
        self._marked = set(open_jobs.ids())
        return self._jobs.ids(after=self._after, since=max(turn.full_at - OVERLAP_SECONDS, 0.0))

    def _look_at(self, job_id: str, head: Head | None) -> Iterator[str | None]:
        """Do what the job calls for, and yield if that took a request."""
        self._after = job_id
        is_marked = self._marked is None or job_id in self._marked
        if head is None or head.is_over:
            if is_marked:
                self._tidy(job_id)
                yield None
            return
        if not is_marked:
            self._jobs.open_jobs.mark(head)
            yield None
        if self._has_lost_its_message(head) and self._wake(job_id):
            yield job_id
            self._note_now_and_then()

    def _has_lost_its_message(self, record: Head) -> bool:
        now = self._jobs.clock()
        if not is_silent(record, now, self._after_seconds):
            return False
        # A queue keeps its order only roughly.
        if now - record.silent_seconds(now) + self._after_seconds < self._reached:
            return True
        if self._queue_is_empty is None:
            self._queue_is_empty = self._ask_queue()
        return self._queue_is_empty

    def _ask_queue(self) -> bool:
        try:
            return self._queue.is_empty()
        except QueueUnavailable as error:
            self._outages.failed(error, "a job that waits in the queue may be sent again")
            return True

    def _wake(self, job_id: str) -> bool:
        """Send the job's message again, if it still is silent; return whether it was."""
        try:
            stored = self._jobs.load(job_id)
            if not is_silent(stored.record, self._jobs.clock(), self._after_seconds):
                return False
            if self._has_part_at_work(stored.record):
                return False
            # Written before it is sent, so that two sweeps at once do not both send.
            stored = self._jobs.replace(stored, stored.record.swept().called())
        except (VersionConflict, UnknownJob):
            return False  # Someone has just changed or deleted it, so it is not silent.
        except StoreUnavailable:
            raise
        except CheckpointError as error:
            # One bad record must not keep the others asleep.
            _log_unreadable(error)
            return False
        self._queue.send(Message(job_id=job_id, slice=stored.record.slice_number))
        # A notice may wait for longer than a message can be hidden: then none was lost.
        if not stored.record.notices.owed:
            tell(log, JOB_WOKEN, job_id=job_id, slice=stored.record.slice_number)
        return True

    def _has_part_at_work(self, record: Record) -> bool:
        """Whether a part of the job is held, or was written lately: the others wait for a worker.

        Where one of them has lost its message, the job falls silent when the others are done.
        """
        if record.fleet is None or not record.fleet.is_cut:
            return False
        survey = Survey(self._jobs.nodes, record.job_id, record.fleet)
        parts = chain.from_iterable(group.parts for group in survey.open_groups())
        now = self._jobs.clock()
        return any(
            part is not None and (part.is_held(now) or now - part.updated_at < self._after_seconds)
            for part in parts
        )

    def _tidy(self, job_id: str) -> None:
        if not self._may_tidy:
            return
        try:
            self._jobs.open_jobs.tidy(job_id)
        except StoreUnavailable as error:
            # Perhaps this worker may not delete: then it would be refused for each of them.
            self._may_tidy = False
            effect = "the index of open jobs keeps what is over, which every sweep reads again"
            self._outages.failed(error, effect)


def _log_unreadable(error: CheckpointError) -> None:
    if isinstance(error, NewerRecord):
        log.info("%s", error)  # Newer workers sweep it.
    else:
        tell(log, RECORD_UNREADABLE, error=str(error))


def is_silent(record: Head, now: float, after_seconds: float) -> bool:
    """Whether the job should have gone on for so long, doubled with each sweep that woke it."""
    if record.is_over or record.status is Status.PAUSED:
        return False
    patience = backoff(record.guards.sweeps, first=after_seconds, longest=LONGEST_WAIT_SECONDS)
    return record.silent_seconds(now) >= patience

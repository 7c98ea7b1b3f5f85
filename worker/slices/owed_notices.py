"""The notices that a finished job owes: final record -> notices -> note who was notified -> ack.

A crash between the notices and the note repeats them: each is given at least once. A target that
does not accept one is tried again later, for about a day.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from outlast.checkpoint.head import LONGEST_NOTICE_SECONDS
from outlast.checkpoint.safe_text import redacted
from outlast.worker.notify.errors import Gone, NotDelivered
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.slices.backoff import backoff
from outlast.worker.slices.protocol import LONGEST_HIDE_SECONDS
from outlast.worker.telemetry.events import (
    NOTICE_FAILED,
    NOTICE_GIVEN,
    NOTICE_GIVEN_UP,
    tell,
)

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record
    from outlast.worker.queues.contract import Delivery
    from outlast.worker.slices.deadline import Deadline
    from outlast.worker.slices.worker_process import WorkerProcess

log = logging.getLogger("outlast.notify")

MAX_ROUNDS = 10
FIRST_WAIT_SECONDS = 5.0
# The longest wait for one target, and the shortest that is worth a try.
TIMEOUT_SECONDS = 5.0
LEAST_SECONDS = 1.0
# To note who was notified.
NOTE_SECONDS = 1.0


def notify_targets(
    process: WorkerProcess, delivery: Delivery, record: Record, deadline: Deadline
) -> bool:
    """Notify the targets that the job `record`, which is over, owes it; return whether to ack.

    False: the message is hidden until it is time to try again. If the deadline is too close, that
    is when the deadline has passed: before, this worker might receive it again and again.

    Raises:
        StoreUnavailable, QueueUnavailable: the targets may be notified again.
    """
    if not record.notices.owed:
        return True
    if deadline.remaining < LEAST_SECONDS + NOTE_SECONDS:
        process.hide(delivery, deadline.remaining)
        return False
    _keep_hidden(process, delivery, TIMEOUT_SECONDS * len(record.notices.owed) + NOTE_SECONDS)
    round_ = _notify_all(process, record, deadline)
    wait = 0.0
    if round_.is_whole:
        times = record.notices.rounds
        wait = backoff(times, first=FIRST_WAIT_SECONDS, longest=LONGEST_NOTICE_SECONDS, factor=4.0)
    after = _note(process, record, round_, wait)
    if not after.notices.owed or wait > LONGEST_HIDE_SECONDS:
        return True
    process.hide(delivery, wait)
    return False


class _Round(NamedTuple):
    """One attempt to notify all targets.

    Attributes:
        reached: those that accepted the notice.
        gone: those that want no more notices.
        is_whole: whether there was time for each of them.
    """

    reached: set[str]
    gone: set[str]
    is_whole: bool


def _notify_all(process: WorkerProcess, record: Record, deadline: Deadline) -> _Round:
    from outlast.worker.notify.notice import notice_of  # most jobs have no targets

    notice, reached, gone = notice_of(record), set[str](), set[str]()
    # Another one is first each time, in case there is never time for all.
    first = record.notices.rounds % len(record.notices.owed)
    for target in record.notices.owed[first:] + record.notices.owed[:first]:
        seconds = min(TIMEOUT_SECONDS, deadline.remaining - NOTE_SECONDS)
        if seconds < LEAST_SECONDS:
            return _Round(reached, gone, is_whole=False)
        name = redacted(target)
        try:
            process.notify(target, notice, seconds)
        except NotDelivered as error:
            tell(log, NOTICE_FAILED, job_id=record.job_id, target=name, error=str(error))
            if isinstance(error, Gone):
                gone.add(target)
        else:
            tell(log, NOTICE_GIVEN, job_id=record.job_id, target=name)
            reached.add(target)
    return _Round(reached, gone, is_whole=True)


def _note(process: WorkerProcess, record: Record, round_: _Round, wait: float) -> Record:
    """Store who was notified, and that the rest waits for so many seconds; return the job."""
    not_before = process.jobs.clock() + wait

    def move(current: Record) -> Record:
        # A person may have let the job go on, so that its end is yet to come, or used its id for
        # another job; or another worker with a duplicate of the message has notified all.
        if not current.notices.owed or _end(current) != _end(record):
            return current
        reached, gone, _ = round_
        return current.notified(reached, gone, not_before=not_before, max_rounds=MAX_ROUNDS)

    after = process.jobs.change(record.job_id, move).record
    for target in after.notices.given_up:
        if target not in record.notices.given_up:
            tell(log, NOTICE_GIVEN_UP, job_id=record.job_id, target=redacted(target))
    return after


def _end(record: Record) -> tuple[float, int, str]:
    """Return what tells one end of a job from all others."""
    return record.created_at, record.slice_number, record.status


def _keep_hidden(process: WorkerProcess, delivery: Delivery, seconds: float) -> None:
    """Keep others from giving the same notices meanwhile; if that fails, they may do so."""
    try:
        process.hide(delivery, seconds)
    except QueueUnavailable as error:
        process.outages.failed(error, "a notice may be given twice")

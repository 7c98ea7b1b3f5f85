"""The notices that a finished job owes: final record -> notices -> note who was told -> ack.

A crash between the notices and the note repeats them: each is given at least once. A target that
does not take one is tried again later, for about a day.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from outlast.checkpoint.registers import redacted
from outlast.worker.notify.contract import Gone, NotDelivered
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.slices.backoff import backoff
from outlast.worker.slices.protocol import LONGEST_HIDE_SECONDS
from outlast.worker.telemetry.events import (
    NOTICE_FAILED,
    NOTICE_GIVEN,
    NOTICE_GIVEN_UP,
    QUEUE_UNAVAILABLE,
    tell,
)

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record
    from outlast.worker.queues.contract import Delivery
    from outlast.worker.slices.deadline import Deadline
    from outlast.worker.slices.process import WorkerProcess

log = logging.getLogger("outlast.notify")

MAX_ROUNDS = 10
FIRST_WAIT_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 6 * 3600.0
# How long one target is waited for, where there is time, and at least.
TIMEOUT_SECONDS = 5.0
LEAST_SECONDS = 1.0
# To note who was told.
NOTE_SECONDS = 1.0


def notify_targets(
    process: WorkerProcess, delivery: Delivery, record: Record, deadline: Deadline
) -> bool:
    """Tell those whom the job `record`, which is over, owes it; return whether to ack.

    False: the message is hidden until it is time to try again. Where the deadline is too close it
    comes again at once, to a worker that has more time.

    Raises:
        StoreUnavailable, QueueUnavailable: they may be told again.
    """
    if not record.notices.owed:
        return True
    if deadline.remaining < LEAST_SECONDS + NOTE_SECONDS:
        process.hide(delivery, 0)
        return False
    _keep_hidden(process, delivery, TIMEOUT_SECONDS * len(record.notices.owed) + NOTE_SECONDS)
    reached, gone, tried = _tell_all(process, record, deadline)
    wait = backoff(
        record.notices.rounds, first=FIRST_WAIT_SECONDS, longest=LONGEST_WAIT_SECONDS, factor=4.0
    )
    wait = wait if tried == len(record.notices.owed) else 0.0
    not_before = process.jobs.clock() + wait

    def noticed(now: Record) -> Record:
        # A person may have let the job go on meanwhile: then its end is yet to come.
        # And another worker with a duplicate may have told them all.
        if not now.notices.owed or (now.status, now.slice_number) != (
            record.status,
            record.slice_number,
        ):
            return now
        return now.notified(reached, gone, not_before=not_before, max_rounds=MAX_ROUNDS)

    left = process.jobs.change(record.job_id, noticed).record
    for target in left.notices.given_up:
        if target not in record.notices.given_up:
            tell(log, NOTICE_GIVEN_UP, job_id=record.job_id, target=redacted(target))
    if not left.notices.owed or wait > LONGEST_HIDE_SECONDS:
        return True
    process.hide(delivery, wait)
    return False


def _tell_all(
    process: WorkerProcess, record: Record, deadline: Deadline
) -> tuple[set[str], set[str], int]:
    """Return the targets that were told, those that want no more, and how many were tried."""
    from outlast.worker.notify.notice import notice_of  # most jobs have no targets

    event, reached, gone = notice_of(record), set[str](), set[str]()
    # Each time another one is first, should there never be time for all.
    first = record.notices.rounds % len(record.notices.owed)
    for tried, target in enumerate(record.notices.owed[first:] + record.notices.owed[:first]):
        seconds = min(TIMEOUT_SECONDS, deadline.remaining - NOTE_SECONDS)
        if seconds < LEAST_SECONDS:
            return reached, gone, tried
        named = redacted(target)
        try:
            process.notify(target, event, seconds)
        except NotDelivered as error:
            tell(log, NOTICE_FAILED, job_id=record.job_id, target=named, error=str(error))
            if isinstance(error, Gone):
                gone.add(target)
        else:
            tell(log, NOTICE_GIVEN, job_id=record.job_id, target=named)
            reached.add(target)
    return reached, gone, len(record.notices.owed)


def _keep_hidden(process: WorkerProcess, delivery: Delivery, seconds: float) -> None:
    """Keep others from giving the same notices meanwhile; if they do, it is done twice."""
    try:
        process.hide(delivery, seconds)
    except QueueUnavailable as error:
        tell(log, QUEUE_UNAVAILABLE, effect="a notice may be given twice", error=str(error))

"""How a job, or a part, is passed on: its continuation is sent, and its message acknowledged.

Where store and queue are one database, that happens in the write that ends the slice. Elsewhere
the record is saved, the message is sent, and then noted as announced: a crash in between leaves a
message that leads on.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import VersionConflict
from outlast.checkpoint.status import Status
from outlast.worker.queues.message import Message

if TYPE_CHECKING:
    from outlast.checkpoint.job_store import StoredJob
    from outlast.checkpoint.record import Record
    from outlast.checkpoint.register import Put
    from outlast.worker.queues.contract import Delivery
    from outlast.worker.queues.database import Database
    from outlast.worker.slices.worker_process import WorkerProcess

log = logging.getLogger("outlast.delivery")


class Handover:
    """The write that ends a slice, with what goes along in the same step.

    Attributes:
        database: where it happens.
        delivery: the message that began the slice.
    """

    def __init__(self, database: Database, delivery: Delivery) -> None:
        self.database = database
        self.delivery = delivery

    def put(self, record: Record) -> Put:
        """Return the write of `record`; a continuation that it announces is sent with it."""
        goes_on = record.status is Status.QUEUED and record.announced
        return partial(
            self.database.put,
            message=Message.of(record) if goes_on else None,
            done=self.delivery if self.acks(record) else None,
        )

    def acks(self, record: Record) -> bool:
        """Whether the message has nothing left to do once `record` is stored."""
        if not self.delivery.receipt:
            return False  # No queue has delivered it.
        if record.node is None:
            return not record.notices.owed
        return not record.status.is_final  # A part that is over is added up, or fails its job.


def send_continuation(process: WorkerProcess, stored: StoredJob) -> None:
    """Send the message for the next slice of a job or part, and note that it was sent."""
    record = stored.record
    message, announced = Message.of(record), record.marked_announced()
    database = process.database
    if database is None:
        # Whoever finds the message missing sends a duplicate. But where the store has lost the
        # write that it follows, or the job's id is used again, it is another message with the same
        # number.
        deduplication_id = f"{message.group_id}:{record.revision.writer}"
        process.queue.send(message, deduplication_id=deduplication_id)
    try:
        put = None if database is None else partial(_sending, database)
        process.jobs.replace(stored, announced, put=put)
    except VersionConflict:
        # Another worker has claimed this slice, or a person stopped the job: both supersede it.
        log.debug("job %s moved on before its slice was marked as announced", record.job_id)


def _sending(database: Database, record: Record) -> Put:
    return partial(database.put, message=Message.of(record))

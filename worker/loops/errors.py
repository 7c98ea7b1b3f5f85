"""Which errors of a delivery leave its message where it is, and what event an outage is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.checkpoint.errors import CheckpointError, StoreUnavailable
from outlast.kernel import UnknownKernel
from outlast.worker.queues.message import ForeignMessage
from outlast.worker.slices.loading import NewerState
from outlast.worker.telemetry.events import QUEUE_UNAVAILABLE, STORE_UNAVAILABLE

if TYPE_CHECKING:
    from outlast.worker.queues.contract import QueueUnavailable
    from outlast.worker.telemetry.events import Event

# Another worker may have what the job needs.
NOT_HERE = (UnknownKernel, NewerState)
# Nothing that this worker can mend: the queue's redrive takes such a message away.
LEAVE_MESSAGE = (ForeignMessage, CheckpointError, *NOT_HERE)


def unavailable(error: StoreUnavailable | QueueUnavailable) -> Event:
    """Return the event that `error` is."""
    return STORE_UNAVAILABLE if isinstance(error, StoreUnavailable) else QUEUE_UNAVAILABLE

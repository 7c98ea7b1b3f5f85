"""Which errors of a delivery leave its message where it is."""

from __future__ import annotations

from outlast.checkpoint.errors import CheckpointError
from outlast.kernel import UnknownKernel
from outlast.worker.queues.message import ForeignMessage
from outlast.worker.slices.loading import NewerState

# Another worker may have what the job needs.
NOT_HERE = (UnknownKernel, NewerState)
# Nothing that this worker can mend: the queue's redrive takes such a message away.
LEAVE_MESSAGE = (ForeignMessage, CheckpointError, *NOT_HERE)

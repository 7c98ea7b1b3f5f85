"""Where a job stands. Free of other imports, as a command needs it before it needs a job."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """True once no further slice will run, unless a person retries the job."""
        return self in {Status.SUCCEEDED, Status.FAILED, Status.CANCELLED}

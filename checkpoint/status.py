"""A job's status. This module imports nothing else, so that `outlast --help` stays fast."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """What a job is doing, or how it ended."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def phrase(self) -> str:
        """The status after "job X": "has succeeded", "is queued"."""
        has = {Status.SUCCEEDED: "has succeeded", Status.FAILED: "has failed"}
        return has.get(self, f"is {self}")

    @property
    def is_final(self) -> bool:
        """True once no further slice will run, unless a person retries the job."""
        return self in {Status.SUCCEEDED, Status.FAILED, Status.CANCELLED}

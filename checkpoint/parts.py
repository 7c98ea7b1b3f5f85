"""The parts of a job's record."""

from __future__ import annotations

import hashlib
from typing import Annotated

from pydantic import Field

from outlast.checkpoint.fields import Count, Moment, Part, Platform, Seconds, Share


class Checkpoint(Part):
    """A kernel's state at a safe point, with the checksum that it must still have when read.

    Attributes:
        state: the state as JSON text; the codec keeps it beside the rest, which is why it has no
            part in the record's own JSON.
        digest: checksum of `state`, taken when the checkpoint was made.
        version: the format of the state, by the kernel's own count.
        sequence: 1 for the job's first checkpoint, then ascending; `Record.saved` gives it.
        slice: the slice that made it.
        progress: the share of the work done, 0 to 1.
        saved_at: when it was made.
    """

    state: bytes = Field(default=b"", exclude=True, repr=False)
    digest: str
    version: int
    sequence: Count = 0
    slice: Count
    progress: Share
    saved_at: Moment

    @property
    def is_intact(self) -> bool:
        """Whether the state still has the checksum that it was saved with."""
        return digest_of(self.state) == self.digest


class Lease(Part):
    """A time-bounded right to advance a job.

    Attributes:
        worker: who holds it, for people to read.
        platform: where that is, for example "lambda/arm64/1769" or "local".
        token: unique for each claim, so that a worker knows its own.
        claimed_at: when the slice began.
        expires_at: when others may take the job.
        at_risk_seconds: the most work that a crash of the holder can lose.
    """

    worker: str
    platform: Platform = "local"
    token: str
    claimed_at: Moment
    expires_at: Seconds
    at_risk_seconds: Seconds


class Limits(Part):
    """When to give a job up; a job that advances meets none but the two ceilings on cost.

    Attributes:
        max_failures: errors in a row without progress between them.
        max_stalls: slices in a row that ended with no progress, crashes included.
        max_slices: all slices; None sets no ceiling.
        max_compute_seconds: all time spent in the kernel; None sets no ceiling.
    """

    max_failures: Annotated[int, Field(ge=1)] = 5
    # So many are bad luck only where a worker is killed every other second. A queue must allow some
    # receives for each, or it gives the message up before the job has failed.
    max_stalls: Annotated[int, Field(ge=1)] = 10
    max_slices: Annotated[int, Field(ge=1)] | None = 100_000
    max_compute_seconds: Annotated[float, Field(gt=0)] | None = None


def digest_of(data: bytes) -> str:
    """Return the checksum of `data`: 128 bits of BLAKE2b as hexadecimal digits."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()

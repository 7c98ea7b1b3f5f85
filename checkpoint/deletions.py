"""What remains of a deleted job: a mark, so that a late message does not look like a lost job."""

from __future__ import annotations

import json
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import ConfigDict, TypeAdapter

from outlast.checkpoint.errors import DeletedJob, UnknownJob, VersionConflict
from outlast.checkpoint.fields import Moment

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.checkpoint.register import Register

PREFIX = "deleted/"

MOMENT: TypeAdapter[float] = TypeAdapter(Moment, config=ConfigDict(defer_build=True))


class Deletions:
    """The marks of deleted jobs in a register, each a small value of its own.

    All methods raise StoreUnavailable where the register does.
    """

    def __init__(self, register: Register, clock: Callable[[], float]) -> None:
        self._register = register
        self._clock = clock

    def mark(self, job_id: str) -> None:
        """Mark the job as deleted now."""
        key = PREFIX + job_id
        before = self._register.read(key)
        # The nonce: no two values under a key may be the same; see `Register`.
        value = {"deleted_at": self._clock(), "nonce": secrets.token_hex(8)}
        with suppress(VersionConflict):  # Someone else has just marked it.
            self._register.write(
                key, json.dumps(value).encode(), expected=before.version if before else None
            )

    def deleted_at(self, job_id: str) -> float | None:
        """Return when the job was deleted, in seconds since the epoch; None: it has no mark."""
        stored = self._register.read(PREFIX + job_id)
        return None if stored is None else _moment(stored.value)

    def unknown_job(self, job_id: str) -> UnknownJob:
        """Return the error for a job that is not in the store: DeletedJob if it has a mark."""
        deleted_at = self.deleted_at(job_id)
        if deleted_at is None:
            return UnknownJob(f"there is no job {job_id!r} in this store")
        day = datetime.fromtimestamp(deleted_at, UTC)
        return DeletedJob(f"job {job_id} was deleted on {day:%Y-%m-%d at %H:%M} UTC")

    def forget(self, before: float) -> int:
        """Remove the marks from before that time, in seconds since the epoch; return how many."""
        count = 0
        for key in self._register.keys(PREFIX):
            stored = self._register.read(key)
            if stored is None or _moment(stored.value) >= before:
                continue
            with suppress(VersionConflict):
                self._register.delete(key, expected=stored.version)
                count += 1
        return count


def _moment(value: bytes) -> float:
    """Return the time in a mark; 0, the oldest, where the mark is damaged or foreign."""
    try:
        return MOMENT.validate_python(json.loads(value)["deleted_at"])
    except (ValueError, TypeError, KeyError):  # pydantic's error is a ValueError
        return 0.0

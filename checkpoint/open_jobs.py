"""The index of open jobs: a mark for each, so that a sweep finds them without reading the others.

A mark is written before its job is, and nothing but a sweep removes it. So a crash anywhere leaves
a mark too many at most, and each mark says how often the job had been written by then: a write that
it announces may still come, until the job has been written more often.

    submit  mark (0 writes)  -> create the record
    retry   mark (n writes)  -> replace the record, which is over after n writes, by an open one
    sweep   read the mark    -> read the record: over, after more writes -> remove that very mark
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from pydantic import ValidationError

from outlast.checkpoint.errors import VersionConflict
from outlast.checkpoint.fields import Count, Moment, Part
from outlast.checkpoint.job_heads import JobHeads, ids_below
from outlast.checkpoint.names import checked_id, job_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from outlast.checkpoint.head import Head
    from outlast.checkpoint.register import Register, Stored

PREFIX = "open/"

# A submission takes seconds from its mark to its record.
MISSING_SECONDS = 86_400.0


class Mark(Part, defer_build=True):
    """What the index says of a job.

    Attributes:
        writes: how often the job had been written when it was marked.
        missing_since: when a sweep found no record; None: none has yet.
        nonce: no two values under a key may be the same; see `Register`.
    """

    writes: Count = 0
    missing_since: Moment | None = None
    nonce: str = ""


class OpenJobs:
    """The marks of a register's open jobs. All methods raise StoreUnavailable where it does."""

    def __init__(self, register: Register, clock: Callable[[], float]) -> None:
        self._register = register
        self._heads = JobHeads(register)
        self._clock = clock

    def ids(self, *, after: str = "") -> Iterator[str]:
        """Yield the ids of all jobs that may be open and sort after `after`, in ascending order."""
        return ids_below(self._register, PREFIX, after=after)

    def mark(self, record: Head) -> None:
        """Mark a job that is about to be opened; `record` is the job before that."""
        key, version = PREFIX + checked_id(record.job_id), None
        while True:
            try:
                self._put(key, Mark(writes=record.revision.writes), version)
            except VersionConflict:  # There is one already.
                stored = self._register.read(key)
                version = stored.version if stored else None
            else:
                return

    def tidy(self, job_id: str) -> None:
        """Remove the mark of a job that is over, or that has been missing for a day."""
        key = PREFIX + job_id
        # The mark first: whoever opens the job after this writes another one.
        stored = self._register.read(key)
        if stored is None:
            return
        mark = _parsed(stored.value)
        with suppress(VersionConflict):
            for head in self._heads.heads_of([job_id], on_corrupt=lambda _: None):
                if head.is_over and head.revision.writes > mark.writes:
                    self._register.delete(key, expected=stored.version)
                return
            if self._register.peek([job_key(job_id)], 1) == [None]:
                self._tidy_missing(key, stored, mark)

    def _tidy_missing(self, key: str, stored: Stored, mark: Mark) -> None:
        now = self._clock()
        if mark.missing_since is None:
            self._put(key, mark.model_copy(update={"missing_since": now}), stored.version)
        elif now - mark.missing_since >= MISSING_SECONDS:
            self._register.delete(key, expected=stored.version)

    def _put(self, key: str, mark: Mark, version: str | None) -> None:
        value = mark.model_copy(update={"nonce": secrets.token_hex(8)})
        self._register.write(key, value.model_dump_json().encode(), expected=version)


def _parsed(value: bytes) -> Mark:
    """Return the mark; a new one where it is damaged."""
    try:
        return Mark.model_validate_json(value)
    except ValidationError:
        return Mark()

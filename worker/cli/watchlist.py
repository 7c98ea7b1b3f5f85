"""Which jobs a person watches, and what has changed since the last look."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import CorruptRecord
from outlast.worker.jobs.parts import with_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from outlast.checkpoint.head import Head
    from outlast.checkpoint.record import Record
    from outlast.worker.jobs.client import Client
    from outlast.worker.jobs.parts import Parts
    from outlast.worker.jobs.selection import Selection

# The looks in between read only the jobs that are watched: the others may be thousands.
LOOKS_TO_A_SEARCH = 10
# What the looks at the parts of divided jobs may take of the time.
SHARE_OF_LOOKS = 0.1


class Watchlist:
    """The jobs with these ids or, without ids, those that are selected and not over.

    A job that is watched stays so until it is over, even if the selection no longer fits.

    Attributes:
        jobs: those that are watched, as they were at the last look.
        parts: how the parts of each divided job stand. They may be many, so the looks at them
            take a tenth of the time at most.
        has_failed: whether a job has ended without a result.
    """

    def __init__(
        self,
        client: Client,
        job_ids: Sequence[str],
        selection: Selection,
        say: Callable[[str], object],
    ) -> None:
        """Watch jobs; `say` gets a line on each one that cannot be watched."""
        self.jobs: dict[str, Record] = {}
        self.parts: dict[str, Parts] = {}
        self._parts_due_at = 0.0
        self.has_failed = False
        self._client = client
        self._is_named = bool(job_ids)
        self._job_ids = dict.fromkeys(job_ids)
        self._selection = selection
        self._say = say
        self._lines: set[str] = set()
        self._looks = 0

    @property
    def is_over(self) -> bool:
        """Whether all jobs are over that were named; without ids never."""
        return self._is_named and not self._job_ids

    def look(self) -> list[Record]:
        """Return the jobs that have changed since the last look; those that are over come once.

        Raises:
            UnknownJob: a job that was named is not there, at the first look.
            CorruptRecord: a job that was named cannot be read.
            StoreUnavailable: the store did not answer; the next look makes up for it.
        """
        before, parts_before = self.jobs, self.parts
        records = self._with_parts({record.job_id: record for record in self._read()})
        if not self._looks:
            self._require(records)
        self._looks += 1
        for job_id in before.keys() - records.keys():
            self._say(f"job {job_id} has gone from the store")
            self._job_ids.pop(job_id, None)
            self.has_failed = self.has_failed or self._is_named
        for record in records.values():
            if record.status.is_final:
                self._job_ids.pop(record.job_id, None)
                self.has_failed = self.has_failed or record.status != "succeeded"
        self.jobs = {r.job_id: r for r in records.values() if not r.status.is_final}
        return [
            record
            for job_id, record in records.items()
            if _look_of(record, self.parts.get(job_id))
            != _look_of(before.get(job_id), parts_before.get(job_id))
        ]

    def _with_parts(self, records: dict[str, Record]) -> dict[str, Record]:
        """Look at the parts of those that are divided, if it is time; return all as they stand.

        Those of a job that is over are looked at in any case: its last line is to be true.
        """
        begun = time.monotonic()
        is_time = begun >= self._parts_due_at
        now_known = dict(records)
        found: dict[str, Parts] = {}
        for job_id, record in records.items():
            if not record.is_divided:
                continue
            if is_time or record.status.is_final:
                try:
                    now_known[job_id], parts = with_parts(self._client.jobs, record)
                except CorruptRecord as error:
                    self._on_corrupt(error)
                    continue
            elif parts := self.parts.get(job_id):
                now_known[job_id] = parts.added_to(record)
            if parts is not None:
                found[job_id] = parts
        self.parts = found
        if is_time:
            self._parts_due_at = begun + (time.monotonic() - begun) / SHARE_OF_LOOKS
        return now_known

    def _read(self) -> Iterator[Record]:
        jobs = self._client.jobs
        if self._is_named:
            yield from jobs.records_of(self._job_ids, on_corrupt=self._on_corrupt)
        elif self._looks % LOOKS_TO_A_SEARCH:
            yield from jobs.records_of(self.jobs, on_corrupt=self._on_corrupt)
        else:
            now = jobs.clock()
            yield from jobs.records(
                where=lambda head: self._is_watched(head, now), on_corrupt=self._on_corrupt
            )

    def _is_watched(self, head: Head, now: float) -> bool:
        is_new = not head.status.is_final and self._selection.takes(head, now)
        return is_new or head.job_id in self.jobs

    def _require(self, records: dict[str, Record]) -> None:
        for job_id in self._job_ids:
            if job_id not in records:
                raise self._client.jobs.deletions.unknown_job(job_id)

    def _on_corrupt(self, error: CorruptRecord) -> None:
        if self._is_named:
            raise error
        if (line := str(error)) not in self._lines:
            self._lines.add(line)
            self._say(line)


def _look_of(record: Record | None, parts: Parts | None) -> object:
    """Return what of a job is worth a new line when it changes."""
    if record is None:
        return None
    if parts is not None:
        return record.status, f"{parts.progress:.1%}", parts.counts, record.error
    worker = record.lease.worker if record.lease else None
    return record.status, record.slice_number, worker, f"{record.progress:.1%}", record.error

"""Which jobs a person follows, and what has changed of them since the last look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.checkpoint.errors import UnknownJob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from outlast.checkpoint.errors import CorruptRecord
    from outlast.checkpoint.record import Record
    from outlast.worker.jobs.client import Client
    from outlast.worker.jobs.selection import Selection

# In between only the jobs that are followed are read: the others may be thousands.
LOOKS_TO_A_SEARCH = 10


class Watching:
    """The jobs with these ids or, without any, those that are chosen and not over.

    A job that is followed stays so until it is over, even if the choice no longer fits.

    Attributes:
        jobs: those that are followed, as they were at the last look.
        has_failed: whether a job has ended otherwise than in its result.
    """

    def __init__(
        self,
        client: Client,
        job_ids: Sequence[str],
        selection: Selection,
        tell: Callable[[str], object],
    ) -> None:
        """Follow jobs; `tell` is given a line on each one that cannot be followed."""
        self.jobs: dict[str, Record] = {}
        self.has_failed = False
        self._client = client
        self._named = dict.fromkeys(job_ids)
        self._left = self._named.copy()
        self._selection = selection
        self._tell = tell
        self._told: set[str] = set()
        self._looks = 0

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be seen: never so without ids."""
        return bool(self._named) and not self._left

    def look(self) -> list[Record]:
        """Return the jobs that have changed since the last look; those that are over come once.

        Raises:
            UnknownJob: a job that was named is not there, at the first look.
            CorruptRecord: a job that was named cannot be read.
            StoreUnavailable: the store did not answer; the next look makes up for it.
        """
        before = self.jobs
        found = {record.job_id: record for record in self._read()}
        if self._named and not self._looks:
            self._require(found)
        self._looks += 1
        for job_id in before.keys() - found.keys():
            self._tell(f"job {job_id} has gone from the store")
            self._left.pop(job_id, None)
            self.has_failed = self.has_failed or job_id in self._named
        changed = [r for r in found.values() if _seen(r) != _seen(before.get(r.job_id))]
        self.jobs = {r.job_id: r for r in found.values() if not r.status.is_final}
        for record in found.values():
            if record.status.is_final:
                self._left.pop(record.job_id, None)
                self.has_failed = self.has_failed or record.status != "succeeded"
        return changed

    def _read(self) -> Iterator[Record]:
        jobs = self._client.jobs
        if self._named:
            yield from jobs.heads_of(self._left, on_corrupt=self._on_corrupt)
        elif self._looks % LOOKS_TO_A_SEARCH:
            yield from jobs.heads_of(self.jobs, on_corrupt=self._on_corrupt)
        else:
            now = jobs.clock()
            for record in jobs.heads(on_corrupt=self._on_corrupt):
                is_new = not record.status.is_final and self._selection.takes(record, now)
                if is_new or record.job_id in self.jobs:
                    yield record

    def _require(self, found: dict[str, Record]) -> None:
        for job_id in self._left:
            if job_id not in found:
                raise UnknownJob(f"there is no job {job_id!r} in this store")

    def _on_corrupt(self, error: CorruptRecord) -> None:
        if self._named:
            raise error
        if (line := str(error)) not in self._told:
            self._told.add(line)
            self._tell(line)


def _seen(record: Record | None) -> object:
    """Return what of a job is worth a new line."""
    if record is None:
        return None
    worker = record.lease.worker if record.lease else None
    return record.status, record.slice_number, worker, f"{record.progress:.1%}", record.error

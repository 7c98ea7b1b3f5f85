"""The stored jobs: which of them are damaged, and which a newer version has written."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from outlast.worker.doctor.finding import error, ok, warning
from outlast.worker.doctor.stored_jobs import MOST_HEADS, read_stored_jobs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.worker.doctor.finding import Check, Finding
    from outlast.worker.doctor.stored_jobs import StoredJobs
    from outlast.worker.settings import Settings

NAMES = 3  # of many jobs in one line
BACKUP = "bring the store's backup back; or outlast delete ID --force, and submit it again"
DAMAGE = "docs/operations.md: a checkpoint is damaged"


class JobsExamination:
    """Examines the jobs of a store; nothing is written."""

    def __init__(self, settings: Settings, *, every: bool = False) -> None:
        """Look at a sample of the jobs, or at `every` record there is."""
        self._settings = settings
        self._every = every

    def checks(self) -> list[Check]:
        """Return the checks of the jobs."""
        return [self._damage]

    @cached_property
    def stored(self) -> StoredJobs:
        """What there is to see.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        return read_stored_jobs(self._settings, every=self._every)

    def _damage(self) -> Iterator[Finding]:
        stored = self.stored
        findings = list(_damages(stored))
        yield from findings
        yield from _newer_and_quarantined(stored)
        if not findings:
            yield ok("jobs.records", f"none is damaged of {_extent(stored)}")


def _damages(stored: StoredJobs) -> Iterator[Finding]:
    if stored.unreadable:
        yield error(
            "jobs.records",
            f"{_count(stored.unreadable)} cannot be read: {'; '.join(stored.unreadable[:NAMES])}",
            breaks="no worker goes on with it, and lists leave it out",
            mend=BACKUP,
        )
    if stored.lost:
        yield error(
            "jobs.states",
            f"no state is intact of {_names(stored.lost)}",
            breaks="the next slice fails the job, which cannot go on",
            mend=BACKUP,
        )
    if stored.set_back:
        yield warning(
            "jobs.newest-states",
            f"the newest state is damaged of {_names(stored.set_back)}",
            breaks="the next slice goes on from the one before",
            mend=f"find what changes bytes in the store or on their way; {DAMAGE}",
        )
    if stored.without_arrays:
        yield error(
            "jobs.arrays",
            f"arrays are missing of {_names(stored.without_arrays)}",
            breaks="such a state cannot be loaded: the job goes on from the one before, or fails",
            mend="set OUTLAST_BLOBS as the workers have it, or bring the backup of that place back",
        )


def _newer_and_quarantined(stored: StoredJobs) -> Iterator[Finding]:
    if stored.newer:
        yield warning(
            "jobs.format",
            f"{_count(stored.newer)} of a newer format: {stored.newer[0]}",
            breaks="workers of this version leave them",
            mend="upgrade Outlast here, and on all workers",
        )
    if stored.quarantined:
        yield warning(
            "jobs.quarantine",
            f"workers found damaged states of {_names(stored.quarantined)}",
            breaks="their jobs went on from the state before; whatever it was may come again",
            mend=f"outlast status ID; {DAMAGE}",
        )


def _extent(stored: StoredJobs) -> str:
    if stored.is_all:
        return f"all {stored.records:,} records"
    extent = f"{stored.heads:,} jobs, of which {stored.records:,} were read whole"
    is_sample = stored.records < stored.heads or stored.heads >= MOST_HEADS
    return f"{extent}; --all reads every one" if is_sample else extent


def _count(messages: list[str]) -> str:
    return f"{len(messages):,} record{'s' * (len(messages) > 1)}"


def _names(names: list[str]) -> str:
    more = len(names) - NAMES
    return ", ".join(names[:NAMES]) + (f" and {more:,} more" if more > 0 else "")

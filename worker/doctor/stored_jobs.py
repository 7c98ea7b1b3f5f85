"""What there is to see of the stored jobs: a sample of them is read, or every record."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from outlast.checkpoint.blobs import open_blobs
from outlast.checkpoint.codec import decode
from outlast.checkpoint.errors import CorruptRecord, NewerRecord, UnknownJob
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.names import PARTS
from outlast.checkpoint.registers import open_register

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from outlast.checkpoint.blobs.contract import BlobStore
    from outlast.checkpoint.record import Record
    from outlast.checkpoint.register import Register
    from outlast.worker.settings import Settings

# Without --all doctor takes a moment: the heads of so many jobs, and as many whole records of open
# ones as there is time for.
MOST_HEADS = 1_000
MOST_RECORDS = 100
MOST_SECONDS = 5.0


class Size(NamedTuple):
    """The bytes of a job's state, and of its arrays."""

    bulk_bytes: int = 0
    state_bytes: int = 0
    job_id: str = ""


class Largest(NamedTuple):
    """The largest open jobs: by the bytes of their arrays, and by those of their states."""

    by_arrays: Size = Size()
    by_state: Size = Size()

    def with_size(self, size: Size) -> Largest:
        """Return what is largest if there is a job of this size, too."""
        return Largest(
            max(self.by_arrays, size),
            max(self.by_state, size, key=lambda each: each.state_bytes),
        )


@dataclass
class StoredJobs:
    """What was seen of the stored jobs.

    Attributes:
        heads: how many jobs were looked at.
        records: of how many records, with those of parts, the states were read, too.
        is_all: whether that is all there is.
        unreadable: what is wrong with each record that cannot be read.
        newer: the records that only a newer version of Outlast reads.
        lost: the jobs without any intact state, though they have some.
        set_back: the jobs whose newest state is damaged, and not the one before.
        without_arrays: the jobs with a state whose arrays are missing.
        quarantined: the jobs of which a worker has found a damaged state.
        largest: the largest open jobs.
    """

    is_all: bool
    heads: int = 0
    records: int = 0
    unreadable: list[str] = field(default_factory=list)
    newer: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    set_back: list[str] = field(default_factory=list)
    without_arrays: list[str] = field(default_factory=list)
    quarantined: list[str] = field(default_factory=list)
    largest: Largest = field(default_factory=Largest)


def read_stored_jobs(settings: Settings, *, every: bool) -> StoredJobs:
    """Return what is seen of a sample of the jobs, or of `every` record there is.

    Raises:
        StoreUnavailable: the store did not answer.
    """
    with ExitStack() as stack:
        register = open_register(settings.store, read_only=True)
        if hasattr(register, "close"):
            stack.enter_context(closing(register))
        jobs, blobs = JobStore(register), None
        if settings.blobs:
            # The part of a store that has no identity yet has no arrays either.
            part = partial("{}/".format, jobs.known_identity() or "none")
            blobs = stack.enter_context(closing(open_blobs(settings.blobs, part=part)))
        reader = _Reader(jobs, register, blobs, StoredJobs(is_all=every))
        return reader.read_all() if every else reader.read_sample()


class _Reader:
    def __init__(
        self, jobs: JobStore, register: Register, blobs: BlobStore | None, stored: StoredJobs
    ) -> None:
        self._jobs = jobs
        self._register = register
        self._blobs = blobs
        self._stored = stored

    def read_sample(self) -> StoredJobs:
        """Read some heads, and some whole records of open jobs."""
        end = time.monotonic() + MOST_SECONDS
        self._read_heads(islice(self._jobs.ids(), MOST_HEADS))
        for job_id in islice(self._jobs.open_jobs.ids(), MOST_RECORDS):
            if time.monotonic() > end:
                break
            self._read_job(job_id)
        return self._stored

    def read_all(self) -> StoredJobs:
        """Read every record, those of parts, too."""
        for job_id in self._jobs.ids():
            self._stored.heads += 1
            self._read_job(job_id)
        for key in self._register.keys(PARTS):
            if (found := self._register.read(key)) is not None:
                self._look(f"part {key.removeprefix(PARTS)}", partial(decode, found.value))
        return self._stored

    def _read_heads(self, job_ids: Iterator[str]) -> None:
        for head in self._jobs.heads_of(job_ids, on_corrupt=self._unreadable):
            self._stored.heads += 1
            if head.quarantine:
                self._stored.quarantined.append(head.job_id)

    def _read_job(self, job_id: str) -> None:
        self._look(job_id, lambda: self._jobs.load(job_id).record)

    def _look(self, name: str, load: Callable[[], Record]) -> None:
        try:
            record = load()
        except UnknownJob:  # It was deleted meanwhile.
            return
        except CorruptRecord as damage:
            self._unreadable(damage)
            return
        stored = self._stored
        stored.records += 1
        intact = [checkpoint.is_intact for checkpoint in record.checkpoints]
        if intact and not any(intact):
            stored.lost.append(name)
        elif not all(intact):
            stored.set_back.append(name)
        if record.quarantine and name not in stored.quarantined:
            stored.quarantined.append(name)
        if self._lacks_arrays(record):
            stored.without_arrays.append(name)
        if record.checkpoints and not record.is_over:
            newest = record.checkpoints[0]
            size = Size(newest.bulk_bytes, newest.packed.size, record.job_id)
            stored.largest = stored.largest.with_size(size)

    def _unreadable(self, damage: CorruptRecord) -> None:
        kind = self._stored.newer if isinstance(damage, NewerRecord) else self._stored.unreadable
        if str(damage) not in kind:
            kind.append(str(damage))

    def _lacks_arrays(self, record: Record) -> bool:
        needed = {chunk.name for each in record.checkpoints for chunk in each.chunks}
        if not needed:
            return False
        if self._blobs is None:
            return True
        folders = {name.rpartition("/")[0] for name in needed}
        found = {found.name for folder in folders for found in self._blobs.names(f"{folder}/")}
        return not needed <= found

"""The jobs in a register: each is one value, and every change of it is one compare-and-set."""

from __future__ import annotations

import json
import secrets
import time
from collections import deque
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from outlast.checkpoint.codec import decode, encode
from outlast.checkpoint.deletions import Deletions
from outlast.checkpoint.errors import (
    JobExists,
    LeaseLost,
    StateTooLarge,
    StoreUnavailable,
    VersionConflict,
)
from outlast.checkpoint.heads import JobHeads, naming, require_owner
from outlast.checkpoint.names import JOBS, job_key
from outlast.checkpoint.parts import Revision

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.checkpoint.record import Record
    from outlast.checkpoint.register import Register, Stored

MAX_RECORD_BYTES = 256 << 20


class Held(NamedTuple):
    """A record as it was read or written, and the version that the next write must name."""

    record: Record
    version: str


class JobStore(JobHeads):
    """Reads and writes the records of jobs.

    All methods raise StoreUnavailable where the register does. Those that read a job raise
    CorruptRecord where its bytes are not a record.
    """

    def __init__(self, register: Register, *, clock: Callable[[], float] = time.time) -> None:
        """Keep jobs in `register`; `clock` gives seconds since the epoch."""
        super().__init__(register)
        self._writes = count(1)
        # The `writer` of each write since the last one with an answer: any of them may be stored.
        # `Register.write` reads a value back after a lost answer. These are the writes for which
        # that failed, too: after an outage a repeated release finds its own first attempt by them.
        self._unanswered: deque[str] = deque(maxlen=8)
        self.clock = clock
        self.deletions = Deletions(register, clock)

    @cached_property
    def _writer(self) -> str:
        # Drawn at the first write: processes restored from one snapshot must not share it.
        return secrets.token_hex(4)

    def reach(self) -> None:
        """Check that the store answers.

        Raises:
            StoreUnavailable: it did not answer or refused.
        """
        self._register.read(JOBS)

    def submit(self, record: Record) -> tuple[Held, bool]:
        """Store a new job; return it and True, or the job that has its id already and False.

        Raises:
            InvalidJobId: no job can have this id.
            JobExists: the id belongs to a job of another kernel or with other parameters.
        """
        try:
            return self._write(record, expected=None), True
        except VersionConflict:
            held = self.load(record.job_id)
        existing = held.record
        if (existing.kernel, existing.params) != (record.kernel, record.params):
            typed = (f"{key}={json.dumps(value)}" for key, value in existing.params.items())
            raise JobExists(
                f"job {record.job_id} exists with other parameters: "
                f"{' '.join((existing.kernel, *typed))}; choose another job id"
            )
        return held, False

    def load(self, job_id: str) -> Held:
        """Return the job.

        Raises:
            UnknownJob: no job has this id; DeletedJob: the job was deleted.
            InvalidJobId: no job can have this id.
        """
        stored = self._stored(job_id)
        with naming(job_id):
            return Held(require_owner(decode(stored.value), job_id), stored.version)

    def replace(self, held: Held, record: Record) -> Held:
        """Store `record` in place of `held`.

        Raises:
            VersionConflict: someone else has changed the job since `held` was read.
            StateTooLarge: the record is larger than any that is stored.
        """
        return self._write(record, expected=held.version)

    def change(self, job_id: str, move: Callable[[Record], Record]) -> Held:
        """Apply `move` to the newest record, again after each write by someone else.

        Nothing is written if the move returns its argument.
        """
        while True:
            held = self.load(job_id)
            record = move(held.record)
            if record is held.record:
                return held
            try:
                return self.replace(held, record)
            except VersionConflict:
                continue

    def advance(self, held: Held, token: str, move: Callable[[Record], Record]) -> Held:
        """Apply `move` for the worker whose lease has this `token`.

        Changes by others that leave the lease alone, such as a pause, are kept. Where an earlier
        call has released the lease and only its answer was lost, the job is returned as it is.

        Raises:
            LeaseLost: another worker has claimed the job, or it was cancelled.
        """
        while True:
            lease = held.record.lease
            if lease is None or lease.token != token:
                if held.record.revision.writer in self._unanswered:
                    return held  # This store has released it; only the answer was lost.
                raise LeaseLost(f"job {held.record.job_id} is no longer ours")
            try:
                return self.replace(held, move(held.record))
            except VersionConflict:
                held = self.load(held.record.job_id)

    def delete(self, held: Held) -> None:
        """Remove the job. Loading it raises DeletedJob until its mark is forgotten.

        Raises:
            VersionConflict: someone else has changed the job since `held` was read.
        """
        self._delete(held.record.job_id, held.version)

    def discard(self, job_id: str) -> None:
        """Remove the job's value, even one that is damaged or not a record.

        Raises:
            UnknownJob: no job has this id; DeletedJob: the job was deleted.
        """
        while True:
            try:
                return self._delete(job_id, self._stored(job_id).version)
            except VersionConflict:
                continue

    def _stored(self, job_id: str) -> Stored:
        stored = self._register.read(job_key(job_id))
        if stored is None:
            raise self.deletions.unknown_job(job_id)
        return stored

    def _delete(self, job_id: str, version: str) -> None:
        # The mark first: a crash in between leaves a job that can be deleted again, rather than a
        # message whose job seems lost.
        self.deletions.mark(job_id)
        self._register.delete(job_key(job_id), expected=version)

    def _write(self, record: Record, *, expected: str | None) -> Held:
        revision = Revision(
            writes=record.revision.writes + 1, writer=f"{self._writer}.{next(self._writes)}"
        )
        stamped = record.model_copy(update={"revision": revision, "updated_at": self.clock()})
        data = encode(stamped)
        if len(data) > MAX_RECORD_BYTES:
            raise StateTooLarge(
                f"job {record.job_id}: its record of {len(data):,} bytes is over the limit of "
                f"{MAX_RECORD_BYTES:,}"
            )
        try:
            version = self._register.write(job_key(record.job_id), data, expected=expected)
        except StoreUnavailable:
            self._unanswered.append(stamped.revision.writer)
            raise
        self._unanswered.clear()
        return Held(stamped, version)

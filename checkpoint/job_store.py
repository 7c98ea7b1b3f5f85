"""The jobs in a register: each is one value, and every change of it is one compare-and-set."""

from __future__ import annotations

import json
import logging
import re
import secrets
import time
from contextlib import suppress
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from outlast.checkpoint.codec import decode, encode
from outlast.checkpoint.deletions import Deletions
from outlast.checkpoint.errors import (
    CorruptRecord,
    JobExists,
    LeaseLost,
    StateTooLarge,
    StoreFull,
    VersionConflict,
)
from outlast.checkpoint.job_heads import JobHeads, require_owner, with_job_in_message
from outlast.checkpoint.names import JOBS, job_key, node_key, record_key
from outlast.checkpoint.nodes import Nodes
from outlast.checkpoint.open_jobs import OpenJobs
from outlast.checkpoint.record_parts import Revision
from outlast.checkpoint.store_clock import set_right
from outlast.checkpoint.sweep_turn import SweepTurns
from outlast.checkpoint.view import short

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.checkpoint.fleet import Node
    from outlast.checkpoint.head import Head
    from outlast.checkpoint.record import Record
    from outlast.checkpoint.register import Put, Register, Stored

log = logging.getLogger("outlast.jobs")

MAX_RECORD_BYTES = 256 << 20
IDENTITY = "identity"


class StoredJob(NamedTuple):
    """A record as it was read or written, and the version that the next write must name.

    None: a part of a job that is not stored yet.
    """

    record: Record
    version: str | None


class JobStore(JobHeads):
    """Reads and writes the records of jobs.

    Attributes:
        clock: the time, in seconds since the epoch, by which leases and waits are compared: that of
            this machine, set right where the store's clock shows another one.

    All methods raise StoreUnavailable where the register does. Those that read a job raise
    CorruptRecord where its bytes are not a record.
    """

    def __init__(self, register: Register, *, clock: Callable[[], float] = time.time) -> None:
        """Keep jobs in `register`; `clock` gives seconds since the epoch."""
        super().__init__(register)
        self._writes = count(1)
        # The number of the last write with an answer: any of those since then may be stored.
        # `Register.write` reads a value back after a lost answer; where that failed, too, a
        # repeated release finds its own first attempt by its number after the outage.
        self._answered = 0
        # Not a method, which would tie this object and its connections into a circle.
        self.clock = set_right(clock, register)
        self.deletions = Deletions(register, self.clock)
        self.open_jobs = OpenJobs(register, self.clock)
        self.nodes = Nodes(register)
        self.sweep_turns = SweepTurns(register, self.clock)

    @cached_property
    def _writer(self) -> str:
        # Drawn at the first write: processes restored from one snapshot must not share it.
        return secrets.token_hex(4)

    @property
    def register(self) -> Register:
        """Where the jobs are kept."""
        return self._register

    @property
    def forgets_seconds(self) -> float:
        """How much of its newest writes the store may lose, although it has answered."""
        return self._register.forgets_seconds

    @cached_property
    def identity(self) -> str:
        """What tells this store from all others: 16 digits, drawn when it is first asked for.

        Raises:
            CorruptRecord: it is damaged.
        """
        if known := self.known_identity():
            return known
        drawn = secrets.token_hex(8)
        try:
            self._register.write(IDENTITY, drawn.encode(), expected=None)
        except VersionConflict:  # Someone else has just drawn one.
            return self.known_identity() or drawn
        return drawn

    def known_identity(self) -> str | None:
        """Return the store's identity; None: nobody has asked for it yet.

        Raises:
            CorruptRecord: it is damaged.
        """
        stored = self._register.read(IDENTITY)
        if stored is None:
            return None
        text = stored.value.decode(errors="replace")
        if not re.fullmatch(r"[0-9a-f]{16}", text):
            raise CorruptRecord(f"the store's key {IDENTITY!r} is damaged: it holds {text[:40]!r}")
        return text

    def reach(self) -> None:
        """Check that the store answers.

        Raises:
            StoreUnavailable: it did not answer or refused.
        """
        self._register.read(JOBS)

    def submit(self, record: Record) -> tuple[StoredJob, bool]:
        """Store a new job; return it and True, or the job that has its id already and False.

        Raises:
            InvalidJobId: no job can have this id.
            JobExists: the id belongs to a job of another kernel or with other parameters.
        """
        self.open_jobs.mark(record)
        try:
            return self._write(record, expected=None), True
        except VersionConflict:
            return self.same(record), False

    def same(self, record: Record) -> StoredJob:
        """Return the stored job that has the id of a new one, and is the same.

        Raises:
            UnknownJob, InvalidJobId: as `load`.
            JobExists: it is of another kernel or has other parameters.
        """
        job = self.load(record.job_id)
        existing = job.record
        if (existing.kernel, existing.question) == (record.kernel, record.question):
            return job
        if (existing.kernel, existing.params) == (record.kernel, record.params):
            raise JobExists(
                f"job {record.job_id} exists with other numbers in its arrays; choose another "
                "job id"
            )
        typed = (f"{key}={json.dumps(value)}" for key, value in short(existing.params).items())
        raise JobExists(
            f"job {record.job_id} exists with other parameters: "
            f"{' '.join((existing.kernel, *typed))}; choose another job id"
        )

    def load(self, job_id: str, stored: Stored | None = None) -> StoredJob:
        """Return the job, as `stored` has it; None: as it is stored now.

        Raises:
            UnknownJob: no job has this id; DeletedJob: the job was deleted.
            InvalidJobId: no job can have this id.
        """
        stored = stored or self._stored(job_id)
        with with_job_in_message(job_id):
            return StoredJob(require_owner(decode(stored.value), job_id), stored.version)

    def load_node(self, job_id: str, node: Node) -> StoredJob | None:
        """Return the part or group of the job; None: it has no record."""
        stored = self._register.read(node_key(job_id, node))
        if stored is None:
            return None
        with with_job_in_message(job_id):
            return StoredJob(require_owner(decode(stored.value), job_id, node), stored.version)

    def create(self, record: Record) -> StoredJob:
        """Store a new part or group.

        Raises:
            VersionConflict: it has a record already.
        """
        return self._write(record, expected=None)

    def head_of(self, job_id: str) -> Head:
        """Return the head of the job.

        Raises:
            UnknownJob, DeletedJob: as `load`.
        """

        def refuse(error: CorruptRecord) -> None:
            raise error

        for head in self.heads_of([job_id], on_corrupt=refuse):
            return head
        raise self.deletions.unknown_job(job_id)

    def replace(
        self, job: StoredJob, record: Record, *, put: Callable[[Record], Put] | None = None
    ) -> StoredJob:
        """Store `record` in place of `job`, by what `put` returns for it.

        Raises:
            VersionConflict: someone else has changed the job since `job` was read.
            StateTooLarge: the record is larger than any that is stored.
        """
        if record.node is None and job.record.is_over and not record.is_over:
            self.open_jobs.mark(job.record)
        return self._write(record, expected=job.version, put=put)

    def change(self, job_id: str, move: Callable[[Record], Record]) -> StoredJob:
        """Apply `move` to the newest record, again after each write by someone else.

        Nothing is written if the move returns its argument.
        """
        while True:
            job = self.load(job_id)
            record = move(job.record)
            if record is job.record:
                return job
            try:
                return self.replace(job, record)
            except VersionConflict:
                continue

    def advance(
        self,
        job: StoredJob,
        token: str,
        move: Callable[[Record], Record],
        *,
        put: Callable[[Record], Put] | None = None,
        claim: Callable[[Record], Record | None] = lambda _: None,
    ) -> StoredJob:
        """Apply `move` for the worker whose lease has this `token`; `put` as in `replace`.

        Changes by others that leave the lease alone, such as a pause, are kept. Where an earlier
        call has released the lease and only its answer was lost, the job is returned as it is.

        The lease that `job` has may not be stored yet. Where others have changed the job meanwhile,
        `claim` gives it to the worker as it is now; None: that cannot be, or the lease was stored.

        Raises:
            LeaseLost: another worker has claimed the job, or it was cancelled.
        """
        while True:
            lease = job.record.lease
            if lease is None or lease.token != token:
                claimed = claim(job.record)
                if claimed is None:
                    if self._has_no_answer(job.record.revision.writer):
                        return job  # This store has released it; only the answer was lost.
                    raise LeaseLost(f"job {job.record.job_id} is no longer ours")
                job = job._replace(record=claimed)
            try:
                return self.replace(job, move(job.record), put=put)
            except VersionConflict:
                job = self._reload(job.record)

    def _reload(self, record: Record) -> StoredJob:
        """Return the job, or the part, as it is stored."""
        if record.node is None:
            return self.load(record.job_id)
        part = self.load_node(record.job_id, record.node)
        if part is None:
            raise LeaseLost(f"job {record.job_id}: the record of part {record.node.path} is gone")
        return part

    def delete(self, job: StoredJob) -> None:
        """Remove the job and its parts. Loading it raises DeletedJob until its mark is forgotten.

        Raises:
            VersionConflict: someone else has changed the job since `job` was read.
        """
        fleet = job.record.fleet
        self._delete(job.record.job_id, job.version or "")
        if fleet is not None and fleet.birth is not None:
            self.nodes.clear(job.record.job_id, fleet.birth)

    def discard(self, job_id: str) -> None:
        """Remove the job's value, even one that is damaged or not a record.

        Raises:
            UnknownJob: no job has this id; DeletedJob: the job was deleted.
        """
        while True:
            try:
                self._delete(job_id, self._stored(job_id).version)
            except VersionConflict:
                continue
            self.nodes.clear(job_id)
            return

    def _stored(self, job_id: str) -> Stored:
        stored = self._register.read(job_key(job_id))
        if stored is None:
            raise self.deletions.unknown_job(job_id)
        return stored

    def discard_node(self, part: StoredJob) -> None:
        """Remove the record of a part, if nobody wrote it since it was read."""
        record, version = part
        if record.node is not None and version is not None:
            with suppress(VersionConflict):
                self._register.delete(node_key(record.job_id, record.node), expected=version)

    def _delete(self, job_id: str, version: str) -> None:
        # The mark first: a crash in between leaves a job that can be deleted again, rather than a
        # message whose job seems lost. A full store has no room for it before the job is gone.
        is_marked = self._mark(job_id)
        self._register.delete(job_key(job_id), expected=version)
        if not is_marked and not self._mark(job_id):
            log.warning(
                "job %s is deleted, but the store has no room to remember that: should a message "
                "for it come, it becomes a dead letter",
                job_id,
            )

    def _mark(self, job_id: str) -> bool:
        """Mark the job as deleted; return whether there was room for that."""
        try:
            self.deletions.mark(job_id)
        except StoreFull:
            return False
        return True

    def _write(
        self,
        record: Record,
        *,
        expected: str | None,
        put: Callable[[Record], Put] | None = None,
    ) -> StoredJob:
        number = next(self._writes)
        revision = Revision(writes=record.revision.writes + 1, writer=f"{self._writer}.{number}")
        stamped = record.model_copy(update={"revision": revision, "updated_at": self.clock()})
        data = encode(stamped)
        if len(data) > MAX_RECORD_BYTES:
            raise StateTooLarge(
                f"job {record.job_id}: its record of {len(data):,} bytes is over the limit of "
                f"{MAX_RECORD_BYTES:,}: keep what is large in an Array or a Blob, which are stored "
                "beside it"
            )
        version = self._register.write(
            record_key(record), data, expected=expected, put=put and put(stamped)
        )
        self._answered = number
        return StoredJob(stamped, version)

    def _has_no_answer(self, writer: str) -> bool:
        """Whether a record's `writer` is a write of this store that had no answer."""
        drawn, _, number = writer.rpartition(".")
        return drawn == self._writer and int(number) > self._answered

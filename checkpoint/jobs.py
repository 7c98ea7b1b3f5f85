"""The jobs in a register: each is one value, and every change of it is one compare-and-set."""

from __future__ import annotations

import json
import logging
import re
import secrets
import time
from collections import deque
from contextlib import contextmanager
from functools import cached_property
from itertools import count, islice
from typing import TYPE_CHECKING, NamedTuple

from outlast.checkpoint.codec import decode, decode_head, encode
from outlast.checkpoint.deletions import Deletions
from outlast.checkpoint.errors import (
    CorruptRecord,
    InvalidJobId,
    InvalidTag,
    JobExists,
    LeaseLost,
    StateTooLarge,
    StoreUnavailable,
    VersionConflict,
)
from outlast.checkpoint.fields import JOB_ID, TAG
from outlast.checkpoint.parts import Revision
from outlast.checkpoint.record import MAX_TAGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from outlast.checkpoint.record import Record
    from outlast.checkpoint.register import Register, Stored

log = logging.getLogger("outlast.jobs")

PREFIX = "jobs/"
MAX_RECORD_BYTES = 256 << 20

# A head with a full history is shorter; one that is not, for its large result, is read again.
HEAD_BYTES = 16 << 10
HEADS_AT_ONCE = 128


def tell_corrupt(error: CorruptRecord) -> None:
    """Log that a record cannot be read."""
    log.error("%s", error)


class Held(NamedTuple):
    """A record as it was read or written, and the version that the next write must name."""

    record: Record
    version: str


class JobStore:
    """Reads and writes the records of jobs.

    All methods raise StoreUnavailable where the register does, and `load` and those that read
    raise CorruptRecord for bytes that are not a record.
    """

    def __init__(self, register: Register, *, clock: Callable[[], float] = time.time) -> None:
        """Keep jobs in `register`; `clock` gives seconds since the epoch."""
        self._register = register
        self._writes = count(1)
        # The writes since the last one that was answered, by their `writer`: one may have happened.
        self._unanswered: deque[str] = deque(maxlen=8)
        self.clock = clock
        self.deletions = Deletions(register, clock)

    @cached_property
    def _writer(self) -> str:
        # Made up at the first write: processes restored from one snapshot must not share it.
        return secrets.token_hex(4)

    def reach(self) -> None:
        """Ask the store for nothing in particular.

        Raises:
            StoreUnavailable: it did not answer or refused.
        """
        self._register.read(PREFIX)

    def submit(self, record: Record) -> tuple[Held, bool]:
        """Store a new job; return it and True, or the job that has its id already and False.

        Raises:
            InvalidJobId: the id cannot be stored.
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
            UnknownJob: there is none with this id; DeletedJob, if there was one.
            InvalidJobId: there can be none with this id.
        """
        stored = self._stored(job_id)
        with _named(job_id):
            return Held(_own(decode(stored.value), job_id), stored.version)

    def replace(self, held: Held, record: Record) -> Held:
        """Store `record` where `held` still stands.

        Raises:
            VersionConflict: someone else has changed the job since.
            StateTooLarge: the record is beyond what is ever stored.
        """
        return self._write(record, expected=held.version)

    def change(self, job_id: str, move: Callable[[Record], Record]) -> Held:
        """Apply `move` to the job as it stands, as often as others get in between.

        A move that returns its argument changes nothing, and nothing is written.
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
        """Apply `move` for the holder of the lease `token`.

        What others may do meanwhile and leave the lease alone, a pause for example, stays. If an
        earlier move that gave the lease up was stored and only its answer lost, that is the job.

        Raises:
            LeaseLost: another worker has claimed the job, or it was cancelled.
        """
        while True:
            lease = held.record.lease
            if lease is None or lease.token != token:
                if held.record.revision.writer in self._unanswered:
                    return held  # We have given it up ourselves; only the answer was lost.
                raise LeaseLost(f"job {held.record.job_id} is no longer ours")
            try:
                return self.replace(held, move(held.record))
            except VersionConflict:
                held = self.load(held.record.job_id)

    def delete(self, held: Held) -> None:
        """Remove the job; who asks for it is told that it was deleted until that is forgotten.

        Raises:
            VersionConflict: someone else has changed the job since.
        """
        self._delete(held.record.job_id, held.version)

    def discard(self, job_id: str) -> None:
        """Remove what is stored as the job, whatever it is: also what is no record, or damaged.

        Raises:
            UnknownJob: there is none with this id; DeletedJob, if there was one.
        """
        while True:
            try:
                return self._delete(job_id, self._stored(job_id).version)
            except VersionConflict:
                continue

    def ids(self, *, after: str = "") -> Iterator[str]:
        """Yield the ids of all jobs that sort after `after`, in ascending order.

        Keys that can be no job's, such as the folder markers of an S3 console, are passed over.
        """
        start = PREFIX + after if after else ""
        for key in self._register.keys(PREFIX, after=start):
            job_id = key.removeprefix(PREFIX)
            if re.fullmatch(JOB_ID, job_id):
                yield job_id
            else:
                log.debug("the store holds %r, which is no job", key)

    def heads(
        self, *, after: str = "", on_corrupt: Callable[[CorruptRecord], object] = tell_corrupt
    ) -> Iterator[Record]:
        """Yield the jobs whose ids sort after `after`, by id, with the states left empty.

        Only the beginnings of the values are read, and a hundred at a time: so it is the way to
        look through all jobs of a store. A record that cannot be read goes to `on_corrupt`.
        """
        return self.heads_of(self.ids(after=after), on_corrupt=on_corrupt)

    def heads_of(
        self,
        job_ids: Iterable[str],
        *,
        on_corrupt: Callable[[CorruptRecord], object] = tell_corrupt,
    ) -> Iterator[Record]:
        """Yield these jobs as `heads` does, in the order given; an unknown one is left out.

        Raises:
            InvalidJobId: there can be no job with one of the ids.
        """
        ids = iter(job_ids)
        while page := list(islice(ids, HEADS_AT_ONCE)):
            starts = self._register.peek([_key(job_id) for job_id in page], HEAD_BYTES)
            for job_id, start in zip(page, starts, strict=True):
                try:
                    record = self._head(job_id, start)
                except CorruptRecord as error:
                    on_corrupt(error)
                    continue
                if record is not None:
                    yield record

    def _head(self, job_id: str, start: bytes | None) -> Record | None:
        """Return the job without its states; None if it was deleted since its id was read."""
        if start is None:
            return None
        with _named(job_id):
            record = decode_head(start)
            if record is None:
                stored = self._register.read(_key(job_id))
                if stored is None:
                    return None
                record = decode_head(stored.value) or decode(stored.value)
            return _own(record, job_id)

    def _stored(self, job_id: str) -> Stored:
        key = _key(job_id)
        stored = self._register.read(key)
        if stored is None:
            raise self.deletions.missing(job_id)
        return stored

    def _delete(self, job_id: str, version: str) -> None:
        # Marked first: a crash in between leaves a job that can be deleted again, not a message
        # for one that seems lost.
        self.deletions.note(job_id)
        self._register.delete(_key(job_id), expected=version)

    def _write(self, record: Record, *, expected: str | None) -> Held:
        revision = Revision(
            writes=record.revision.writes + 1, writer=f"{self._writer}.{next(self._writes)}"
        )
        stamped = record.model_copy(
            update={
                "revision": revision,
                "updated_at": self.clock(),
            }
        )
        data = encode(stamped)
        if len(data) > MAX_RECORD_BYTES:
            raise StateTooLarge(
                f"job {record.job_id}: its record of {len(data):,} bytes is over the limit of "
                f"{MAX_RECORD_BYTES:,}"
            )
        try:
            version = self._register.write(_key(record.job_id), data, expected=expected)
        except StoreUnavailable:
            self._unanswered.append(stamped.revision.writer)
            raise
        self._unanswered.clear()
        return Held(stamped, version)


def checked_id(job_id: str) -> str:
    """Return `job_id` if it may name a job.

    Raises:
        InvalidJobId: it could be mistaken in a key, a file name or a URL.
    """
    if not re.fullmatch(JOB_ID, job_id):
        raise InvalidJobId(
            f"job id {job_id[:140]!r} cannot be used: take 1 to 128 letters, digits, '.', '_' or "
            "'-', beginning with a letter or digit"
        )
    return job_id


def checked_tags(tags: Sequence[str]) -> tuple[str, ...]:
    """Return the different ones of `tags`, if a job may have them.

    Raises:
        InvalidTag: one could be mistaken on a command line or a page, or there are too many.
    """
    for tag in tags:
        if not re.fullmatch(TAG, tag):
            raise InvalidTag(
                f"tag {tag[:80]!r} cannot be used: take 1 to 64 letters, digits or '._:=/-', "
                "beginning with a letter or digit"
            )
    different = tuple(dict.fromkeys(tags))
    if len(different) > MAX_TAGS:
        raise InvalidTag(f"a job can have {MAX_TAGS} tags, not {len(different)}")
    return different


@contextmanager
def _named(job_id: str) -> Iterator[None]:
    """Let what is said of a corrupt record begin with the job."""
    try:
        yield
    except CorruptRecord as error:
        raise CorruptRecord(f"job {job_id}: {error}") from None


def _own(record: Record, job_id: str) -> Record:
    if record.job_id != job_id:
        raise CorruptRecord(f"the record found there is of {record.job_id!r}")
    return record


def _key(job_id: str) -> str:
    return PREFIX + checked_id(job_id)

"""Many jobs at a time: their ids, and their records without the states."""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING

from outlast.checkpoint.codec import decode, decode_head
from outlast.checkpoint.errors import CorruptRecord
from outlast.checkpoint.fields import JOB_ID
from outlast.checkpoint.names import JOBS, job_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from outlast.checkpoint.record import Record
    from outlast.checkpoint.register import Register

log = logging.getLogger("outlast.jobs")

# A head with a full history is shorter; one with a large result may be longer, and is read again.
HEAD_BYTES = 16 << 10
HEADS_AT_ONCE = 128


def log_corrupt(error: CorruptRecord) -> None:
    """Log that a record cannot be read."""
    log.error("%s", error)


class JobHeads:
    """Lists the jobs of a register. All methods raise StoreUnavailable where the register does."""

    def __init__(self, register: Register) -> None:
        self._register = register

    def ids(self, *, after: str = "", since: float = 0.0) -> Iterator[str]:
        """Yield the ids of all jobs that sort after `after`, in ascending order.

        A store that knows when its values were written leaves out those from before `since`.
        """
        return ids_below(self._register, JOBS, after=after, since=since)

    def heads(
        self, *, after: str = "", on_corrupt: Callable[[CorruptRecord], object] = log_corrupt
    ) -> Iterator[Record]:
        """Yield the jobs whose ids sort after `after`, by id, with the states left empty.

        This is the way to read all jobs of a store: it reads only the start of each value, of a
        hundred values at a time. `on_corrupt` is called for each record that cannot be read.
        """
        return self.heads_of(self.ids(after=after), on_corrupt=on_corrupt)

    def heads_of(
        self,
        job_ids: Iterable[str],
        *,
        on_corrupt: Callable[[CorruptRecord], object] = log_corrupt,
    ) -> Iterator[Record]:
        """Yield these jobs as `heads` does, in the order of the ids, without unknown ones.

        Raises:
            InvalidJobId: no job can have one of the ids.
        """
        ids = iter(job_ids)
        while page := list(islice(ids, HEADS_AT_ONCE)):
            starts = self._register.peek([job_key(job_id) for job_id in page], HEAD_BYTES)
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
        with with_job_in_message(job_id):
            record = decode_head(start)
            if record is None:
                stored = self._register.read(job_key(job_id))
                if stored is None:
                    return None
                record = decode_head(stored.value) or decode(stored.value)
            return require_owner(record, job_id)


def ids_below(
    register: Register, prefix: str, *, after: str = "", since: float = 0.0
) -> Iterator[str]:
    """Yield the ids of jobs that have a key with this prefix; see `Register.keys`.

    Keys that no job can have, such as the folder markers of an S3 console, are left out.
    """
    start = prefix + after if after else ""
    for key in register.keys(prefix, after=start, since=since):
        job_id = key.removeprefix(prefix)
        if re.fullmatch(JOB_ID, job_id):
            yield job_id
        else:
            log.debug("the store holds %r, which is no job", key)


@contextmanager
def with_job_in_message(job_id: str) -> Iterator[None]:
    """Begin the message of a CorruptRecord with the job."""
    try:
        yield
    except CorruptRecord as error:
        raise type(error)(f"job {job_id}: {error}") from None


def require_owner(record: Record, job_id: str) -> Record:
    """Return the record that is stored under the job's key.

    Raises:
        CorruptRecord: it is the record of another job.
    """
    if record.job_id != job_id:
        raise CorruptRecord(f"the record found there is of {record.job_id!r}")
    return record

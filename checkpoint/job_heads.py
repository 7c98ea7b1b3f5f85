"""Many jobs at a time: their ids, their heads, and their records without the states."""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from outlast.checkpoint.codec import CutShort, decode_head, decode_stateless
from outlast.checkpoint.errors import CorruptRecord
from outlast.checkpoint.fields import JOB_ID
from outlast.checkpoint.head import Head
from outlast.checkpoint.names import JOBS, job_key, record_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from outlast.checkpoint.fleet import Node
    from outlast.checkpoint.record import Record
    from outlast.checkpoint.register import Register

    OnCorrupt = Callable[[CorruptRecord], object]

H = TypeVar("H", bound=Head)

log = logging.getLogger("outlast.jobs")

# Most heads are shorter, and most bodies with a full history end before. What is longer is read
# once more, to the end that its first bytes tell.
HEAD_BYTES = 2 << 10
BODY_BYTES = 8 << 10
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

    def heads(self, *, after: str = "", on_corrupt: OnCorrupt = log_corrupt) -> Iterator[Head]:
        """Yield the heads of the jobs whose ids sort after `after`, by id.

        This is the way to look through all jobs of a store: it reads about a kilobyte of each,
        whatever else is stored of it, and a hundred jobs at a time. `on_corrupt` is called for each
        record that cannot be read.
        """
        return self.heads_of(self.ids(after=after), on_corrupt=on_corrupt)

    def heads_of(
        self, job_ids: Iterable[str], *, on_corrupt: OnCorrupt = log_corrupt
    ) -> Iterator[Head]:
        """Yield the heads of these jobs, in the order of the ids, without unknown ones.

        Raises:
            InvalidJobId: no job can have one of the ids.
        """
        return self._each(job_ids, decode_head, HEAD_BYTES, on_corrupt)

    def records(
        self,
        *,
        after: str = "",
        where: Callable[[Head], bool] = lambda _: True,
        on_corrupt: OnCorrupt = log_corrupt,
    ) -> Iterator[Record]:
        """Yield the jobs that `heads` does, with parameters, history and result.

        Of a job whose head does not fit `where` no more is read. States are not read either:
        asking for one raises ValueError.
        """
        return self.records_of(self.ids(after=after), where=where, on_corrupt=on_corrupt)

    def records_of(
        self,
        job_ids: Iterable[str],
        *,
        where: Callable[[Head], bool] = lambda _: True,
        on_corrupt: OnCorrupt = log_corrupt,
    ) -> Iterator[Record]:
        """Yield these jobs as `records` does, in the order of the ids, without unknown ones.

        Raises:
            InvalidJobId: no job can have one of the ids.
        """

        def decode(start: bytes) -> Record | None:
            return decode_stateless(start) if where(decode_head(start)) else None

        return self._each(job_ids, decode, BODY_BYTES, on_corrupt)

    def _each(
        self,
        job_ids: Iterable[str],
        decode: Callable[[bytes], H | None],
        limit_bytes: int,
        on_corrupt: OnCorrupt,
    ) -> Iterator[H]:
        """Yield what `decode` makes of each job's first bytes, of which few jobs need more."""
        ids = iter(job_ids)
        while page := list(islice(ids, HEADS_AT_ONCE)):
            starts = self._register.peek([job_key(job_id) for job_id in page], limit_bytes)
            for job_id, start in zip(page, starts, strict=True):
                try:
                    head = self._decoded(job_id, start, limit_bytes, decode)
                except CorruptRecord as error:
                    on_corrupt(error)
                    continue
                if head is not None:
                    yield head

    def _decoded(
        self,
        job_id: str,
        start: bytes | None,
        limit_bytes: int,
        decode: Callable[[bytes], H | None],
    ) -> H | None:
        """Return what `decode` makes of the first bytes; None if the job was deleted meanwhile."""
        with with_job_in_message(job_id):
            head = decoded(self._register, job_key(job_id), start, limit_bytes, decode)
            return head and require_owner(head, job_id)


def decoded(
    register: Register,
    key: str,
    start: bytes | None,
    limit_bytes: int,
    decode: Callable[[bytes], H | None],
) -> H | None:
    """Return what `decode` makes of a value's first `limit_bytes`, and of more where it needs more.

    None: there is no value, or it was deleted meanwhile.

    Raises:
        CorruptRecord: it cannot be read.
    """
    while start is not None:
        try:
            return decode(start)
        except CutShort as cut:
            if len(start) < limit_bytes:
                raise  # There is no more of it.
            limit_bytes = cut.end
        [start] = register.peek([key], limit_bytes)
    return None


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


def require_owner(record: H, job_id: str, node: Node | None = None) -> H:
    """Return the record, or its head, that is stored under the key of a job, or of a node of it.

    Raises:
        CorruptRecord: it is the record of another one.
    """
    is_same = node.is_same(record.node) if node else record.node is None
    if record.job_id != job_id or not is_same:
        raise CorruptRecord(f"the record found there is of {record_key(record)!r}")
    return record

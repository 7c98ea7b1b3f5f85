"""Who works at what, and what the last hour brought, as the records of jobs tell."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from outlast.checkpoint.errors import CheckpointError, CorruptRecord, StoreUnavailable
from outlast.checkpoint.record_parts import CLOCK_TOLERANCE_SECONDS
from outlast.checkpoint.status import Status
from outlast.worker.dashboard.hour import HOUR_SECONDS, Hour, Span, hour_of, spans_of
from outlast.worker.jobs.parts import with_parts
from outlast.worker.queues.contract import InvalidQueueUrl, QueueUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from outlast.checkpoint.head import Head
    from outlast.checkpoint.record import Record
    from outlast.worker.jobs.client import Client
    from outlast.worker.queues.contract import Backlog

# A look takes no longer, and the next one goes on from there.
LOOK_SECONDS = 1.0
# Who looks again so soon sees the same, and the store is not asked.
FRESH_SECONDS = 5.0
JOBS_AT_ONCE = 128
# Of more jobs in a store the first ones are looked at, by id.
MOST_JOBS = 100_000
MOST_FAULTS = 5
# Of jobs that were not written, so many are read again in a round: one may have been deleted.
CHECKED_AT_ONCE = 10


class Work(NamedTuple):
    """What one worker has, as its lease tells.

    Attributes:
        worker, platform: who and where.
        job_id, part: the job, and which part of it; None: all of it.
        kernel: what runs.
        progress: of the job, or of the part, 0 to 1, stored; None: the part does not tell.
        since: when the slice began.
        saved_at: when its state was last stored; None: it never was.
        is_alive: whether the lease holds; if not, the worker is gone or hangs.
    """

    worker: str
    platform: str
    job_id: str
    part: int | None
    kernel: str
    progress: float | None
    since: float
    saved_at: float | None
    is_alive: bool

    @property
    def key(self) -> str:
        """What tells it from all others: a job, or a part of one, has one worker."""
        return self.job_id if self.part is None else f"{self.job_id}/{self.part}"


class Scene(NamedTuple):
    """What all workers do.

    Attributes:
        works: what each of them has.
        statuses: how many open jobs have which status.
        waits_since: since when the job waits that has waited longest; None: none does.
        hour: what the last hour brought.
        ended: how many jobs ended in it, by status.
        unread: how many jobs the first look has yet to come to; None: not even their ids are read.
        is_cut: whether there are more than MOST_JOBS jobs.
        faults: errors of the first records that cannot be read.
        outage: why the store was not read; "": it was.
        read_at: when the last round began that came to its end; None: none did.
        backlog: what the queue holds; None: it cannot tell, or did not answer.
        queue_outage: why it did not; "": it did.
    """

    works: list[Work]
    statuses: Counter[str]
    waits_since: float | None
    hour: Hour
    ended: Counter[str]
    unread: int | None
    is_cut: bool
    faults: list[str]
    outage: str
    read_at: float | None
    backlog: Backlog | None
    queue_outage: str


@dataclass(slots=True)
class _Job:
    """What is remembered of a job.

    Attributes:
        writes: how often it had been written.
        status: as it stood.
        changed_at: when it was last written, or was to go on.
        held: the heads with a lease: its own, or those of its parts.
        spans: its slices in the last hour.
        divided: the job itself, where its parts tell more than that.
    """

    writes: int
    status: Status
    changed_at: float
    held: list[Head] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    divided: Record | None = None


class Workers:
    """Looks at the jobs and the queue, and remembers what it saw.

    A round reads every open job, by the index of these, and those that have ended since the round
    before. Where the store tells when a value was written, as S3 does, it reads what was written
    since then, each open job once, a few of them again, and the parts of divided jobs; elsewhere
    the heads of all open jobs. The first round goes back by an hour. A round may take several
    looks.

    One look serves all who look within FRESH_SECONDS. Any thread may.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._jobs = client.jobs
        self._known: dict[str, _Job] = {}
        self._over: set[str] = set()
        self._faults: list[str] = []
        self._since: float | None = None  # None: no round is over
        self._read_at: float | None = None
        self._unread: int | None = None
        self._is_cut = False
        self._checked = ""  # the last job that was read again
        self._round: Iterator[None] | None = None
        self._outage = self._queue_outage = ""
        self._backlog: Backlog | None = None
        self._fresh_until = 0.0
        self._lock = Lock()

    def look(self) -> Scene:
        """Read on for a second at most, and return what is known then."""
        with self._lock:
            if time.monotonic() >= self._fresh_until:
                self._ask_queue()
                self._read_on()
                if self._round is None:
                    self._fresh_until = time.monotonic() + FRESH_SECONDS
            return self._scene()

    def _ask_queue(self) -> None:
        self._backlog, self._queue_outage = None, ""
        try:
            self._backlog = self._client.queue.backlog()
        except (QueueUnavailable, InvalidQueueUrl) as error:
            self._queue_outage = str(error)

    def _read_on(self) -> None:
        end = time.monotonic() + LOOK_SECONDS
        self._outage = ""
        self._round = self._round or self._pieces()
        try:
            for _ in self._round:
                if time.monotonic() >= end:
                    return
        except StoreUnavailable as error:
            self._outage = str(error)
        self._round = None

    def _pieces(self) -> Iterator[None]:
        """Make a round, and yield after every few requests."""
        begun = self._jobs.clock()
        since = begun - HOUR_SECONDS if self._since is None else self._since
        open_ids = set(islice(self._jobs.open_jobs.ids(), MOST_JOBS))
        written = set(islice(self._jobs.ids(since=since), MOST_JOBS))
        self._is_cut = MOST_JOBS in {len(open_ids), len(written)}
        self._forget(open_ids | written, begun)
        fresh = (written & open_ids) | (written - self._over)
        fresh |= open_ids - self._over - self._known.keys()
        fresh |= self._to_check((open_ids & self._known.keys()) - written)
        yield
        faults: list[str] = []
        # Those that workers have were written lately: they come first.
        yield from self._read(sorted(fresh & written) + sorted(fresh - written), faults)
        for job in [job for job in self._known.values() if job.divided]:
            self._see_parts(job, faults)
            yield
        self._faults = faults[:MOST_FAULTS]
        self._since, self._read_at = begun - CLOCK_TOLERANCE_SECONDS, begun
        self._unread = 0

    def _to_check(self, job_ids: set[str]) -> set[str]:
        """Return the next of these; after the last the first follow again."""
        later = sorted(job_id for job_id in job_ids if job_id > self._checked) or sorted(job_ids)
        turn = later[:CHECKED_AT_ONCE]
        self._checked = turn[-1] if turn else ""
        return set(turn)

    def _forget(self, stored: set[str], now: float) -> None:
        """Forget the jobs that were deleted, or have been over for an hour."""
        for job_id, job in list(self._known.items()):
            is_over = job.status.is_final
            if job.changed_at < now - HOUR_SECONDS if is_over else job_id not in stored:
                del self._known[job_id]

    def _read(self, job_ids: list[str], faults: list[str]) -> Iterator[None]:
        def add_fault(error: CorruptRecord) -> None:
            faults.append(str(error))

        for begin in range(0, len(job_ids), JOBS_AT_ONCE):
            page = job_ids[begin : begin + JOBS_AT_ONCE]
            heads: list[Head] = []

            def is_new(head: Head, heads: list[Head] = heads) -> bool:
                heads.append(head)
                return self._is_new(head)

            for record in self._jobs.records_of(page, where=is_new, on_corrupt=add_fault):
                self._see(record)
            for job_id in set(page) - {head.job_id for head in heads}:
                self._known.pop(job_id, None)  # It was deleted, or cannot be read any more.
            if self._since is None:
                self._unread = len(job_ids) - begin - len(page)
            yield

    def _is_new(self, head: Head) -> bool:
        """Whether more of the job is worth reading than its head."""
        if head.status.is_final:
            self._over.add(head.job_id)
            if head.updated_at < self._jobs.clock() - HOUR_SECONDS:
                self._known.pop(head.job_id, None)
                return False
        else:
            self._over.discard(head.job_id)
        known = self._known.get(head.job_id)
        return known is None or known.writes != head.revision.writes

    def _see(self, record: Record) -> None:
        due = record.not_before if record.wait_seconds(self._jobs.clock()) else 0.0
        self._known[record.job_id] = _Job(
            writes=record.revision.writes,
            status=record.status,
            changed_at=max(record.updated_at, due),
            held=[record] if record.lease else [],
            spans=self._recent(spans_of(record, record.progress)),
            divided=record if record.is_divided and not record.status.is_final else None,
        )

    def _see_parts(self, job: _Job, faults: list[str]) -> None:
        """Look at the parts of a divided job."""
        if job.divided is None:
            return
        try:
            record, parts = with_parts(self._jobs, job.divided)
        except StoreUnavailable:
            raise
        except CheckpointError as error:  # one of them is damaged
            faults.append(str(error))
            return
        if parts is not None:
            own = [job.divided] if job.divided.lease else []
            job.held = own + [head for head in parts.heads.values() if head.lease]
            job.spans = self._recent(spans_of(record, parts.progress))

    def _recent(self, spans: Iterable[Span]) -> list[Span]:
        return [span for span in spans if span.ended_at > self._jobs.clock() - HOUR_SECONDS]

    def _works(self, now: float) -> list[Work]:
        return [_work_of(head, now) for job in self._known.values() for head in job.held]

    def _scene(self) -> Scene:
        now, jobs = self._jobs.clock(), self._known.values()
        waits = (
            job.changed_at for job in jobs if job.status is Status.QUEUED and job.changed_at <= now
        )
        ended = (j.status for j in jobs if j.status.is_final and j.changed_at > now - HOUR_SECONDS)
        return Scene(
            works=self._works(now),
            statuses=Counter(job.status for job in jobs if not job.status.is_final),
            waits_since=min(waits, default=None),
            hour=hour_of((span for job in jobs for span in job.spans), now),
            ended=Counter(ended),
            unread=self._unread,
            is_cut=self._is_cut,
            faults=self._faults,
            outage=self._outage,
            read_at=self._read_at,
            backlog=self._backlog,
            queue_outage=self._queue_outage,
        )


def _work_of(head: Head, now: float) -> Work:
    lease = head.lease
    if lease is None:
        raise ValueError(f"job {head.job_id}: nobody has it")
    return Work(
        worker=lease.worker,
        platform=lease.platform,
        job_id=head.job_id,
        part=head.node.number if head.node else None,
        kernel=head.kernel,
        progress=head.progress_if_known(head.progress),
        since=lease.claimed_at,
        saved_at=head.checkpoints[0].saved_at if head.checkpoints else None,
        is_alive=head.is_held(now),
    )

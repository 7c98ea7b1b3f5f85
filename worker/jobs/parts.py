"""How far a divided job is: the records of its parts and groups, summed up for who looks at it."""

from __future__ import annotations

import logging
from bisect import bisect_right
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from outlast.checkpoint.errors import CorruptRecord, UnknownJob
from outlast.checkpoint.fleet import GROUP_BITS, MAX_PARTS, Place
from outlast.checkpoint.record_parts import Usage
from outlast.checkpoint.status import Status
from outlast.checkpoint.survey import Survey, sum_of
from outlast.checkpoint.view import view
from outlast.worker.telemetry.rate import Rate, rate_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from outlast.checkpoint.head import Head
    from outlast.checkpoint.job_store import JobStore
    from outlast.checkpoint.record import Record

log = logging.getLogger("outlast.client")


@dataclass(frozen=True)
class Parts:
    """The parts of a divided job, as they stand.

    Attributes:
        all: how many there are; 0: the job is not cut yet.
        succeeded: how many are done.
        running: how many a worker has at the moment; those of a killed one until its lease ends.
        failed: how many were given up; the first one fails the job.
        progress: which share of the work the parts have that are done, 0 to 1. What is done of a
            part that runs does not count.
        usage: what the job has taken, with all its parts; what it has taken since the last save of
            a part is not in it.
        rate: how fast those that run get on together.
        heads: what is stored of each part that is open, by number: those that were begun, and are
            not part of a group that is added up.
        ranges: the parts that are done, each range with its first and the one after its last.
        updated_at: when one of them was last written; 0: none has been.
        at: when they stood so, by the clock of `JobStore`.
    """

    all: int
    succeeded: int = 0
    running: int = 0
    failed: int = 0
    progress: float = 0.0
    usage: Usage = field(default_factory=Usage)
    rate: Rate = field(default_factory=Rate)
    heads: Mapping[int, Head] = field(default_factory=dict)
    ranges: Sequence[tuple[int, int]] = ()
    updated_at: float = 0.0
    at: float = 0.0

    def is_done(self, part: int) -> bool:
        """Whether the part of this number is done."""
        at = bisect_right(self.ranges, (part, MAX_PARTS)) - 1
        return at >= 0 and part < self.ranges[at][1]

    @property
    def error(self) -> str | None:
        """What last went wrong in a part that goes on, on one line; None: nothing.

        What a part has got over by advancing does not count.
        """
        stuck = {n: head for n, head in self.heads.items() if head.error and not head.is_over}
        last = max(stuck, key=lambda number: stuck[number].updated_at, default=None)
        return None if last is None else f"part {last}: {stuck[last].error}"

    def added_to(self, job: Record) -> Record:
        """Return the job as it stands with these: what it has taken, its last error and change."""
        updated_at = max(job.updated_at, self.updated_at)
        changes = {"usage": self.usage, "error": job.error or self.error, "updated_at": updated_at}
        return job.model_copy(update=changes)

    @property
    def waiting(self) -> int:
        """How many wait for a worker, or for their turn."""
        return self.all - self.succeeded - self.running - self.failed

    @property
    def words(self) -> str:
        """How many are done, and are at work, for people."""
        if not self.all:
            return "to be cut into parts"
        return f"{self.succeeded:,} of {self.all:,} parts, {self.running:,} at work"

    @property
    def counts(self) -> dict[str, int]:
        """The numbers as a JSON object."""
        names = ("all", "succeeded", "running", "waiting", "failed")
        return {name: getattr(self, name) for name in names}


def with_parts(jobs: JobStore, record: Record) -> tuple[Record, Parts | None]:
    """Return the job as it stands with its parts, see `Parts.added_to`; and these.

    Raises as `parts_of`.
    """
    parts = parts_of(jobs, record)
    if parts is not None and parts.all and parts.usage.slices_begun == record.usage.slices_begun:
        # Nothing is found of it: either nobody has begun, or it was added up since it was read.
        with suppress(UnknownJob):
            record = jobs.load(record.job_id).record
        parts = parts_of(jobs, record)
    return (parts.added_to(record), parts) if parts else (record, None)


def view_of(jobs: JobStore, record: Record) -> dict[str, Any]:
    """Return a job as a JSON object, with what its parts tell; see `view`. Raises as `parts_of`."""
    return viewed(*with_parts(jobs, record))


def viewed(record: Record, parts: Parts | None) -> dict[str, Any]:
    """Return a job as a JSON object, with what is known of its parts."""
    if parts is None:
        return view(record)
    return view(record, parts=parts.counts, progress=parts.progress)


def parts_of(jobs: JobStore, record: Record) -> Parts | None:
    """Return how the parts of a job stand; None: it has none, or its own record says all there is.

    That is so from when they are added up, and for a job that was cancelled. `record` may be
    without its states.

    Raises:
        StoreUnavailable, CorruptRecord: a part, or what the record tells of it, cannot be read.
    """
    tops, fleet = _tops_of(jobs, record), record.fleet
    if tops is None or fleet is None:
        return None
    done = {place for place, head in tops.items() if head.status is Status.SUCCEEDED}
    heads = {place.number: head for place, head in tops.items() if not place.level}
    now = jobs.clock()
    ranges = sorted(_ranges(done, fleet.parts))
    weights = record.weights or record.lengths
    if len(weights) != fleet.parts:
        raise CorruptRecord(f"job {record.job_id}: its record does not tell of all its parts")
    share = _share_of(ranges, weights)
    running = [head for head in heads.values() if head.is_held(now)]
    return Parts(
        all=fleet.parts,
        succeeded=sum(last - first for first, last in ranges),
        running=len(running),
        failed=sum(head.status is Status.FAILED for head in heads.values()),
        progress=share,
        usage=sum_of(record.usage, tops.values()),
        rate=_rate(tops, weights, running, now),
        heads=heads,
        ranges=ranges,
        updated_at=max((head.updated_at for head in tops.values()), default=0.0),
        at=now,
    )


def usage_of(jobs: JobStore, job: Head) -> Usage:
    """Return what a job has taken, with all its parts. Raises as `parts_of`."""
    return sum_of(job.usage, (_tops_of(jobs, job) or {}).values())


def known_usage_of(jobs: JobStore, job: Head) -> Usage | None:
    """Return the same; None: a part cannot be read, and the log says why."""
    try:
        return usage_of(jobs, job)
    except CorruptRecord as error:
        log.warning("job %s: what its parts have taken is not known: %s", job.job_id, error)
        return None


def _tops_of(jobs: JobStore, job: Head) -> dict[Place, Head] | None:
    """Return what is stored of the job's parts, see `Survey.tops`; None: nothing that counts."""
    fleet = job.fleet
    is_counted = job.status not in {Status.SUCCEEDED, Status.CANCELLED}
    if fleet is None or not job.is_divided or not is_counted:
        return None
    return Survey(jobs.nodes, job.job_id, fleet).tops if fleet.is_cut else {}


def _ranges(places: set[Place], parts: int) -> Iterator[tuple[int, int]]:
    """Yield of each node its first part, and the one after its last."""
    for level, number in places:
        size = 1 << GROUP_BITS * level
        yield number * size, min((number + 1) * size, parts)


def _rate(
    tops: Mapping[Place, Head], weights: Sequence[int], running: Sequence[Head], now: float
) -> Rate:
    """Return how fast those that run get on, if each is as fast as those that are done were.

    A part takes time in the kernel by its share of the work, and time outside, to be prepared and
    stored, whatever its share.
    """
    done = {place for place, head in tops.items() if head.status is Status.SUCCEEDED}
    # What a fork has from another job took no time of its own.
    timed = {place for place in done if tops[place].usage.platforms}
    if not timed or not running:
        return Rate()
    usage = sum_of(Usage(), (tops[place] for place in timed))
    outside_seconds = max(usage.occupied_seconds - usage.compute_seconds, 0.0)
    share, parts = _shares_of(done, weights)
    timed_share, timed_parts = _shares_of(timed, weights)
    seconds_left = usage.compute_seconds * (1 - share) / timed_share if timed_share else 0.0
    seconds_left += outside_seconds * (len(weights) - parts) / timed_parts
    # A part tells no progress of its own, but for how long workers have been occupied with it.
    spent = [head.usage.occupied_seconds + head.held_seconds(now) for head in running]
    return rate_at(
        share,
        len(running) * (1 - share) / seconds_left if seconds_left else 0.0,
        since_seconds=sum(spent) / len(running),
    )


def _shares_of(places: set[Place], weights: Sequence[int]) -> tuple[float, int]:
    """Return the share of the work that these parts and groups have, and how many parts it is."""
    ranges = list(_ranges(places, len(weights)))
    return _share_of(ranges, weights), sum(last - first for first, last in ranges)


def _share_of(ranges: Iterable[tuple[int, int]], weights: Sequence[int]) -> float:
    """Return the share of the work that these parts have."""
    edges = list(accumulate(weights, initial=0))
    done = sum(edges[last] - edges[first] for first, last in ranges)
    return done / edges[-1] if edges[-1] else 0.0

"""What workers did in the last hour, as the histories of jobs tell."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from outlast.checkpoint.record_parts import PlatformUsage
from outlast.worker.costs.bill import Consumption, consumption_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from outlast.checkpoint.record import Record

HOUR_SECONDS = 3600.0


class Span(NamedTuple):
    """Slices of one job in a row, which count as spread evenly over their time.

    Attributes:
        platform: where they ran.
        began_at, ended_at: of a slice that runs, the end is the last write of its job.
        slices: how many of them have ended.
        seconds: for how long they occupied workers.
        share: which share of the job they did.
        writes: how often they wrote its record, on average.
    """

    platform: str
    began_at: float
    ended_at: float
    slices: float
    seconds: float
    share: float = 0.0
    writes: float = 0.0

    def within(self, begin: float, end: float) -> Span:
        """Return what of it lies between two moments; a single slice counts where it ended."""
        first, last = max(self.began_at, begin), min(self.ended_at, end)
        if first > last:
            return Span(self.platform, begin, begin, 0, 0)
        length = self.ended_at - self.began_at
        part = (last - first) / length if length > 0 else 1.0
        slices = self.slices if self.slices <= 1 else part * self.slices
        counts = (part * count for count in (self.seconds, self.share, self.writes))
        return Span(self.platform, first, last, slices, *counts)


class Hour(NamedTuple):
    """All spans of an hour together.

    Attributes:
        slices: how many ended.
        share: how much work was done; 1 is all that one job has.
        consumption: what they took, by platform.
    """

    slices: float
    share: float
    consumption: Consumption


def spans_of(record: Record, progress: float) -> list[Span]:
    """Return the slices of a job; `record` has the usage of its parts, `progress` is with them."""
    return list(_of_parts(record, progress) if record.fleet else _of_slices(record))


def hour_of(spans: Iterable[Span], now: float) -> Hour:
    """Return what the hour before `now` brought."""
    slices, seconds = defaultdict[str, float](float), defaultdict[str, float](float)
    share = writes = 0.0
    for span in spans:
        within = span.within(now - HOUR_SECONDS, now)
        slices[span.platform] += within.slices
        seconds[span.platform] += within.seconds
        share += within.share
        writes += within.writes
    platforms = {
        # Not validated: a sum may be larger than what a record may hold.
        name: PlatformUsage.model_construct(slices=round(slices[name]), seconds=seconds[name])
        for name in seconds
        if seconds[name] > 0 or slices[name] > 0
    }
    ended = sum(slices.values())
    taken = Consumption(platforms=platforms, slices=round(ended), writes=round(writes))
    return Hour(ended, share, taken)


def _of_slices(record: Record) -> Iterator[Span]:
    """Yield the stretches of the history, and the slice that runs."""
    writes, before = record.revision.writes / max(record.usage.slices_begun, 1), 0.0
    for s in record.history.stretches:
        share = max(s.progress - before, 0.0)
        yield Span(
            s.platform, s.began_at, s.ended_at, s.slices, s.seconds, share, writes * s.slices
        )
        before = s.progress
    if lease := record.lease:
        end = max(record.updated_at, lease.claimed_at)
        seconds, share = end - lease.claimed_at, max(record.progress - before, 0.0)
        yield Span(lease.platform, lease.claimed_at, end, 0, seconds, share, writes)


def _of_parts(record: Record, progress: float) -> Iterator[Span]:
    """Yield what the job and its parts took on each platform, from the first slice on.

    Nothing tells when each of many parts ran; they run one after the other, and alike.
    """
    first = next((s.began_at for s in record.history.stretches), record.created_at)
    taken = consumption_of(record)
    all_seconds = taken.occupied_seconds or 1.0
    for platform, usage in taken.platforms.items():
        part = usage.seconds / all_seconds
        yield Span(
            platform,
            first,
            max(record.updated_at, first),
            usage.slices,
            usage.seconds,
            progress * part,
            taken.writes * part,
        )

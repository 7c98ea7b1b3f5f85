"""Chunks that no job needs: what killed workers and interrupted submissions leave."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import CorruptRecord, InvalidJobId, UnknownJob

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from outlast.checkpoint.blobs.contract import BlobStore, Found
    from outlast.checkpoint.job_store import JobStore
    from outlast.checkpoint.record import Record


def orphans(blobs: BlobStore, jobs: JobStore, *, grace_seconds: float) -> Iterator[str]:
    """Yield the names of the chunks that no job of the store needs.

    The place is this store's alone: see `JobStore.identity`. Chunks that came within
    `grace_seconds` are left out, as those of a new job are there before its record; with 0 none is.

    Raises:
        StoreUnavailable: the place or the store does not answer.
    """
    for job_id, found in groupby(blobs.names(), key=_job_id):
        every = list(found)  # before the record is read: see `orphans_of`
        now = jobs.clock()
        # The place has a clock of its own, which may be ahead.
        old = [x.name for x in every if not grace_seconds or x.written_at + grace_seconds <= now]
        if old:
            yield from _orphans_below(jobs, job_id, old)


def orphans_of(record: Record, names: Sequence[str], now: float, wait_seconds: float) -> list[str]:
    """Return those of the names below `<job id>/` that the job does not need, nor ever will.

    Dropped ones wait as in `Record.ripe`.

    The record was read after the names were listed: so it lists a chunk among them, or the claim
    that wrote it holds the lease, or no record will list it. A claim without the lease stores none.
    """
    if record.fleet and record.needs_parts_of(record.fleet.birth):
        return []  # Its parts have chunks, too.
    if not all(kept.is_intact for kept in record.checkpoints + record.quarantine):
        return []  # What a damaged one lists is not known.
    waiting = {dropped.name for dropped in record.dropped}.difference(
        record.ripe(now, wait_seconds)
    )
    needed = record.chunks.keys() | waiting
    held = f"{record.job_id}/{record.lease.token}/" if record.lease else None
    return [n for n in names if n not in needed and not (held and n.startswith(held))]


def _orphans_below(jobs: JobStore, job_id: str, names: Sequence[str]) -> Sequence[str]:
    try:
        record = jobs.load(job_id).record
    except UnknownJob:
        return names
    except (CorruptRecord, InvalidJobId):
        return []  # What it needs is not known.
    return orphans_of(record, names, jobs.clock(), jobs.forgets_seconds)


def _job_id(found: Found) -> str:
    return found.name.partition("/")[0]

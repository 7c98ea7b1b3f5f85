"""Waits for the ends of jobs, many at once, by looking at their heads page by page.

What waits is a generator of looks: it yields how many seconds to sleep, and each job that is over.
So the same code serves programs that sleep and those that await.
"""

from __future__ import annotations

import logging
import math
import time
from collections import defaultdict
from itertools import islice
from typing import TYPE_CHECKING, Any

from outlast.checkpoint.errors import StoreUnavailable
from outlast.checkpoint.heads import HEADS_AT_ONCE
from outlast.checkpoint.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from outlast.checkpoint.errors import CorruptRecord
    from outlast.checkpoint.jobs import JobStore
    from outlast.checkpoint.record import Record

    Params = Mapping[str, Any]
    Pair = tuple[Params, str]

log = logging.getLogger("outlast.client")

FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 1.0
# Where every look at a job is a request, as on S3, a thousand jobs are not to cost a fortune.
LOOKS_A_SECOND = 50.0


class JobNotFinished(Exception):
    """The job has no result yet. Wait, or look at its status."""


class JobFailed(Exception):
    """The job failed or was cancelled; the message says why."""


def result_of(record: Record) -> Any:
    """Return the job's result as a JSON value.

    Raises:
        JobNotFinished: there is none yet.
        JobFailed: there will be none.
    """
    if record.status is Status.SUCCEEDED:
        return record.result
    if record.status.is_final:
        why = f"job {record.job_id} {record.status}: {record.error or 'by request'}"
        raise JobFailed(why + _way_on(record))
    raise JobNotFinished(_standing(record))


def ends(
    jobs: JobStore,
    job_ids: Iterable[str],
    *,
    timeout_seconds: float | None = None,
    at_once: int | None = None,
    watch: Callable[[Record], None] = lambda _: None,
) -> Iterator[Record | float]:
    """Yield each job once it is over, and between two looks the seconds to wait.

    It looks at the first `at_once` jobs that are not over, None: at all. `watch` sees each job at
    every look. The states of the jobs are left empty.

    Raises:
        JobNotFinished: `timeout_seconds` passed first.
        UnknownJob, CorruptRecord: there is no such job, or none that can be read.
        StoreUnavailable: the store did not answer at first, or when the time had passed. One that
            has answered once is asked again until it does; the log tells.
    """
    end = math.inf if timeout_seconds is None else time.monotonic() + timeout_seconds
    pending, pause = dict.fromkeys(job_ids), FIRST_PAUSE_SECONDS
    is_met = is_away = False
    while pending:
        page = list(islice(pending, at_once))
        try:
            found = _look(jobs, page)
            is_met, is_away = True, False
        except StoreUnavailable as error:
            if not is_met or time.monotonic() >= end:
                raise
            if not is_away:
                log.warning("%s; trying again until it answers", error)
            found, is_away = [], True
        over = [record for record in found if record.status.is_final]
        for record in found:
            watch(record)
        for record in over:
            del pending[record.job_id]
            yield record
        left = end - time.monotonic()
        if over and at_once:
            continue  # Others have moved up, and may have been over for long.
        if pending and left <= 0 and not is_away:
            standing = _standing(found[0]) if len(pending) == 1 else f"{len(pending)} jobs go on"
            raise JobNotFinished(f"gave up after {timeout_seconds:g} s: {standing}")
        if pending:
            yield max(min(max(pause, len(page) / LOOKS_A_SECOND), left), 0.0)
            pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)


def paired(
    pairs: Sequence[Pair], jobs: JobStore, *, as_completed: bool, timeout_seconds: float | None
) -> Iterator[tuple[Params, Record] | float]:
    """Yield each of the parameters with its job, once that is over, and seconds to wait.

    `pairs` are parameters and the id of their job, of which several may have the same. They come
    in their order, or `as_completed`.
    """
    job_ids = [job_id for _, job_id in pairs]
    if as_completed:
        asked: defaultdict[str, list[Params]] = defaultdict(list)
        for params, job_id in pairs:
            asked[job_id].append(params)
        for item in ends(jobs, job_ids, timeout_seconds=timeout_seconds):
            if isinstance(item, float):
                yield item
            else:
                yield from ((params, item) for params in asked[item.job_id])
        return
    items = ends(jobs, job_ids, timeout_seconds=timeout_seconds, at_once=HEADS_AT_ONCE)
    last = {job_id: at for at, job_id in enumerate(job_ids)}
    over: dict[str, Record] = {}
    for at, (params, job_id) in enumerate(pairs):
        while job_id not in over:
            item = next(items)
            if isinstance(item, float):
                yield item
            else:
                over[item.job_id] = item
        yield params, over[job_id] if last[job_id] > at else over.pop(job_id)


def _look(jobs: JobStore, job_ids: list[str]) -> list[Record]:
    found = list(jobs.heads_of(job_ids, on_corrupt=_refuse))
    if len(found) < len(job_ids):
        missing = next(iter(set(job_ids) - {record.job_id for record in found}))
        jobs.load(missing)  # which says what is wrong, unless it has just been stored
        return _look(jobs, job_ids)
    return found


def _refuse(error: CorruptRecord) -> None:
    raise error


def _way_on(record: Record) -> str:
    """Return what lets a failed job go on; nothing where that takes more than a word."""
    if record.status is not Status.FAILED or record.at_ceiling():
        return ""
    return f"; outlast retry {record.job_id} lets it go on"


def _standing(record: Record) -> str:
    return f"job {record.job_id} is {record.status}, {record.progress:.1%} done"

"""Waits for the ends of jobs, many at once, by looking at their heads page by page."""

from __future__ import annotations

import logging
import math
import time
from collections import Counter, deque
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from outlast.checkpoint.errors import StoreUnavailable
from outlast.checkpoint.job_heads import HEADS_AT_ONCE
from outlast.checkpoint.record import Record
from outlast.worker.jobs.outcome import JobNotFinished, progress_of
from outlast.worker.slices.backoff import backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from outlast.checkpoint.errors import CorruptRecord
    from outlast.checkpoint.head import Head
    from outlast.checkpoint.job_store import JobStore

    Params = Mapping[str, Any]

log = logging.getLogger("outlast.client")

FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 1.0
# On S3 every look at a job is a request: this bounds what waiting for a thousand jobs costs.
LOOKS_A_SECOND = 50.0


class Look(NamedTuple):
    """What one look at jobs has shown.

    Attributes:
        ends: the parameters whose turn it is, each with its job, which is over.
        pause_seconds: how long to wait before the next look.
    """

    ends: list[tuple[Params, Record]]
    pause_seconds: float


def looks(
    jobs: JobStore,
    pairs: Iterable[tuple[Params, str]],
    *,
    in_order: bool = True,
    timeout_seconds: float | None = None,
    watch: Callable[[Head], None] = lambda _: None,
) -> Iterator[Look]:
    """Look at the jobs of these pairs of parameters and job id until all are over.

    The caller waits between two looks: it may sleep or await. Pairs end `in_order`, or as their
    jobs do; several may share a job. `watch` sees each job's head at every look.

    Raises:
        JobNotFinished: `timeout_seconds` passed first; None: there is no limit.
        UnknownJob, CorruptRecord: a job was deleted, or its record cannot be read.
        StoreUnavailable: the store did not answer at first, or when the time had passed. In between
            it is asked again until it answers, and the log says so.
    """
    end = math.inf if timeout_seconds is None else time.monotonic() + timeout_seconds
    waiting, read = _Waiting(pairs, in_order=in_order), _reader(jobs, end)
    looked = 0
    while page := waiting.page():
        heads = read(page)
        for head in heads:
            watch(head)
        over = [head for head in heads if isinstance(head, Record) and head.status.is_final]
        due, left = waiting.leave(over), end - time.monotonic()
        if over and (in_order or not waiting.pending):
            yield Look(due, 0.0)  # Jobs that move up into the page may be over already.
            continue
        pause = backoff(
            looked, first=FIRST_PAUSE_SECONDS, longest=LONGEST_PAUSE_SECONDS, factor=1.5
        )
        yield Look(due, max(min(max(pause, len(page) / LOOKS_A_SECOND), left), 0.0))
        if heads and left <= 0:
            raise JobNotFinished(f"gave up after {timeout_seconds:g} s: {waiting.rest(heads)}")
        looked += 1


def ends(looking: Iterator[Look]) -> Iterator[tuple[Params, Record]]:
    """Yield the ends that the looks show, and sleep between two looks."""
    for look in looking:
        yield from look.ends
        time.sleep(look.pause_seconds)


def end_of(looking: Iterator[Look]) -> Record:
    """Return the one job that is looked at, once it is over."""
    [(_, record)] = ends(looking)
    return record


class _Waiting:
    """The pairs whose turn has not come; `pending` are their jobs that are not over."""

    def __init__(self, pairs: Iterable[tuple[Params, str]], *, in_order: bool) -> None:
        self._pairs = deque(pairs)
        self._in_order = in_order
        self._uses = Counter(job_id for _, job_id in self._pairs)
        self._over: dict[str, Record] = {}
        self.pending = dict.fromkeys(self._uses)

    def page(self) -> list[str]:
        """Return the jobs to look at next: in order the first ones, else all."""
        return list(islice(self.pending, HEADS_AT_ONCE if self._in_order else None))

    def leave(self, over: list[Record]) -> list[tuple[Params, Record]]:
        """Remove and return the pairs whose turn it is, after these jobs are over, too."""
        for record in over:
            del self.pending[record.job_id]
            self._over[record.job_id] = record
        due = []
        for _ in range(len(self._pairs)):
            params, job_id = self._pairs[0]
            if job_id in self._over:
                due.append((params, self._over[job_id]))
                self._pairs.popleft()
                self._uses[job_id] -= 1
                if not self._uses[job_id]:
                    del self._over[job_id]
            elif self._in_order:
                break
            else:
                self._pairs.rotate(-1)
        return due

    def rest(self, heads: list[Head]) -> str:
        """Describe the unfinished jobs."""
        if len(self.pending) > 1:
            return f"{len(self.pending)} jobs go on"
        return next(progress_of(head) for head in heads if head.job_id in self.pending)


def _reader(jobs: JobStore, end: float) -> Callable[[list[str]], list[Head]]:
    """Return a function that reads jobs as `_read` does, and returns none during an outage."""
    is_answering: bool | None = None

    def read(job_ids: list[str]) -> list[Head]:
        nonlocal is_answering
        try:
            heads = _read(jobs, job_ids)
        except StoreUnavailable as error:
            if is_answering is None or time.monotonic() >= end:
                raise
            if is_answering:
                log.warning("%s; trying again until it answers", error)
            is_answering = False
            return []
        is_answering = True
        return heads

    return read


def _read(jobs: JobStore, job_ids: list[str]) -> list[Head]:
    """Return the heads of all these jobs, and of those that are over the records.

    Raises what is wrong with one.
    """
    while True:
        heads = {head.job_id: head for head in jobs.heads_of(job_ids, on_corrupt=_refuse)}
        over = [head.job_id for head in heads.values() if head.status.is_final]
        heads |= {record.job_id: record for record in jobs.records_of(over, on_corrupt=_refuse)}
        if len(heads) == len(job_ids):
            return list(heads.values())
        missing = set(job_ids) - heads.keys()
        jobs.load(missing.pop())  # It says what is wrong, unless the job was stored just now.


def _refuse(error: CorruptRecord) -> None:
    raise error

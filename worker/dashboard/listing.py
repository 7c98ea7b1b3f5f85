"""One page of jobs: those that match a query, by id."""

from __future__ import annotations

import heapq
import json
import time
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from urllib.parse import urlencode

from outlast.checkpoint.errors import CorruptRecord
from outlast.checkpoint.head import Head
from outlast.checkpoint.record import Record
from outlast.checkpoint.status import Status
from outlast.worker.dashboard.strip import Seen
from outlast.worker.jobs.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from outlast.checkpoint.job_store import JobStore

H = TypeVar("H", bound=Head)

JOBS_A_PAGE = 50
FIELD_CHARACTERS = 200
# A longer search stops, and the page offers to go on.
SEARCH_SECONDS = 1.0

# What a page can be sorted by, as an address names it: what people call that, and the key.
SORTS: dict[str, tuple[str, Callable[[Head], float]]] = {
    "changed": ("last change", lambda head: -head.updated_at),
    "created": ("submission", lambda head: -head.created_at),
    "progress": ("progress", lambda head: -head.progress),
}


class Query(NamedTuple):
    """The query of an address: which jobs, by what they are sorted, after which id the page begins.

    "": any, by their ids, at the first one.
    """

    status: str = ""
    kernel: str = ""
    tag: str = ""
    text: str = ""
    sort: str = ""
    after: str = ""

    @classmethod
    def read(cls, parameters: Mapping[str, str]) -> Query:
        """Return the query in an address; an unknown status or sort counts as none."""
        values = {name: parameters.get(name, "").strip()[:FIELD_CHARACTERS] for name in cls._fields}
        if values["status"] not in set(Status):
            values["status"] = ""
        if values["sort"] not in SORTS:
            values["sort"] = ""
        return cls(**values)

    @classmethod
    def unknown_in(cls, parameters: Mapping[str, str]) -> list[str]:
        """Return what an address asks for that `read` does not know, for people."""
        read, names = cls.read(parameters), ("status", "sort")
        return [
            f"{name}={parameters[name]}"
            for name in names
            if parameters.get(name, "").strip() and not getattr(read, name)
        ]

    @property
    def is_narrow(self) -> bool:
        """Whether it excludes any jobs."""
        return any((self.status, self.kernel, self.tag, self.text))

    @property
    def address(self) -> str:
        """The query as a part of an address, with `?`; "": all jobs."""
        return address_of(self._asdict())

    def but(self, **changes: str) -> Query:
        """Return the first page of a query that differs in `changes`."""
        return self._replace(**{"after": "", **changes})

    @property
    def selection(self) -> Selection:
        """The query without the text, as a selection of jobs."""
        return Selection(
            statuses=frozenset(filter(None, [self.status])),
            kernel=self.kernel or None,
            tags=frozenset(filter(None, [self.tag])),
        )


class Listing(NamedTuple):
    """A page of jobs.

    Attributes:
        jobs: the jobs, without their states.
        faults: an error for each record that cannot be read.
        following: the id after which the next page begins; None: this is the last page.
        is_cut: whether the search stopped early, before the page was full.
        left_out: how many jobs fit that are not on a sorted page, which has no next one.
    """

    jobs: list[Seen]
    faults: list[str]
    following: str | None
    is_cut: bool = False
    left_out: int = 0


def listing_of(jobs: JobStore, query: Query) -> Listing:
    """Return the page of jobs that match `query`."""
    search = _Search(jobs, query)
    left_out = 0
    if query.sort:
        matches = list(search.records() if query.text else search.heads())
        best = heapq.nsmallest(JOBS_A_PAGE, matches, key=SORTS[query.sort][1])
        left_out = len(matches) - len(best)
        page = list(jobs.records_of([head.job_id for head in best], on_corrupt=search.add_fault))
    else:
        # One more than a page has tells that there is a next one.
        page = list(islice(search.records(), JOBS_A_PAGE + 1))
        if len(page) > JOBS_A_PAGE:
            page.pop()
            search.following = page[-1].job_id
    seen = [_seen(jobs, record, search.add_fault) for record in page]
    return Listing(seen, search.faults, search.following, search.is_cut, left_out)


class _Search:
    """Looks for what matches a query, for SEARCH_SECONDS at most.

    Attributes:
        faults: as in `Listing`.
        following: the id after which to go on; None: it came to the end.
        is_cut: whether its time was up before.
    """

    def __init__(self, jobs: JobStore, query: Query) -> None:
        self.faults: list[str] = []
        self.following: str | None = None
        self.is_cut = False
        self._jobs = jobs
        self._query = query
        self._text = query.text.casefold()
        self._now = jobs.clock()
        self._end = time.monotonic() + SEARCH_SECONDS
        self._last = query.after

    def add_fault(self, error: CorruptRecord) -> None:
        """Note that a record cannot be read."""
        self.faults.append(str(error))

    def heads(self) -> Iterator[Head]:
        """Yield the heads of the jobs that match, by id; for a query without a text."""
        after = self._query.after
        return self._matching(self._jobs.heads(after=after, on_corrupt=self.add_fault))

    def records(self) -> Iterator[Record]:
        """Yield the jobs that match, by id."""
        after, where = self._query.after, self._is_worth_reading
        records = self._jobs.records(after=after, where=where, on_corrupt=self.add_fault)
        return self._matching(records)

    def _matching(self, jobs: Iterator[H]) -> Iterator[H]:
        for job in jobs:
            if self._last != self._query.after and time.monotonic() > self._end:
                self.following, self.is_cut = self._last, True
                return
            if self._query.selection.takes(job, self._now) and self._has_text(job):
                yield job
            self._last = job.job_id

    def _is_worth_reading(self, head: Head) -> bool:
        if self._query.selection.takes(head, self._now) or time.monotonic() > self._end:
            return True
        self._last = head.job_id
        return False

    def _has_text(self, job: Head) -> bool:
        return not self._text or (isinstance(job, Record) and self._text in _searchable_text(job))


def _seen(jobs: JobStore, record: Record, on_corrupt: Callable[[CorruptRecord], None]) -> Seen:
    try:
        return Seen.of(jobs, record)
    except CorruptRecord as error:  # one of its parts
        on_corrupt(error)
        return Seen(record, None, jobs.clock())


def _searchable_text(record: Record) -> str:
    parts = (record.job_id, record.kernel, json.dumps(record.params, ensure_ascii=False))
    return " ".join((*parts, *record.tags, record.error or "")).casefold()


def address_of(values: Mapping[str, str]) -> str:
    """Return a query as a part of an address, with `?`; "": nothing is asked for."""
    fields = {name: value for name, value in values.items() if value}
    return f"?{urlencode(fields)}" if fields else ""

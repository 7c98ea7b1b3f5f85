"""One page of jobs: those that match a query, by id."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from outlast.checkpoint.status import Status
from outlast.worker.jobs.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from outlast.checkpoint.errors import CorruptRecord
    from outlast.checkpoint.job_store import JobStore
    from outlast.checkpoint.record import Record

JOBS_A_PAGE = 50
FIELD_CHARACTERS = 200
# A longer search stops, and the page offers to go on.
SEARCH_SECONDS = 1.0


class Query(NamedTuple):
    """The query of an address: which jobs, and after which id the page begins; "": any."""

    status: str = ""
    kernel: str = ""
    tag: str = ""
    text: str = ""
    after: str = ""

    @classmethod
    def read(cls, parameters: Mapping[str, str]) -> Query:
        """Return the query in an address; an unknown status counts as any."""
        values = {name: parameters.get(name, "").strip()[:FIELD_CHARACTERS] for name in cls._fields}
        if values["status"] not in set(Status):
            values["status"] = ""
        return cls(**values)

    @property
    def is_narrow(self) -> bool:
        """Whether it excludes any jobs."""
        return any((self.status, self.kernel, self.tag, self.text))

    @property
    def address(self) -> str:
        """The query as a part of an address, with `?`; "": all jobs."""
        values = {name: value for name, value in self._asdict().items() if value}
        return f"?{urlencode(values)}" if values else ""

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
        records: the jobs, without their states.
        faults: an error for each record that cannot be read.
        following: the id after which the next page begins; None: this is the last page.
        is_cut: whether the search stopped early, before the page was full.
    """

    records: list[Record]
    faults: list[str]
    following: str | None
    is_cut: bool = False


def listing_of(jobs: JobStore, query: Query) -> Listing:
    """Return the page of jobs that match `query`."""
    faults: list[str] = []

    def add_fault(error: CorruptRecord) -> None:
        faults.append(str(error))

    found, following, is_cut = _search(jobs, query, add_fault)
    records = list(jobs.records_of(found, on_corrupt=add_fault))
    return Listing(records, faults, following, is_cut)


def _search(
    jobs: JobStore, query: Query, on_corrupt: Callable[[CorruptRecord], None]
) -> tuple[list[str], str | None, bool]:
    """Return the ids of the page, the one after which the next begins, and whether it was cut."""
    found: list[str] = []
    last, limit = query.after, time.monotonic() + SEARCH_SECONDS
    for job_id, is_match in _matches(jobs, query, on_corrupt):
        if len(found) == JOBS_A_PAGE:
            return found, last, False
        if last != query.after and time.monotonic() > limit:
            return found, last, True
        if is_match:
            found.append(job_id)
        last = job_id
    return found, None, False


def _matches(
    jobs: JobStore, query: Query, on_corrupt: Callable[[CorruptRecord], None]
) -> Iterator[tuple[str, bool]]:
    """Yield the id of each job, and whether it matches; only a text calls for the parameters."""
    selection, text, now = query.selection, query.text.casefold(), jobs.clock()
    if not text:
        for head in jobs.heads(after=query.after, on_corrupt=on_corrupt):
            yield head.job_id, selection.takes(head, now)
        return
    for record in jobs.records(after=query.after, on_corrupt=on_corrupt):
        yield record.job_id, selection.takes(record, now) and text in _searchable_text(record)


def _searchable_text(record: Record) -> str:
    parts = (record.job_id, record.kernel, json.dumps(record.params, ensure_ascii=False))
    return " ".join((*parts, *record.tags, record.error or "")).casefold()

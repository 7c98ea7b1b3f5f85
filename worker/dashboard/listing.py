"""One page of jobs: those that match a query, by id."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from outlast.checkpoint.errors import CorruptRecord
from outlast.checkpoint.status import Status
from outlast.worker.dashboard.strip import Seen
from outlast.worker.jobs.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from outlast.checkpoint.head import Head
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
        jobs: the jobs, without their states.
        faults: an error for each record that cannot be read.
        following: the id after which the next page begins; None: this is the last page.
        is_cut: whether the search stopped early, before the page was full.
    """

    jobs: list[Seen]
    faults: list[str]
    following: str | None
    is_cut: bool = False


def listing_of(jobs: JobStore, query: Query) -> Listing:
    """Return the page of jobs that match `query`."""
    selection, text, now = query.selection, query.text.casefold(), jobs.clock()
    found: list[Seen] = []
    faults: list[str] = []
    last, limit = query.after, time.monotonic() + SEARCH_SECONDS

    def add_fault(error: CorruptRecord) -> None:
        faults.append(str(error))

    def is_worth_reading(head: Head) -> bool:
        nonlocal last
        if selection.takes(head, now) or time.monotonic() > limit:
            return True
        last = head.job_id
        return False

    for record in jobs.records(after=query.after, where=is_worth_reading, on_corrupt=add_fault):
        if len(found) == JOBS_A_PAGE:
            return Listing(found, faults, last)
        if last != query.after and time.monotonic() > limit:
            return Listing(found, faults, last, is_cut=True)
        if selection.takes(record, now) and (not text or text in _searchable_text(record)):
            found.append(_seen(jobs, record, add_fault))
        last = record.job_id
    return Listing(found, faults, None)


def _seen(jobs: JobStore, record: Record, on_corrupt: Callable[[CorruptRecord], None]) -> Seen:
    try:
        return Seen.of(jobs, record)
    except CorruptRecord as error:  # one of its parts
        on_corrupt(error)
        return Seen(record)


def _searchable_text(record: Record) -> str:
    parts = (record.job_id, record.kernel, json.dumps(record.params, ensure_ascii=False))
    return " ".join((*parts, *record.tags, record.error or "")).casefold()

"""One page of jobs: those that fit, by id."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from outlast.checkpoint.status import Status
from outlast.worker.jobs.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outlast.checkpoint.errors import CorruptRecord
    from outlast.checkpoint.jobs import JobStore
    from outlast.checkpoint.record import Record

JOBS_A_PAGE = 50
FIELD_CHARACTERS = 200
# A search that takes longer asks whether to go on.
SEARCH_SECONDS = 1.0


class Query(NamedTuple):
    """What an address says: which jobs, and after which id the page begins; "" leaves it open."""

    status: str = ""
    kernel: str = ""
    tag: str = ""
    text: str = ""
    after: str = ""

    @classmethod
    def read(cls, given: Mapping[str, str]) -> Query:
        """Return what the query of an address says; a status that is none leaves it open."""
        said = {name: given.get(name, "").strip()[:FIELD_CHARACTERS] for name in cls._fields}
        if said["status"] not in set(Status):
            said["status"] = ""
        return cls(**said)

    @property
    def is_narrow(self) -> bool:
        """Whether it leaves out any jobs."""
        return any((self.status, self.kernel, self.tag, self.text))

    @property
    def address(self) -> str:
        """The query as a part of an address: with `?`, or nothing where all is open."""
        said = {name: value for name, value in self._asdict().items() if value}
        return f"?{urlencode(said)}" if said else ""

    def but(self, **changes: str) -> Query:
        """Return the first page of a query that differs in `changes`."""
        return self._replace(**{"after": "", **changes})

    @property
    def selection(self) -> Selection:
        """The choice of jobs, without the text."""
        return Selection(
            statuses=frozenset(filter(None, [self.status])),
            kernel=self.kernel or None,
            tags=frozenset(filter(None, [self.tag])),
        )


class Listing(NamedTuple):
    """A page of jobs.

    Attributes:
        records: the jobs, without their states.
        faults: what is wrong with the records that cannot be read.
        following: the id after which the next page begins; None where this is the last one.
        is_cut: whether the search stopped early, before the page was full.
    """

    records: list[Record]
    faults: list[str]
    following: str | None
    is_cut: bool = False


def listing_of(jobs: JobStore, query: Query) -> Listing:
    """Return the page of jobs that `query` asks for."""
    selection, text, now = query.selection, query.text.casefold(), jobs.clock()
    found: list[Record] = []
    faults: list[str] = []
    last, limit = query.after, time.monotonic() + SEARCH_SECONDS

    def note(error: CorruptRecord) -> None:
        faults.append(str(error))

    for record in jobs.heads(after=query.after, on_corrupt=note):
        if len(found) == JOBS_A_PAGE:
            return Listing(found, faults, last)
        if last != query.after and time.monotonic() > limit:
            return Listing(found, faults, last, is_cut=True)
        if selection.takes(record, now) and (not text or text in _words(record)):
            found.append(record)
        last = record.job_id
    return Listing(found, faults, None)


def _words(record: Record) -> str:
    parts = (record.job_id, record.kernel, json.dumps(record.params, ensure_ascii=False))
    return " ".join((*parts, *record.tags, record.error or "")).casefold()

"""One page of jobs: those that fit, by id."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from checkpoint.record import Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from checkpoint.errors import CorruptRecord
    from checkpoint.jobs import JobStore
    from checkpoint.record import Record

JOBS_A_PAGE = 50
# A search looks at no more jobs than this before it asks whether to go on.
MOST_SEARCHED = 2_000


class Selection(NamedTuple):
    """Which jobs to show, and after which id the page begins; an empty text selects all."""

    status: str = ""
    kernel: str = ""
    tag: str = ""
    text: str = ""
    after: str = ""

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Selection:
        """Return what the query of an address selects; a status that is none selects all."""
        chosen = {name: query.get(name, "").strip()[:200] for name in cls._fields}
        if chosen["status"] not in set(Status):
            chosen["status"] = ""
        return cls(**chosen)

    @property
    def is_narrow(self) -> bool:
        """Whether it leaves out any jobs."""
        return any((self.status, self.kernel, self.tag, self.text))

    def query(self, **changes: str) -> str:
        """Return it as the query of an address, with `?`, or nothing where it selects all."""
        chosen = {k: v for k, v in self._replace(**{"after": "", **changes})._asdict().items() if v}
        return f"?{urlencode(chosen)}" if chosen else ""

    def fits(self, record: Record) -> bool:
        """Whether a job is among those selected."""
        return (
            self.status in {"", record.status}
            and self.kernel in {"", record.kernel}
            and (not self.tag or self.tag in record.tags)
            and (not self.text or self.text.casefold() in _words(record))
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


def listing_of(jobs: JobStore, selection: Selection) -> Listing:
    """Return the page that begins after `selection.after`."""
    found: list[Record] = []
    faults: list[str] = []
    last = ""

    def note(error: CorruptRecord) -> None:
        faults.append(str(error))

    for searched, record in enumerate(jobs.heads(after=selection.after, on_corrupt=note)):
        if len(found) == JOBS_A_PAGE:
            return Listing(found, faults, found[-1].job_id)
        if searched == MOST_SEARCHED:
            return Listing(found, faults, last, is_cut=True)
        if selection.fits(record):
            found.append(record)
        last = record.job_id
    return Listing(found, faults, None)


def _words(record: Record) -> str:
    parts = (record.job_id, record.kernel, json.dumps(record.params, ensure_ascii=False))
    return " ".join((*parts, *record.tags, record.error or "")).casefold()

"""Records as HTML: whole pages, and the parts of them that change."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from outlast.checkpoint.errors import CheckpointError, StoreUnavailable, UnknownJob
from outlast.checkpoint.fleet import Place
from outlast.worker.dashboard.listing import Listing, Query, listing_of
from outlast.worker.dashboard.live import Part, Parts
from outlast.worker.dashboard.rendering import mark_of
from outlast.worker.dashboard.steering import DONE
from outlast.worker.dashboard.strip import Seen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outlast.checkpoint.job_store import JobStore
    from outlast.checkpoint.record import Record
    from outlast.worker.dashboard.rendering import Rendering

# The parts of a row and of a job's page; each is a macro of that name in cells.html.
CELLS = ("status", "progress", "slices", "where", "saved")
PIECES = (
    *("status", "actions", "now", "strip", "error", "result", "lines", "course", "figures"),
    "accounts",
)

# Pages for everyone must not contain the seal of the forms that steer jobs.
OUTSIDE = {"csrf": "", "has_login": False}


class Pages:
    """The pages of the jobs of a store."""

    def __init__(self, jobs: JobStore, rendering: Rendering) -> None:
        self._jobs = jobs
        self._rendering = rendering

    def jobs(self, query: Query, *, unknown: Sequence[str] = (), csrf: str) -> str:
        """Return the page of a selection of jobs; in an outage it is empty and says so.

        `unknown` are words of the address that choose nothing; the page says that, too.
        """
        outage, listing = "", Listing([], [], None)
        try:
            listing = listing_of(self._jobs, query)
        except StoreUnavailable as error:
            outage = str(error)
        return self._rendering.page(
            "jobs.html",
            query=query,
            unknown=unknown,
            listing=listing,
            mark=_mark_of(listing),
            outage=outage,
            csrf=csrf,
            events=f"/events/jobs{query.address}",
        )

    def jobs_parts(self, query: Query) -> Parts:
        """Return the parts of that page that may change."""
        try:
            listing = listing_of(self._jobs, query)
        except StoreUnavailable as error:
            return self._outage(error)
        rows = self._rendering.page("rows.html", listing=listing)
        parts = {"rows": Part(rows, _mark_of(listing)), "outage": Part("", "")}
        for job in listing.jobs:
            parts |= self._parts(job, CELLS, f"/{job.job_id}")
        return parts

    def job(self, job_id: str, *, csrf: str, did: str = "", problem: str = "") -> str:
        """Return the page of a job; `did` names the button that was clicked, `problem` an error.

        Raises what `JobStore.load` raises.
        """
        job = Seen.of(self._jobs, self._jobs.load(job_id).record)
        return self._rendering.page(
            "job.html",
            job=job,
            mark=_checkpoints_mark(job),
            done=DONE.get(did, ""),
            problem=problem,
            csrf=csrf,
            events=f"/events/jobs/{job_id}",
        )

    def job_parts(self, job_id: str) -> Parts:
        """Return the parts of that page that may change."""
        try:
            job = Seen.of(self._jobs, self._stateless(job_id))
        except CheckpointError as error:  # also for a job that was deleted or damaged since
            return self._outage(error)
        checkpoints = self._rendering.cell("checkpoints", job, whole=False)
        return {
            **self._parts(job, PIECES, ""),
            "checkpoints": Part(checkpoints, _checkpoints_mark(job)),
            "outage": Part("", ""),
        }

    def part(self, job_id: str, number: int, *, csrf: str) -> str:
        """Return the page of one part of a job.

        Raises what `JobStore.load` raises.

        Raises:
            UnknownJob: the job has no such part, or it is added up with all others.
        """
        record = self._jobs.load(job_id).record
        fleet, part = record.fleet, None
        if fleet is not None and fleet.is_cut and number < fleet.parts:
            part = self._jobs.load_node(job_id, fleet.node(Place(0, number)))
        elif fleet is None or fleet.concluded or number >= fleet.parts:
            raise UnknownJob(f"job {job_id} has no part {number}, or all its parts are added up")
        return self._rendering.page(
            "part.html", job=record, number=number, part=part and part.record, csrf=csrf
        )

    def ask(self, verb: str, job_id: str, *, csrf: str) -> str:
        """Return the page that asks before `verb` is done.

        Raises what `JobStore.load` raises.
        """
        record = self._jobs.load(job_id).record
        return self._rendering.page("ask.html", verb=verb, job=record, csrf=csrf)

    def login(self, *, problem: str = "") -> str:
        """Return the page that asks for the token, and says why the last one did not do."""
        return self._rendering.page("login.html", problem=problem, **OUTSIDE)

    def problem(self, heading: str, text: str, *, again: bool = False) -> str:
        """Return a page that says what is wrong; with `again` it reloads itself."""
        values = {"heading": heading, "text": text, "again": again}
        return self._rendering.page("problem.html", **values, **OUTSIDE)

    def _stateless(self, job_id: str) -> Record:
        for record in self._jobs.records_of([job_id], on_corrupt=_raise):
            return record
        raise UnknownJob(f"job {job_id} has gone from the store")

    def _parts(self, job: Seen, names: tuple[str, ...], suffix: str) -> Parts:
        return {f"{name}{suffix}": self._rendering.part(name, job) for name in names}

    def _outage(self, error: CheckpointError) -> Parts:
        return {"outage": self._rendering.part("outage", str(error))}


def _raise(error: CheckpointError) -> NoReturn:
    raise error


def _mark_of(listing: Listing) -> str:
    ids = (job.job_id for job in listing.jobs)
    return mark_of("\n".join((*ids, *listing.faults, listing.following or "")))


def _checkpoints_mark(job: Seen) -> str:
    """Return a mark of the set of checkpoints, whether their states were read or not."""
    kept = (*job.checkpoints, *job.quarantine)
    marks = " ".join(f"{c.sequence}{c.digest}" for c in kept)
    return mark_of(f"{marks}{len(job.quarantine)}{job.parts is None}")

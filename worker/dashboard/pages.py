"""Records as HTML: whole pages, and the parts of them that change."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

from jinja2 import Environment, PackageLoader, StrictUndefined

from outlast.checkpoint.errors import CheckpointError, StoreUnavailable, UnknownJob
from outlast.checkpoint.fleet import Place
from outlast.checkpoint.status import Status
from outlast.checkpoint.view import moment
from outlast.worker.dashboard import figures, words
from outlast.worker.dashboard.listing import Listing, Query, listing_of
from outlast.worker.dashboard.live import Part, Parts
from outlast.worker.dashboard.plot import HEIGHT, LEFT, WIDTH, plot_of
from outlast.worker.dashboard.steering import ASKING, DONE, buttons_for
from outlast.worker.dashboard.strip import HEIGHT as STRIP_HEIGHT
from outlast.worker.dashboard.strip import WIDTH as STRIP_WIDTH
from outlast.worker.dashboard.strip import Cell, Row, Seen, cells_of, rows_of
from outlast.worker.telemetry.rate import Rate, rate_of, speed

if TYPE_CHECKING:
    from outlast.checkpoint.job_store import JobStore
    from outlast.checkpoint.record import Record
    from outlast.worker.dashboard.guard import Keys
    from outlast.worker.jobs.parts import Parts as JobParts

# The parts of a row and of a job's page; each is a macro of that name in cells.html.
CELLS = ("status", "progress", "slices", "where", "saved")
PIECES = ("status", "actions", "now", "strip", "error", "result", "course", "figures", "accounts")

# Pages for everyone must not contain the seal of the forms that steer jobs.
OUTSIDE = {"csrf": "", "has_login": False}


class Pages:
    """Renders the templates, which escape every text from outside."""

    def __init__(self, jobs: JobStore, keys: Keys) -> None:
        """Show the jobs of `jobs`; the form of the login has the seal of `keys`.

        Other forms have the seal `csrf` of their viewer. Parts that change have none, as all
        viewers get the same.
        """
        self._jobs = jobs
        self._env = _environment()
        self._common = {
            "login_csrf": keys.seal("login"),
            "has_login": keys.token is not None,
        }

    def jobs(self, query: Query, *, csrf: str) -> str:
        """Return the page of a selection of jobs; in an outage it is empty and says so."""
        outage, listing = "", Listing([], [], None)
        try:
            listing = listing_of(self._jobs, query)
        except StoreUnavailable as error:
            outage = str(error)
        return self._render(
            "jobs.html",
            query=query,
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
        rows = self._render("rows.html", listing=listing)
        parts = {"rows": Part(rows, _mark_of(listing)), "outage": Part("", "")}
        for job in listing.jobs:
            parts |= self._parts(job, CELLS, f"/{job.job_id}")
        return parts

    def job(self, job_id: str, *, csrf: str, did: str = "", problem: str = "") -> str:
        """Return the page of a job; `did` names the button that was clicked, `problem` an error.

        Raises what `JobStore.load` raises.
        """
        job = Seen.of(self._jobs, self._jobs.load(job_id).record)
        return self._render(
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
        checkpoints = self._cell("checkpoints", job, whole=False)
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
        return self._render(
            "part.html", job=record, number=number, part=part and part.record, csrf=csrf
        )

    def ask(self, verb: str, job_id: str, *, csrf: str) -> str:
        """Return the page that asks before `verb` is done.

        Raises what `JobStore.load` raises.
        """
        record = self._jobs.load(job_id).record
        return self._render("ask.html", verb=verb, job=record, csrf=csrf)

    def login(self, *, problem: str = "") -> str:
        """Return the page that asks for the token, and says why the last one did not do."""
        return self._render("login.html", problem=problem, **OUTSIDE)

    def problem(self, heading: str, text: str, *, again: bool = False) -> str:
        """Return a page that says what is wrong; with `again` it reloads itself."""
        return self._render("problem.html", heading=heading, text=text, again=again, **OUTSIDE)

    def _stateless(self, job_id: str) -> Record:
        for record in self._jobs.records_of([job_id], on_corrupt=_raise):
            return record
        raise UnknownJob(f"job {job_id} has gone from the store")

    def _render(self, name: str, **values: Any) -> str:
        return self._env.get_template(name).render(self._common | values)

    def _parts(self, job: Seen, names: tuple[str, ...], suffix: str) -> Parts:
        cells = {name: self._cell(name, job) for name in names}
        return {f"{name}{suffix}": Part(html, _mark(html)) for name, html in cells.items()}

    def _cell(self, name: str, value: Any, **options: Any) -> str:
        module = self._env.get_template("cells.html").make_module(self._common)
        return str(getattr(module, name)(value, **options))

    def _outage(self, error: CheckpointError) -> Parts:
        html = self._cell("outage", str(error))
        return {"outage": Part(html, _mark(html))}


@cache
def _environment() -> Environment:
    env = Environment(
        loader=PackageLoader("outlast.worker.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {
        name: getattr(words, name)
        for name in ("line", "block", "params", "percent", "duration", "size")
    }
    env.filters |= {"moment": moment, "speed": speed}
    env.globals |= {
        "statuses": list(Status),
        "rate_of": _rate_of,
        "strip_of": _strip_of,
        "strip_size": (STRIP_WIDTH, STRIP_HEIGHT),
        "plot_of": plot_of,
        "figures_of": figures.figures_of,
        "buttons_for": buttons_for,
        "asking": ASKING,
        "plot_size": (WIDTH, HEIGHT, LEFT),
        "figure_height": figures.HEIGHT,
    }
    return env


def _strip_of(job: Seen) -> tuple[list[Cell], list[Row]] | None:
    """Return the cells and the rows of a divided job; None: it has none."""
    parts = job.parts
    return (cells_of(parts), rows_of(parts)) if parts and parts.all else None


def _rate_of(job: Seen) -> Rate | JobParts | None:
    """Return a running job's rate; None: it does not run, or its rate is not known."""
    if job.status is not Status.RUNNING:
        return None
    rate = job.parts or rate_of(job.record)
    return rate if rate.per_second else None


def _raise(error: CheckpointError) -> NoReturn:
    raise error


def _mark(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _mark_of(listing: Listing) -> str:
    ids = (job.job_id for job in listing.jobs)
    return _mark("\n".join((*ids, *listing.faults, listing.following or "")))


def _checkpoints_mark(job: Seen) -> str:
    """Return a mark of the set of checkpoints, whether their states were read or not."""
    kept = (*job.checkpoints, *job.quarantine)
    marks = " ".join(f"{c.sequence}{c.digest}" for c in kept)
    return _mark(f"{marks}{len(job.quarantine)}{job.parts is None}")

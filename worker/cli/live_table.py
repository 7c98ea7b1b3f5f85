"""Where `outlast watch` shows jobs: a table on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Self

from outlast.checkpoint.safe_text import one_line
from outlast.checkpoint.view import figures_line
from outlast.worker.cli.output import GONE, LINE_CHARACTERS, say
from outlast.worker.cli.streams import is_terminal
from outlast.worker.jobs.parts import viewed
from outlast.worker.slices.platforms import title_of
from outlast.worker.telemetry.rate import Rate, clock_time, rate_of, speed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from outlast.checkpoint.record import Record
    from outlast.worker.jobs.parts import Parts

BAR_CELLS = 20
GAP_CELLS = 2  # between columns
METRICS_CELLS = 36
UNKNOWN = "-"
# Between slices a job waits for a moment only; one that waits longer has no end in sight.
WAITING_SECONDS = 60.0
# The columns, with the width of a terminal from which each is shown.
COLUMNS = {
    "JOB": 0,
    "STATUS": 0,
    "": 64,
    "DONE": 0,
    "RATE": 100,
    "LEFT": 48,
    "SLICE": 80,
    "SAVED": 90,
    "METRICS": 100,
    "WHERE": 112,
    "WORKER": 140,
}


class Table(ABC):
    """Shows jobs, and lines; a context manager.

    Attributes:
        interval_seconds: how often it is worth looking, unless --interval is set.
    """

    interval_seconds: ClassVar[float]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    @abstractmethod
    def show(
        self,
        jobs: Iterable[Record],
        changed: Sequence[Record],
        parts: Mapping[str, Parts],
        now: float,
    ) -> None:
        """Show the jobs that are watched, and those that have changed since the last time.

        `parts` has those of the jobs that are divided, by job id.
        """

    @abstractmethod
    def say(self, line: str) -> None:
        """Show one line that stays."""


class ChangeLines(Table):
    """One line for each change on standard output; what goes wrong goes to standard error."""

    interval_seconds = 5.0

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def show(
        self,
        jobs: Iterable[Record],  # noqa: ARG002 - only what has changed is shown
        changed: Sequence[Record],
        parts: Mapping[str, Parts],
        now: float,
    ) -> None:
        """Print the jobs that have changed."""
        for record in changed:
            of_it = parts.get(record.job_id)
            line = json.dumps(viewed(record, of_it)) if self._as_json else ""
            print(line or line_of(record, now, of_it), flush=True)

    def say(self, line: str) -> None:
        """Print it."""
        with suppress(*GONE):
            say(line)


class LiveTable(Table):
    """A table that is redrawn in place; a job that is over becomes a line above it."""

    interval_seconds = 1.0

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(highlight=False, markup=False, emoji=False)
        self._live = Live(console=self._console, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._live.stop()

    def show(
        self,
        jobs: Iterable[Record],
        changed: Sequence[Record],
        parts: Mapping[str, Parts],
        now: float,
    ) -> None:
        """Draw the table, and above it the jobs that are over, which have left it."""
        self._live.update(self._table(list(jobs), parts, now), refresh=True)
        for record in changed:
            if record.status.is_final:
                self.say(line_of(record, now))

    def say(self, line: str) -> None:
        """Print it above the table."""
        self._console.print(one_line(line, LINE_CHARACTERS), soft_wrap=True)

    def _table(self, jobs: list[Record], parts: Mapping[str, Parts], now: float) -> Any:
        from rich.progress_bar import ProgressBar
        from rich.table import Table as Grid

        names = [name for name, width in COLUMNS.items() if self._console.width >= width]
        room = max(self._console.height - 4, 1)  # the heading, the caption, and the cursor's line
        hidden = len(jobs) - room
        grid = Grid(
            box=None,
            pad_edge=False,
            caption=f"and {hidden:,} more" if hidden > 0 else None if jobs else "no unfinished job",
            caption_justify="left",
        )
        # Those that a worker has come first.
        at_work = {job_id for job_id, each in parts.items() if each.running}
        at_work |= {job.job_id for job in jobs if job.lease}
        shown = sorted(jobs, key=lambda job: (job.job_id not in at_work, job.job_id))[:room]
        rows = [(record, cells_of(record, now, parts.get(record.job_id))) for record in shown]
        if not any(record.metrics for record in shown):
            names = [name for name in names if name != "METRICS"]
        widths = {n: max(len(n), *(len(c.get(n, "")) for _, c in rows), 0) for n in names}
        widths[""] = BAR_CELLS
        others = sum(widths[name] + GAP_CELLS for name in names if name != "JOB")
        for name in names:
            # On a narrow terminal a long id is cut, and nothing else.
            most = max(self._console.width - others, len(name)) if name == "JOB" else widths[name]
            grid.add_column(name, no_wrap=True, overflow="ellipsis", max_width=most)
        for record, cells in rows:
            of_it = parts.get(record.job_id)
            share = record.progress if of_it is None else of_it.progress
            bar = ProgressBar(total=1.0, completed=share, width=BAR_CELLS)
            grid.add_row(*(cells.get(name, bar) for name in names))
        return grid


def cells_of(record: Record, now: float, parts: Parts | None = None) -> dict[str, str]:
    """Return what the table shows of a job, by column; times are relative to `now`."""
    if parts is not None:
        return _cells_of_parts(record, parts)
    moves = record.is_held(now) or now - record.updated_at < WAITING_SECONDS
    newest = record.checkpoints[0] if record.checkpoints else None
    since = now - newest.saved_at if newest else 0.0
    return {
        "JOB": record.job_id,
        "STATUS": str(record.status),
        "DONE": f"{record.progress:.1%}",
        **_cells_of_rate(rate_of(record, now) if moves else Rate()),
        "SLICE": str(record.slice_number),
        "SAVED": f"{clock_time(max(since, 0.0))} ago" if newest else UNKNOWN,
        "METRICS": _cut(figures_line(record.metrics)) or UNKNOWN,
        "WHERE": title_of(record.lease.platform) if record.lease else UNKNOWN,
        "WORKER": one_line(record.lease.worker, LINE_CHARACTERS) if record.lease else UNKNOWN,
    }


def _cells_of_parts(record: Record, parts: Parts) -> dict[str, str]:
    """Return what the table shows of a divided job; WORKER is how many have a part of it."""
    leases = [head.lease for head in parts.heads.values() if head.lease and head.is_held(parts.at)]
    where = sorted({title_of(lease.platform) for lease in leases})
    return {
        "JOB": record.job_id,
        "STATUS": str(record.status),
        "DONE": f"{parts.progress:.1%}",
        **_cells_of_rate(parts.rate),
        "SLICE": f"{parts.succeeded}/{parts.all}",
        "SAVED": UNKNOWN,
        "METRICS": UNKNOWN,
        "WHERE": where[0] if len(where) == 1 else f"{len(where)} platforms" if where else UNKNOWN,
        "WORKER": f"{parts.running:,} at work" if parts.running else UNKNOWN,
    }


def _cells_of_rate(rate: Rate) -> dict[str, str]:
    per_second, left = rate
    return {
        "RATE": UNKNOWN if per_second is None else speed(per_second),
        "LEFT": UNKNOWN if left is None else clock_time(left),
    }


def _cut(figures: str) -> str:
    return figures if len(figures) <= METRICS_CELLS else f"{figures[: METRICS_CELLS - 1]}…"


def line_of(record: Record, now: float, parts: Parts | None = None) -> str:
    """Return how a job stands in one line."""
    if parts is not None:
        line = f"job {record.job_id} {record.status} {parts.progress:.1%}, {parts.words}"
        if parts.running:
            line += f", {parts.rate}"
        return one_line(f"{line}: {record.error}" if record.error else line, LINE_CHARACTERS)
    line = f"job {record.job_id} {record.status} {record.progress:.1%}, slice {record.slice_number}"
    if record.status.is_final:
        slices = "slice" if record.usage.slices_begun == 1 else "slices"
        line = f"job {record.job_id} {record.status} after {record.usage.slices_begun} {slices}"
    elif record.lease:
        cells = cells_of(record, now)
        line += f" on {cells['WHERE']}, {cells['WORKER']}"
        if cells["LEFT"] != UNKNOWN:
            line += f", {cells['RATE']}, {cells['LEFT']} left"
    if record.metrics:
        line += f", {figures_line(record.metrics)}"
    return one_line(f"{line}: {record.error}" if record.error else line, LINE_CHARACTERS)


def open_table(*, as_json: bool) -> Table:
    """Return what fits standard output."""
    is_live = is_terminal(sys.stdout) and not as_json
    return LiveTable() if is_live else ChangeLines(as_json=as_json)

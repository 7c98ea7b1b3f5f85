"""The parts of a divided job as a strip of cells, and a job together with its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from outlast.checkpoint.status import Status
from outlast.worker.dashboard.words import line
from outlast.worker.jobs.parts import with_parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.checkpoint.head import Head
    from outlast.checkpoint.job_store import JobStore
    from outlast.checkpoint.record import Record
    from outlast.worker.jobs.parts import Parts

# In the drawing's own units; the page scales it to its width.
WIDTH, HEIGHT = 720.0, 28.0
MOST_CELLS = 240
# The rows of the table below it.
MOST_ROWS = 50


class Seen:
    """A job as a page shows it: its record, with the progress that its parts tell.

    Attributes:
        record: with the usage of its parts.
        parts: how they stand; None: the job is not divided, or they are added up.
        at: when they stood so, by the clock of `JobStore`.
    """

    def __init__(self, record: Record, parts: Parts | None, at: float) -> None:
        self.record = record
        self.parts = parts
        self.at = at

    @classmethod
    def of(cls, jobs: JobStore, record: Record) -> Seen:
        """Look at the parts of a job. Raises as `parts_of`."""
        return cls(*with_parts(jobs, record), jobs.clock())

    @property
    def progress(self) -> float:
        """The share of the work that is done and stored, 0 to 1."""
        return self.record.progress if self.parts is None else self.parts.progress

    def __getattr__(self, name: str) -> Any:
        return getattr(self.record, name)


class Stack(NamedTuple):
    """One state's share of a cell, in the drawing's units from its top."""

    look: str
    y: float
    height: float


class Cell(NamedTuple):
    """One part, or some neighbours; `hint` says how they stand, and where they run."""

    x: float
    width: float
    stacks: tuple[Stack, ...]
    hint: str


class Row(NamedTuple):
    """A part that a worker has, or that has failed."""

    number: int
    state: str
    platform: str
    worker: str
    slice: int


def cells_of(parts: Parts) -> list[Cell]:
    """Return the strip of these parts, in order; with very many of them each cell has some."""
    size = -(-parts.all // MOST_CELLS)
    count = -(-parts.all // size)
    width = WIDTH / count
    gap = min(1.0, width / 5)
    return [
        Cell(
            round(number * width, 2),
            round(width - gap, 2),
            tuple(_stacks(states := _states(parts, first, last))),
            _hint(parts, first, last, states),
        )
        for number in range(count)
        for first, last in [(number * size, min((number + 1) * size, parts.all))]
    ]


def rows_of(parts: Parts) -> list[Row]:
    """Return the parts that have failed, then those that run, the longest first."""
    rows = [
        (state, head)
        for head in parts.heads.values()
        if (state := _state(head, parts.at)) in {"running", "failed"}
    ]
    rows.sort(key=lambda row: (row[0], row[1].lease.claimed_at if row[1].lease else 0.0))
    return [
        Row(
            head.node.number if head.node else 0,
            state,
            head.lease.platform if head.lease else "",
            head.lease.worker if head.lease else "",
            head.slice_number,
        )
        for state, head in rows[:MOST_ROWS]
    ]


def _states(parts: Parts, first: int, last: int) -> dict[str, int]:
    """Return how many of these parts are in each state."""
    counts = dict.fromkeys(("failed", "running", "waiting", "done"), 0)
    for number in range(first, last):
        counts[_state_of(parts, number)] += 1
    return counts


def _state_of(parts: Parts, number: int) -> str:
    if head := parts.heads.get(number):
        return _state(head, parts.at)
    return "done" if parts.is_done(number) else "waiting"


def _state(head: Head, now: float) -> str:
    if head.status is Status.SUCCEEDED:
        return "done"
    if head.status is Status.FAILED:
        return "failed"
    return "running" if head.is_held(now) else "waiting"


def _stacks(states: dict[str, int]) -> Iterator[Stack]:
    """Yield the states of a cell, one below the other, as high as their shares."""
    y, total = 0.0, sum(states.values())
    for look, count in states.items():
        if count:
            height = HEIGHT * count / total
            yield Stack(look, round(y, 2), round(height, 2))
            y += height


def _hint(parts: Parts, first: int, last: int, states: dict[str, int]) -> str:
    if last - first > 1:
        counts = ", ".join(f"{count} {state}" for state, count in states.items() if count)
        return f"parts {first} to {last - 1}: {counts}"
    (state,) = (state for state, count in states.items() if count)
    head = parts.heads.get(first)
    where = ""
    if head and head.lease and head.is_held(parts.at):
        where = f" on {head.lease.platform}, {line(head.lease.worker, 40)}"
    return f"part {first}: {state}{where}"

"""A job's course as SVG: progress over time, each slice a segment, and why it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from outlast.worker.dashboard.words import duration, percent
from outlast.worker.slices.fleet.call import PARTS_CALLED

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record

# In the drawing's own units; the page scales it to its width.
WIDTH, HEIGHT = 720.0, 260.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 14.0, 10.0, 34.0
# How many looks for platforms the style sheet has.
LOOKS = 6
MAX_TICKS = 6
# Seconds between two labels of the time axis.
STEPS: tuple[float, ...] = (
    *(0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30),
    *(60 * minutes for minutes in (1, 2, 5, 10, 20, 30)),
    *(3_600 * hours for hours in (1, 2, 4, 6, 12)),
    *(86_400 * days for days in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)),
)

# The mark at the end of a slice, by its ending; any other ending is an error.
ENDINGS = {
    "deadline": "deadline",
    "SIGTERM": "signal",
    "SIGINT": "signal",
    "SIGHUP": "signal",
    "stop file": "signal",
    "spot notice": "signal",
    "paused": "paused",
    "cancelled": "paused",
    "lost": "lost",
    "succeeded": "succeeded",
}
MEANINGS = {
    "deadline": "ended at its deadline",
    "parts": "sent the messages of parts",
    "signal": "stopped by a signal or a notice",
    "paused": "paused or cancelled",
    "lost": "worker lost",
    "succeeded": "succeeded",
    "error": "ended by an error",
}


class Segment(NamedTuple):
    """One slice, or a stretch of slices, in the drawing's units; `mark` is None while it runs."""

    x0: float
    y0: float
    x1: float
    y1: float
    look: int
    mark: str | None
    hint: str


class Tick(NamedTuple):
    """A line across the drawing, and its label."""

    at: float
    label: str


class Plot(NamedTuple):
    """All that the template draws; times count from `started_at`, in seconds since the epoch.

    The time axis is `span` seconds long.
    """

    started_at: float
    span: float
    segments: list[Segment]
    times: list[Tick]
    shares: list[Tick]
    platforms: list[tuple[int, str]]
    marks: list[tuple[str, str]]
    description: str


def plot_of(record: Record) -> Plot | None:
    """Return the course of a job; None: no slice has saved anything yet."""
    courses = _courses(record)
    if not courses:
        return None
    started_at = min(course.began_at for course in courses)
    span = max(max(course.ended_at for course in courses) - started_at, 0.1)
    looks: dict[str, int] = {}
    segments = [_segment(course, started_at, span, looks) for course in courses]
    marks = {segment.mark for segment in segments}
    return Plot(
        started_at=started_at,
        span=span,
        segments=segments,
        times=_times(span),
        shares=[Tick(_y(share), f"{100 * share:.0f} %") for share in (0.0, 0.25, 0.5, 0.75, 1.0)],
        platforms=[(look, platform) for platform, look in looks.items()],
        marks=[(mark, meaning) for mark, meaning in MEANINGS.items() if mark in marks],
        description=_description(record, span),
    )


class _Course(NamedTuple):
    began_at: float
    ended_at: float
    before: float
    after: float
    platform: str
    ending: str | None
    hint: str


def _courses(record: Record) -> list[_Course]:
    """Return the slices that have ended, and the running one up to its last checkpoint."""
    courses, before = [], 0.0
    for stretch in record.history.stretches:
        numbers = f"slice {stretch.first}"
        if stretch.slices > 1:
            numbers = f"slices {stretch.first} to {stretch.first + stretch.slices - 1}"
        progress = record.progress_if_known(stretch.progress)
        share = "" if progress is None else f"{progress:.2%} "
        hint = f"{numbers}: {share}on {stretch.platform}, {stretch.ending[:60]}"
        courses.append(
            _Course(
                stretch.began_at,
                stretch.ended_at,
                before,
                stretch.progress,
                stretch.platform,
                stretch.ending,
                hint,
            )
        )
        before = stretch.progress
    if (lease := record.lease) and record.checkpoints:
        saved_at = max(record.checkpoints[0].saved_at, lease.claimed_at)
        after, platform = record.progress, lease.platform
        hint = f"slice {record.slice_number}: running on {platform}"
        courses.append(_Course(lease.claimed_at, saved_at, before, after, platform, None, hint))
    return courses


def _mark_of(ending: str) -> str:
    # After a colon comes what a signal has cut off.
    kind = ending.partition(":")[0]
    return "parts" if ending.startswith(PARTS_CALLED) else ENDINGS.get(kind, "error")


def _segment(course: _Course, started_at: float, span: float, looks: dict[str, int]) -> Segment:
    look = looks.setdefault(course.platform, len(looks) % LOOKS)
    mark = None if course.ending is None else _mark_of(course.ending)
    return Segment(
        x_of((course.began_at - started_at) / span),
        _y(course.before),
        x_of((course.ended_at - started_at) / span),
        _y(course.after),
        look,
        mark,
        course.hint,
    )


def _times(span: float) -> list[Tick]:
    step = next((step for step in STEPS if span / step <= MAX_TICKS), STEPS[-1])
    count = min(int(span / step), MAX_TICKS)
    return [Tick(x_of(at * step / span), _time(at * step)) for at in range(count + 1)]


def _time(seconds: float) -> str:
    """Return a time since the start in the largest unit of which it is a whole number."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:,.0f} {unit}"
    if seconds >= 3_600:
        return f"{seconds // 3_600:.0f}:{seconds % 3_600 // 60:02.0f} h"
    return f"{seconds:.3g} s" if seconds else "0"


def _description(record: Record, span: float) -> str:
    count = record.usage.slices_begun
    slices = "1 slice" if count == 1 else f"{count:,} slices"
    progress = record.progress_if_known(record.progress)
    done = "" if progress is None else f"{percent(progress)} after "
    return f"{done}{slices} in {duration(span)}."


def x_of(share: float) -> float:
    """Return where a share of the time axis is."""
    return round(LEFT + (WIDTH - LEFT - RIGHT) * share, 1)


def _y(share: float) -> float:
    return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share, 1)

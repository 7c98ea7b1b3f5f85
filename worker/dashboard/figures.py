"""A kernel's own figures as SVG: each a line over the time axis of the job's course."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from outlast.checkpoint.view import rounded
from outlast.worker.dashboard.plot import x_of

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record
    from outlast.worker.dashboard.plot import Plot

# In the drawing's own units, as in `plot.py`.
HEIGHT, MARGIN = 64.0, 6.0


class Figure(NamedTuple):
    """One figure: what it is, between which values it was, and the points of its line."""

    name: str
    value: str
    low: str
    high: str
    points: str


def figures_of(record: Record, plot: Plot | None) -> list[Figure]:
    """Return the figures of the newest checkpoint, with their course at the ends of slices."""
    return [_figure(record, plot, name) for name in record.metrics]


def _figure(record: Record, plot: Plot | None, name: str) -> Figure:
    newest = record.checkpoints[0]
    measured = [(at, m[name]) for at, m in record.history.figures if name in m]
    if not measured or measured[-1][0] < newest.saved_at:
        measured.append((newest.saved_at, newest.metrics[name]))
    values = [value for _, value in measured]
    low, high = min(values), max(values)
    points = []
    if plot is not None and len(measured) > 1:
        for at, value in measured:
            share = min(max((at - plot.started_at) / plot.span, 0.0), 1.0)
            points.append(f"{x_of(share)},{_y(value, low, high)}")
    return Figure(name, rounded(values[-1]), rounded(low), rounded(high), " ".join(points))


def _y(value: float, low: float, high: float) -> float:
    # Halved, as the difference of the largest floats is infinite.
    share = (value / 2 - low / 2) / (high / 2 - low / 2) if high / 2 > low / 2 else 0.5
    return round(HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * share, 1)

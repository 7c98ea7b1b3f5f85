"""How fast a job gets on, and when it should be done."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record

# Long enough to even out steps of different length, short enough to follow a change of speed.
WINDOW_SECONDS = 15.0
# A tenth of a percent: a speed below it is shown in the next longer unit of time.
LEAST_SHARE = 0.001


class Rate:
    """The speed over the last seconds."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, float]] = deque()

    def saw(self, progress: float, now: float) -> None:
        """Add that `progress`, 0 to 1, was reached at `now`, in seconds of any clock."""
        points = self._points
        if points and progress < points[-1][1]:
            points.clear()  # Work is done again: the time before says nothing.
        points.append((now, progress))
        while now - points[0][0] > WINDOW_SECONDS and len(points) > 2:
            points.popleft()

    @property
    def per_second(self) -> float | None:
        """Progress in a second, 0 to 1; None while it is unknown."""
        if len(self._points) < 2:
            return None
        (begun, first), (now, last) = self._points[0], self._points[-1]
        return (last - first) / (now - begun) if now > begun and last > first else None

    @property
    def seconds_left(self) -> float | None:
        """The time until the end at this speed; None while it is unknown."""
        rate = self.per_second
        return None if rate is None else (1 - self._points[-1][1]) / rate

    def seconds_left_at(self, now: float) -> float | None:
        """Return the time until the end, counted from `now`, by the same clock as the points."""
        left = self.seconds_left
        return None if left is None else max(left - (now - self._points[-1][0]), 0.0)

    def __str__(self) -> str:
        return pace_of(self.per_second, self.seconds_left)


def pace_of(per_second: float | None, seconds_left: float | None) -> str:
    """Return a speed and the time until the end as people read them; None: it is not known."""
    if per_second is None or seconds_left is None:
        return "speed not known yet"
    return f"{speed(per_second)}, {clock_time(seconds_left)} left"


def rate_of(record: Record) -> Rate:
    """Return how fast the stored progress of a job has grown lately.

    Time in which nobody worked counts only where it falls between the last points.
    """
    points = []
    before = 0.0
    for stretch in record.history.stretches:
        points += [(stretch.began_at, before), (stretch.ended_at, stretch.progress)]
        before = stretch.progress
    if record.lease:
        points.append((record.lease.claimed_at, before))
    points += [(checkpoint.saved_at, checkpoint.progress) for checkpoint in record.checkpoints]
    rate = Rate()
    for now, progress in sorted(points):
        rate.saw(progress, now)
    return rate


def speed(per_second: float) -> str:
    """Return a share of the work in a second as people read it: "2 %/s", or "0.36 %/h"."""
    units = ((1, "s"), (60, "min"), (3_600, "h"), (86_400, "d"))
    fitting = (unit for unit in units if per_second * unit[0] >= LEAST_SHARE)
    seconds, name = next(fitting, units[-1])
    percent = 100 * seconds * per_second
    # Two significant digits, and never an exponent: 1e+02 is 100.
    return f"{percent:,.0f} %/{name}" if percent >= 10 else f"{percent:.2g} %/{name}"


def clock_time(seconds: float) -> str:
    """Return a duration as 1:05 or 2:03:05, or in days."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    if hours > 48:
        return f"{hours / 24:,.1f} days"
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"

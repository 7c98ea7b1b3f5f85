"""How fast a job gets on, and when it should be done."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record

# Long enough to even out steps of different length, short enough to follow a change of speed.
WINDOW_SECONDS = 15.0
# A tenth of a percent: less of it in a second is told by the minute, and so on.
LEAST_SHARE = 0.001


class Rate:
    """The speed over the last seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float]] = deque()

    def saw(self, progress: float, now: float) -> None:
        """Take note that `progress`, 0 to 1, was reached at `now`, in seconds by any clock."""
        seen = self._seen
        if seen and progress < seen[-1][1]:
            seen.clear()  # Work is being done again: the time before says nothing.
        seen.append((now, progress))
        while now - seen[0][0] > WINDOW_SECONDS and len(seen) > 2:
            seen.popleft()

    @property
    def per_second(self) -> float | None:
        """Progress in a second; None while it is unknown."""
        if len(self._seen) < 2:
            return None
        (begun, first), (now, last) = self._seen[0], self._seen[-1]
        return (last - first) / (now - begun) if now > begun and last > first else None

    @property
    def seconds_left(self) -> float | None:
        """The time until the end at this speed; None while it is unknown."""
        rate = self.per_second
        return None if rate is None else (1 - self._seen[-1][1]) / rate

    def __str__(self) -> str:
        rate, left = self.per_second, self.seconds_left
        if rate is None or left is None:
            return "speed not known yet"
        return f"{speed(rate)}, {clock_time(left)} left"


def rate_of(record: Record) -> Rate:
    """Return the speed of the stored progress lately, from what is stored of a job.

    The time during which nobody worked counts no more than what falls between the last points.
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
    """Return a share of the work in a second, by the unit in which it is not too small to read."""
    units = ((1, "s"), (60, "min"), (3_600, "h"), (86_400, "d"))
    fitting = (unit for unit in units if per_second * unit[0] >= LEAST_SHARE)
    seconds, name = next(fitting, units[-1])
    percent = 100 * seconds * per_second
    # Two digits that count, and never an exponent: 1e+02 is 100.
    return f"{percent:,.0f} %/{name}" if percent >= 10 else f"{percent:.2g} %/{name}"


def clock_time(seconds: float) -> str:
    """Return a duration as 1:05 or 2:03:05, or in days."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    if hours > 48:
        return f"{hours / 24:,.1f} days"
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"

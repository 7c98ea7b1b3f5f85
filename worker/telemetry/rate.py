"""How fast a job gets on, and when it should be done."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from outlast.checkpoint.head import Head

# A tenth of a percent: a speed below it is shown in the next longer unit of time.
LEAST_SHARE = 0.001
# The whole work in thirty years, or in a nanosecond: beyond is no speed that anybody has measured.
SLOWEST_PER_SECOND, FASTEST_PER_SECOND = 1e-9, 1e9


class Rate(NamedTuple):
    """How fast a job gets on.

    Attributes:
        per_second: progress in a second, 0 to 1; None: it is not known.
        seconds_left: the time until the end at this speed; None: it is not known.
    """

    per_second: float | None = None
    seconds_left: float | None = None

    def __str__(self) -> str:
        return pace_of(self.per_second, self.seconds_left)


def rate_at(progress: float, per_second: float, *, since_seconds: float = 0.0) -> Rate:
    """Return the rate of what had this progress so many seconds ago, and has gone on since.

    0 is a speed that is not known, as is one that cannot be: a record may have been forged.
    """
    if not SLOWEST_PER_SECOND <= per_second <= FASTEST_PER_SECOND:
        return Rate()
    return Rate(per_second, max((1 - progress) / per_second - since_seconds, 0.0))


def rate_of(job: Head, now: float | None = None) -> Rate:
    """Return how fast a job gets on by what is stored of it; `now`: see `unsaved_seconds`."""
    since = 0.0 if now is None else unsaved_seconds(job, now)
    return rate_at(job.progress, job.pace.per_second, since_seconds=since)


def unsaved_seconds(job: Head, now: float) -> float:
    """Return for how long a worker has advanced the job at `now` since it was last saved.

    It is no longer than the work that is at risk there: beyond that, nobody knows.
    """
    if job.lease is None:
        return 0.0
    saved_at = job.checkpoints[0].saved_at if job.checkpoints else 0.0
    since = now - max(job.lease.claimed_at, saved_at)
    return min(max(since, 0.0), job.lease.at_risk_seconds)


def pace_of(per_second: float | None, seconds_left: float | None) -> str:
    """Return a speed and the time until the end as people read them; None: it is not known."""
    if per_second is None or seconds_left is None:
        return "speed not known yet"
    return f"{speed(per_second)}, {clock_time(seconds_left)} left"


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

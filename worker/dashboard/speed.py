"""How fast a job gets on, by what its record says of its latest slices."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from checkpoint.record import Status
from worker.dashboard.words import duration

if TYPE_CHECKING:
    from checkpoint.record import Record

# So many slices even out what differs between two, and follow a change of worker.
LATEST = 4
# Below this, one more digit of the percentage would be all that there is to see.
PER_MINUTE_FROM = 0.001
PER_HOUR_FROM = 0.001 / 60


class Speed(NamedTuple):
    """Progress in a second of wall time, waiting between slices included, and what it leaves."""

    per_second: float
    seconds_left: float

    @property
    def rate(self) -> str:
        """The speed by the unit that suits it."""
        for factor, unit, least in (
            (1, "s", PER_MINUTE_FROM),
            (60, "min", PER_HOUR_FROM),
            (3_600, "h", 0.0),
        ):
            if self.per_second >= least:
                return f"{100 * factor * self.per_second:.2g} %/{unit}"
        return ""

    @property
    def left(self) -> str:
        """The time until the end."""
        return duration(self.seconds_left)


def speed_of(record: Record) -> Speed | None:
    """Return the speed of a job that runs; None while it does not, or nothing is known.

    It is that between the oldest and the newest moment, of the latest slices and checkpoints, for
    which it is known how far the job was. A time that it was paused does not count.
    """
    if record.status is not Status.RUNNING:
        return None
    seen = [(c.saved_at, c.progress) for c in record.checkpoints if c.saved_at >= record.created_at]
    for stretch in reversed(record.history[-LATEST:]):
        if stretch.ending == "paused":
            break
        seen.append((stretch.ended_at, stretch.progress))
    if not seen:
        return None
    (begun, first), (now, last) = min(seen), max(seen)
    gained, taken = last - first, now - begun
    return Speed(gained / taken, (1 - last) * taken / gained) if gained > 0 < taken else None

"""Selects jobs by status, kernel, tags and age."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from outlast.checkpoint.head import Head

UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)([smhdw])", re.ASCII)


@dataclass(frozen=True)
class Selection:
    """A filter for jobs; without arguments it takes all.

    Attributes:
        statuses: the job has one of these; empty: any.
        kernel: the job's kernel; None: any.
        tags: the job has all of these.
        older_than_seconds, newer_than_seconds: how long ago the job was last written; None: any
            time. A job that is over is not written again, so its age is the time since its end.
    """

    statuses: AbstractSet[str] = frozenset()
    kernel: str | None = None
    tags: AbstractSet[str] = frozenset()
    older_than_seconds: float | None = None
    newer_than_seconds: float | None = None

    def takes(self, record: Head, now: float) -> bool:
        """Whether the job is selected, at `now` in seconds since the epoch."""
        age = now - record.updated_at
        return (
            (not self.statuses or record.status in self.statuses)
            and (self.kernel is None or record.kernel == self.kernel)
            and self.tags <= set(record.tags)
            and (self.older_than_seconds is None or age > self.older_than_seconds)
            and (self.newer_than_seconds is None or age < self.newer_than_seconds)
        )


def parse_duration(text: str) -> float:
    """Return the seconds in `text`: 90s, 15m, 1.5h, 7d or 2w.

    Raises:
        ValueError: it has another form.
    """
    match = DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is no duration: write 90s, 15m, 12h, 7d or 2w")
    return float(match[1]) * UNIT_SECONDS[match[2]]


def format_duration(seconds: float) -> str:
    """Return a duration as `parse_duration` reads it, in the largest unit that fits."""
    units = sorted(UNIT_SECONDS.items(), key=lambda unit: -unit[1])
    unit, size = next((u for u in units if seconds and seconds % u[1] == 0), ("s", 1))
    return f"{seconds / size:.15g}{unit}"

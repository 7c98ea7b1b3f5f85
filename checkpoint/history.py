"""What became of a job's slices: where each ran, for how long, how far it came and why it ended.

A record must stay small, however many slices a job takes. So the history holds stretches: the
latest are single slices, and when there are too many of them the older ones are merged in pairs,
which keeps the whole course of the job in view. What the slices cost is not merged but summed, by
platform.

In a record a stretch is a line of text, as only people read it: a worker, which reads and writes a
record several times a slice, is not to pay for their parts. A line that cannot be read is left out.
"""

from __future__ import annotations

import json
from typing import Annotated, Self

from pydantic import Field

from outlast.checkpoint.fields import Count, Moment, Number, Part, Platform, Seconds, Share

LONGEST = 32
MOST_PLATFORMS = 16
OTHER = "other"
ENDING_CHARACTERS = 200
WORKER_CHARACTERS = 80

Line = Annotated[str, Field(max_length=4096)]


class Stretch(Part):
    """One slice, or several in a row.

    Attributes:
        first: the number of its first slice.
        slices: how many it has.
        platform: where the last of them ran, for example "lambda/arm64/1769" or "local".
        worker: who ran the last of them.
        began_at, ended_at: from the claim of the first to the release of the last; for one that
            was lost, the latest that it can have lived.
        seconds: how long workers were occupied with them.
        progress: how far the job was at the end, stored.
        ending: why the last of them ended: "deadline", a signal's name, "paused", "succeeded",
            "lost" for a worker that died, or an error.
    """

    first: Number
    slices: Count = 1
    platform: Platform
    worker: str
    began_at: Moment
    ended_at: Moment
    seconds: Seconds
    progress: Share
    ending: str

    def merged(self, later: Self) -> Self:
        """Return this stretch and the next one as one."""
        changes = {
            "first": self.first,
            "slices": self.slices + later.slices,
            "began_at": self.began_at,
            "seconds": self.seconds + later.seconds,
        }
        return later.model_copy(update=changes)

    @property
    def line(self) -> str:
        """This stretch as a record keeps it: a JSON array of its values."""
        return json.dumps(list(self.model_dump().values()), separators=(",", ":"))


class Usage(Part):
    """What the slices on one platform took.

    Attributes:
        slices: how many ended there.
        seconds: how long workers were occupied with them, from the claim to the release.
    """

    slices: Count = 0
    seconds: Seconds = 0.0


def read(lines: tuple[str, ...]) -> tuple[Stretch, ...]:
    """Return the stretches that `lines` hold."""
    found = (_read(line) for line in lines)
    return tuple(stretch for stretch in found if stretch is not None)


def extended(lines: tuple[str, ...], stretch: Stretch) -> tuple[str, ...]:
    """Return `lines` with one more slice, merging the older half if there are too many."""
    longer = (*lines, stretch.line)
    if len(longer) <= LONGEST:
        return longer
    older, latest = read(longer[: LONGEST // 2]), longer[LONGEST // 2 :]
    even = len(older) // 2 * 2  # One may be left over, where a line could not be read.
    pairs = zip(older[:even:2], older[1:even:2], strict=True)
    merged = [*(first.merged(second) for first, second in pairs), *older[even:]]
    return (*(stretch.line for stretch in merged), *latest)


def added(usage: dict[str, Usage], platform: str, seconds: float) -> dict[str, Usage]:
    """Return `usage` with one more slice; beyond so many platforms they are counted as one."""
    name = platform if platform in usage or len(usage) < MOST_PLATFORMS else OTHER
    before = usage.get(name, Usage())
    more = {"slices": before.slices + 1, "seconds": before.seconds + seconds}
    return usage | {name: before.model_copy(update=more)}


def _read(line: str) -> Stretch | None:
    try:
        return Stretch.model_validate(
            dict(zip(Stretch.model_fields, json.loads(line), strict=True))
        )
    except (TypeError, ValueError):  # which all that pydantic raises is
        return None

"""What became of a job's slices: where each ran, for how long, how far it came and why it ended.

A record must stay small, however many slices a job takes. So the history holds stretches: the
latest are single slices, and when there are too many of them the older ones are merged in pairs,
which keeps the whole course of the job in view. What the slices cost is not merged but summed, by
platform: see `Usage`.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple, Self

from pydantic import ConfigDict, Field, TypeAdapter

from outlast.checkpoint.fields import Count, Metrics, Moment, Number, Part, Platform, Seconds, Share

MAX_ROWS = 32
ENDING_CHARACTERS = 200
WORKER_CHARACTERS = 80


class Stretch(NamedTuple):
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
    slices: Count
    platform: Platform
    worker: Annotated[str, Field(max_length=WORKER_CHARACTERS)]
    began_at: Moment
    ended_at: Moment
    seconds: Seconds
    progress: Share
    ending: Annotated[str, Field(max_length=ENDING_CHARACTERS)]

    def merged(self, later: Self) -> Self:
        """Return this stretch and the next one as one."""
        return later._replace(
            first=self.first,
            slices=self.slices + later.slices,
            began_at=self.began_at,
            seconds=self.seconds + later.seconds,
        )


_STRETCH = TypeAdapter(Stretch, config=ConfigDict(defer_build=True))

# A stretch before it was validated.
Value = Annotated[float, Field(allow_inf_nan=False)]
Row = tuple[int, int, str, str, Value, Value, Value, Value, str]


class History(Part):
    """The stretches of a job, oldest first.

    Only people read them. A worker reads and writes the record several times a slice, so it keeps
    each stretch as a plain row: as models they would cost a short slice a tenth.

    Attributes:
        rows: one for each stretch.
        figures: the kernel's own figures at the ends of slices, each with its time; the older ones
            are thinned out.
    """

    rows: Annotated[tuple[Row, ...], Field(max_length=MAX_ROWS)] = ()
    figures: Annotated[tuple[tuple[Moment, Metrics], ...], Field(max_length=MAX_ROWS)] = ()

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        """The stretches; one with forged values is left out."""
        stretches = (_stretch(row) for row in self.rows)
        return tuple(stretch for stretch in stretches if stretch is not None)

    @property
    def latest(self) -> Stretch | None:
        """The newest stretch; None while no slice has ended."""
        return _stretch(self.rows[-1]) if self.rows else None

    def extended(self, stretch: Stretch) -> Self:
        """Return the history with one more slice; the older half is merged if it grows too long."""
        rows = (*self.rows, stretch)
        if len(rows) > MAX_ROWS:
            half = MAX_ROWS // 2
            rows = (*_merged_in_pairs(rows[:half]), *rows[half:])
        return self.model_copy(update={"rows": rows})

    def measured(self, at: float, metrics: dict[str, float]) -> Self:
        """Return the history with the figures of a checkpoint, unless it has them or none."""
        if not metrics or (self.figures and self.figures[-1][0] == at):
            return self
        figures = (*self.figures, (at, metrics))
        if len(figures) > MAX_ROWS:
            half = MAX_ROWS // 2
            figures = (*figures[:half:2], *figures[half:])
        return self.model_copy(update={"figures": figures})


def _merged_in_pairs(rows: tuple[Row, ...]) -> list[Stretch]:
    stretches = History(rows=rows).stretches
    even = len(stretches) // 2 * 2  # One may be left over, where a row could not be read.
    pairs = zip(stretches[:even:2], stretches[1:even:2], strict=True)
    return [*(first.merged(second) for first, second in pairs), *stretches[even:]]


def _stretch(row: Row) -> Stretch | None:
    try:
        return _STRETCH.validate_python(row)
    except ValueError:  # which all that pydantic raises is
        return None

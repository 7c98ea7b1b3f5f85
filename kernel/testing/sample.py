"""A sample of the safe points of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from outlast.kernel.testing.stored import Stored


class Point(NamedTuple):
    """A safe point: its number, from 1 on, and the state there."""

    number: int
    state: Stored

    def __str__(self) -> str:
        return f"safe point {self.number}, {self.state}"


class Sample:
    """At most `max_points` of all safe points, evenly spread, and the last one.

    Attributes:
        stride: the sample has one of so many safe points.
        count: how many safe points there are in all.
    """

    def __init__(self, max_points: int) -> None:
        self._max_points = max(max_points, 2)
        self._kept: list[Point] = []
        self._last: list[Point] = []
        self.stride = 1
        self.count = 0

    def add(self, state: Stored) -> None:
        """Count the next safe point, and keep it if it is due."""
        self.count += 1
        self._last = [Point(self.count, state)]
        if self.count % self.stride == 0:
            self._kept += self._last
        if len(self._kept) > self._max_points:
            self._kept = self._kept[1::2]
            self.stride *= 2

    @property
    def points(self) -> list[Point]:
        """The points of the sample, in order."""
        return self._kept if self._kept[-1:] == self._last else self._kept + self._last

    @property
    def description(self) -> str:
        """Which safe points are in the sample, for people to read."""
        each = "each" if self.stride == 1 else f"every {self.stride}th"
        return f"{each} of its {self.count} safe points"

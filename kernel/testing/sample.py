"""Some of the safe points of a run, and how they are shown."""

from __future__ import annotations

from typing import NamedTuple

SHOWN_CHARACTERS = 300


class Point(NamedTuple):
    """A safe point: its number, from 1 on, and the state's JSON."""

    number: int
    text: str

    def __str__(self) -> str:
        return f"safe point {self.number}, {shown(self.text)}"


class Sample:
    """Some of many safe points: at most `most`, evenly spread, and the last."""

    def __init__(self, most: int) -> None:
        self._most = max(most, 2)
        self._kept: list[Point] = []
        self._last: list[Point] = []
        self.stride = 1
        self.count = 0

    def take(self, text: str) -> None:
        """Consider the next safe point."""
        self.count += 1
        self._last = [Point(self.count, text)]
        if self.count % self.stride == 0:
            self._kept += self._last
        if len(self._kept) > self._most:
            self._kept = self._kept[1::2]
            self.stride *= 2

    @property
    def points(self) -> list[Point]:
        """Those that were kept, in order."""
        return self._kept if self._kept[-1:] == self._last else self._kept + self._last

    @property
    def stops(self) -> str:
        """Where a run is interrupted, for people to read."""
        each = "each" if self.stride == 1 else f"every {self.stride}th"
        return f"{each} of its {self.count} safe points"


def shown(value: object) -> str:
    """Return the value, no longer than a line or two."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"

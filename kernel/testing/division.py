"""Ways to cut a row of pieces into parts, and to combine what these come to."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    # Where to divide a row of so many partials in two, each at least one long.
    Split = Callable[[int], int]

# Up to so many pieces are also tried each for itself.
FEW_PIECES = 64
MOST_RANDOM_CUTS = 12
PARTS_BY_SHARE = 5
CUTS_SHOWN = 6
LEFT_TO_RIGHT = "from left to right"


class Part(NamedTuple):
    """The pieces first to last - 1."""

    first: int
    last: int

    def __str__(self) -> str:
        end = self.last - 1
        return f"piece {end}" if end == self.first else f"pieces {self.first} to {end}"


class Division(NamedTuple):
    """Where the parts begin and, last, how many pieces there are, such as (0, 5, 12)."""

    bounds: tuple[int, ...]

    @property
    def parts(self) -> list[Part]:
        """The parts, in order."""
        return [Part(*ends) for ends in pairwise(self.bounds)]

    @property
    def cuts(self) -> tuple[int, ...]:
        """The first piece of each part but the first one."""
        return self.bounds[1:-1]

    def __str__(self) -> str:
        if not self.cuts:
            return f"all pieces, of which there are {self.bounds[-1]}, in one part"
        shown = ", ".join(map(str, self.cuts[:CUTS_SHOWN]))
        more = ", …" if len(self.cuts) > CUTS_SHOWN else ""
        return f"{self.bounds[-1]} pieces, cut at {shown}{more}"


def ways_to_cut(
    pieces: int, piece_at: Callable[[float], int], most: int, random: Random
) -> list[Division]:
    """Return at most so many ways to cut the pieces; the first one is not to cut them.

    `piece_at` tells before which piece a share of the work lies.
    """
    shares = [number / PARTS_BY_SHARE for number in range(1, PARTS_BY_SHARE)]
    ways = [
        [],
        [piece_at(share) for share in shares],
        [1, pieces - 1],
        range(1, pieces if pieces <= FEW_PIECES else 1),
    ]
    for _ in range(most):
        count = min(random.randint(1, MOST_RANDOM_CUTS), pieces - 1)
        ways.append(random.sample(range(1, pieces), count))
    bounds = (tuple(sorted({0, *cuts, pieces})) for cuts in ways)
    return [Division(found) for found in dict.fromkeys(bounds)][: max(most, 1)]


def groupings(random: Random) -> list[tuple[str, Split]]:
    """Return ways to combine neighbouring partials two by two, each with its name.

    The first one is from left to right.
    """
    at_random = ("at random", lambda count: random.randrange(1, count))
    return [
        (LEFT_TO_RIGHT, lambda count: count - 1),
        ("from right to left", lambda _: 1),
        ("in halves", lambda count: count // 2),
        *[at_random] * 3,
    ]

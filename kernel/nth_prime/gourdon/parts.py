"""How a computation of π(x) is divided, and how its parts come together. It imports no numpy.

The pieces of a division are those of all terms, one term after the other. Σ is one; of Φ0 it is a
span of m, of A + C and D a row of a segment, of B a segment. A + C and D have all of them again for
each window of m. Where the pieces of one term, or window, follow each other they are a *stretch*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from outlast.kernel.nth_prime.gourdon import riemann
from outlast.kernel.nth_prime.gourdon.bounds import PHI0_SPAN, bounds_of
from outlast.kernel.nth_prime.gourdon.state import (
    CountingSum,
    Division,
    TermName,
    TermSum,
    WrongState,
)

if TYPE_CHECKING:
    from collections.abc import Iterable


class Stretch(NamedTuple):
    """The pieces first to last - 1 of one term, and one window where it has several.

    Attributes:
        begin: what must be added to the number of a piece among all of the division.
    """

    term: TermName
    window: int
    first: int
    last: int
    begin: int


def whole(division: Division) -> list[Stretch]:
    """Return all stretches, in order."""
    bounds = bounds_of(division)
    pieces: list[tuple[TermName, int, int]] = [
        ("sigma", 0, 1),
        ("phi0", 0, division.y // PHI0_SPAN + 1),
        *(("ac", i, bounds.ac_segments * division.ac_rows) for i in range(bounds.windows)),
        ("b", 0, bounds.b_segments),
        *(("d", i, bounds.d_segments(i) * division.d_rows) for i in range(bounds.windows)),
    ]
    stretches = []
    begin = 0
    for term, window, count in pieces:
        stretches.append(Stretch(term, window, 0, count, begin))
        begin += count
    return stretches


def pieces_of(division: Division) -> int:
    """Return how many pieces there are."""
    last = whole(division)[-1]
    return last.begin + last.last


def stretches(division: Division, first: int, last: int) -> list[Stretch]:
    """Return the stretches of the pieces first to last - 1, in order.

    Raises:
        WrongState: there are no such pieces.
    """
    pieces = pieces_of(division)
    if not 0 <= first < last <= pieces:
        raise WrongState(f"π({division.x}) has {pieces} pieces, not those from {first} to {last}")
    clipped = [
        one._replace(first=max(first - one.begin, 0), last=min(last - one.begin, one.last))
        for one in whole(division)
    ]
    return [one for one in clipped if one.first < one.last]


_RANGES = {"sigma": (0, 0), "phi0": (0, 0), "ac": (1, 1), "b": (1, 1)}


def check(division: Division, sums: Iterable[TermSum], parts: Iterable[Stretch]) -> None:
    """Do nothing if there is a sum for each of these stretches, as long as it can be.

    Raises:
        WrongState: it is not so. Compiled code does not check what it is given.
    """
    sums, parts = list(sums), list(parts)
    if len(sums) != len(parts) or not all(
        _fits(division, one, part) for one, part in zip(sums, parts, strict=True)
    ):
        raise WrongState(f"a part of π({division.x}) that is of other pieces than it says")


def _fits(division: Division, one: TermSum, part: Stretch) -> bool:
    least, most = _RANGES.get(part.term, (1, division.d_rows))
    # What begins a term lacks nothing, but for B.
    lacks = part.first > 0 or part.term == "b"
    weights = least <= len(one.weights) <= most if lacks else not one.weights
    counts = least <= len(one.counts) <= most
    return (one.term, one.window) == (part.term, part.window) and weights and counts


def combine(division: Division, a: CountingSum, b: CountingSum) -> CountingSum:
    """Return what two neighbouring ranges of pieces come to.

    Raises:
        WrongState: they are damaged, or of another computation, or no neighbours.
    """
    for one in (a, b):
        check(division, one.sums, stretches(division, one.first, one.last))
    if a.last != b.first:
        raise WrongState(f"parts of π({division.x}) that end at {a.last} and begin at {b.first}")
    # Not at the top: whoever only asks where the pieces are needs no numpy.
    from outlast.kernel.nth_prime.gourdon.term import fuse, loaded, stored

    left, right = a.sums[-1], b.sums[0]
    middle: tuple[TermSum, ...] = (left, right)
    if (left.term, left.window) == (right.term, right.window):
        stretch = stretches(division, a.first, a.last)[-1]
        middle = (stored(stretch, fuse(loaded(left), loaded(right))),)
    return CountingSum(first=a.first, last=b.last, sums=(*a.sums[:-1], *middle, *b.sums[1:]))


def counted(division: Division, total: CountingSum) -> int:
    """Return π(x) = A - B + C + D + Φ0 + Σ, where `total` is what all pieces come to.

    Raises:
        WrongState: it is damaged, or not of all pieces.
        WrongSum: the count fails its check.
    """
    pieces = pieces_of(division)
    if (total.first, total.last) != (0, pieces):
        raise WrongState(f"a total of π({division.x}) that is not of all {pieces} pieces")
    check(division, total.sums, whole(division))
    a_plus_c, b, d, phi0, sigma = terms(total)
    return riemann.lift(a_plus_c - b + d + phi0 + sigma, division.x)


class Terms(NamedTuple):
    """The terms of the formula, modulo 2^64 or not."""

    a_plus_c: int
    b: int
    d: int
    phi0: int
    sigma: int


def terms(total: CountingSum) -> Terms:
    """Return the value of each term, where `total` is what all pieces come to."""
    first = {one.term: one for one in reversed(total.sums)}
    root = first["ac"].counts[0]  # s = π(√x): A + C have counted all primes up to √x, …
    return Terms(
        a_plus_c=sum(one.total for one in total.sums if one.term == "ac"),
        b=first["b"].total + first["b"].weights[0] * root,  # … which B lacks, …
        d=sum(one.total for one in total.sums if one.term == "d"),
        phi0=first["phi0"].total,
        sigma=first["sigma"].total + root * (root - 1) // 2,  # … and Σ.
    )

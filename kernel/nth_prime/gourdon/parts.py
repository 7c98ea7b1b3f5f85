"""How a computation of π(x) is divided, and how its parts come together. It imports no numpy.

The pieces of a division are those of all terms, one term after the other. Σ is one; of Φ0 it is a
span of m, of A + C and D a row of a segment, of B a segment. A + C and D have all of them again for
each window of m. Where the pieces of one term, or window, follow each other they are a *stretch*.

A count that is checked has several divisions, one after the other, which come to the same.
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

    Divisions = tuple[Division, ...]


class Stretch(NamedTuple):
    """The pieces first to last - 1 of one term, and one window where it has several.

    Attributes:
        division: which of the divisions.
        begin: what must be added to the number of a piece among all.
    """

    division: int
    term: TermName
    window: int
    first: int
    last: int
    begin: int


def whole(divisions: Divisions) -> list[Stretch]:
    """Return all stretches, in order."""
    stretches = []
    begin = 0
    for i, division in enumerate(divisions):
        for term, window, count in _terms(division):
            stretches.append(Stretch(i, term, window, 0, count, begin))
            begin += count
    return stretches


def _terms(division: Division) -> list[tuple[TermName, int, int]]:
    """Return each term, each window of it, and how many pieces it has."""
    bounds = bounds_of(division)
    return [
        ("sigma", 0, 1),
        ("phi0", 0, division.y // PHI0_SPAN + 1),
        *(("ac", i, bounds.ac_segments * division.ac_rows) for i in range(bounds.windows)),
        ("b", 0, bounds.b_segments),
        *(("d", i, bounds.d_segments(i) * division.d_rows) for i in range(bounds.windows)),
    ]


def pieces_of(divisions: Divisions) -> int:
    """Return how many pieces there are."""
    last = whole(divisions)[-1]
    return last.begin + last.last


def stretches(divisions: Divisions, first: int, last: int) -> list[Stretch]:
    """Return the stretches of the pieces first to last - 1, in order.

    Raises:
        WrongState: there are no such pieces.
    """
    pieces = pieces_of(divisions)
    if not 0 <= first < last <= pieces:
        raise WrongState(
            f"π({divisions[0].x}) has {pieces} pieces, not those from {first} to {last}"
        )
    clipped = [
        one._replace(first=max(first - one.begin, 0), last=min(last - one.begin, one.last))
        for one in whole(divisions)
    ]
    return [one for one in clipped if one.first < one.last]


_RANGES = {"sigma": (0, 0), "phi0": (0, 0), "ac": (1, 1), "b": (1, 1)}


def check(divisions: Divisions, sums: Iterable[TermSum], parts: Iterable[Stretch]) -> None:
    """Do nothing if there is a sum for each of these stretches, as long as it can be.

    Raises:
        WrongState: it is not so. Compiled code does not check what it is given.
    """
    sums, parts = list(sums), list(parts)
    if len(sums) != len(parts) or not all(
        _fits(divisions, one, part) for one, part in zip(sums, parts, strict=True)
    ):
        raise WrongState(f"a part of π({divisions[0].x}) that is of other pieces than it says")


def _fits(divisions: Divisions, one: TermSum, part: Stretch) -> bool:
    least, most = _RANGES.get(part.term, (1, divisions[part.division].d_rows))
    # What begins a term lacks nothing, but for B.
    lacks = part.first > 0 or part.term == "b"
    weights = least <= len(one.weights) <= most if lacks else not one.weights
    counts = least <= len(one.counts) <= most
    return _place(one) == _place(part) and weights and counts


def _place(one: TermSum | Stretch) -> tuple[int, TermName, int]:
    return one.division, one.term, one.window


def combine(divisions: Divisions, a: CountingSum, b: CountingSum) -> CountingSum:
    """Return what two neighbouring ranges of pieces come to.

    Raises:
        WrongState: they are damaged, or of another computation, or no neighbours.
    """
    for one in (a, b):
        check(divisions, one.sums, stretches(divisions, one.first, one.last))
    if a.last != b.first:
        raise WrongState(
            f"parts of π({divisions[0].x}) that end at {a.last} and begin at {b.first}"
        )
    # Not at the top: whoever only asks where the pieces are needs no numpy.
    from outlast.kernel.nth_prime.gourdon.term import fuse, loaded, stored

    left, right = a.sums[-1], b.sums[0]
    middle: tuple[TermSum, ...] = (left, right)
    if _place(left) == _place(right):
        stretch = stretches(divisions, a.first, a.last)[-1]
        middle = (stored(stretch, fuse(loaded(left), loaded(right))),)
    return CountingSum(first=a.first, last=b.last, sums=(*a.sums[:-1], *middle, *b.sums[1:]))


def counted(divisions: Divisions, total: CountingSum) -> int:
    """Return π(x), where `total` is what all pieces come to.

    Raises:
        WrongState: it is damaged, or not of all pieces.
        WrongSum: the count fails its check, or two divisions come to different ones.
    """
    x, pieces = divisions[0].x, pieces_of(divisions)
    if (total.first, total.last) != (0, pieces):
        raise WrongState(f"a total of π({x}) that is not of all {pieces} pieces")
    check(divisions, total.sums, whole(divisions))
    counts = []
    for i in range(len(divisions)):
        a_plus_c, b, d, phi0, sigma = terms(one for one in total.sums if one.division == i)
        counts.append(riemann.lift(a_plus_c - b + d + phi0 + sigma, x))
    if len({*counts}) > 1:
        ways = ", ".join(
            f"{count} with y = {division.y}"
            for count, division in zip(counts, divisions, strict=True)
        )
        raise riemann.WrongSum(f"π({x}) comes to {ways}: submit it again as another job")
    return counts[0]


class Terms(NamedTuple):
    """The terms of the formula, modulo 2^64 or not."""

    a_plus_c: int
    b: int
    d: int
    phi0: int
    sigma: int


def terms(sums: Iterable[TermSum]) -> Terms:
    """Return the value of each term of a division, from the sums of all its stretches."""
    sums = list(sums)
    first = {one.term: one for one in reversed(sums)}
    root = first["ac"].counts[0]  # s = π(√x): A + C have counted all primes up to √x, …
    return Terms(
        a_plus_c=sum(one.total for one in sums if one.term == "ac"),
        b=first["b"].total + first["b"].weights[0] * root,  # … which B lacks, …
        d=sum(one.total for one in sums if one.term == "d"),
        phi0=first["phi0"].total,
        sigma=first["sigma"].total + root * (root - 1) // 2,  # … and Σ.
    )

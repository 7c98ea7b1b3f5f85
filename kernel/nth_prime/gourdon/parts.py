"""How a computation of π(x) is divided, and how its parts come together. It imports no numpy.

The pieces of a division are those of all terms, one term after the other. The whole of Σ is one
and the whole of Φ0 another: together they take a hundredth of the time. Of A + C it is a row of a
segment, as for its shards; of B a segment; of D a segment, too: a part that began in the middle of
one would have to sieve all its earlier rows again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import Field

from outlast.kernel.contract import Model
from outlast.kernel.nth_prime import plain
from outlast.kernel.nth_prime.gourdon import riemann
from outlast.kernel.nth_prime.gourdon.bounds import RANK, bounds_of
from outlast.kernel.nth_prime.gourdon.state import (
    Natural,
    Problem,
    TermName,
    TermSum,
    WrongState,
)

if TYPE_CHECKING:
    from collections.abc import Iterable


class Division(Problem):
    """What fixes the pieces of a computation of π(x).

    Attributes:
        ac_rows: the number of primes of A and C.
        d_rows: the number of primes of D.
    """

    ac_rows: Annotated[int, Field(ge=1)]
    d_rows: Annotated[int, Field(ge=1)]


class CountingPart(Model):
    """How far a part is.

    Attributes:
        sums: what is done, one for each term that it touches, in order.
        cursor: where the last of these sums ends: the first of the term's pieces, as its shards
            are numbered, that is not part of it; 0 while there is none.
    """

    sums: tuple[TermSum, ...] = ()
    cursor: Natural = 0


class CountingSum(Model):
    """What the pieces first to last - 1 come to.

    Attributes:
        sums: one for each term that they touch, in order; none where nothing is counted.
    """

    first: Natural
    last: Natural
    sums: tuple[TermSum, ...] = ()


class Stretch(NamedTuple):
    """The pieces first to last - 1 of one term, numbered from the term's own first, of `pieces`."""

    term: TermName
    first: int
    last: int
    pieces: int


def divide(problem: Problem) -> Division:
    """Return the division of a computation, in milliseconds."""
    bounds = bounds_of(problem)
    fixed = {name: getattr(problem, name) for name in Problem.model_fields}
    return Division(
        **fixed,
        ac_rows=len(plain.primes(bounds.cube)) - RANK,
        d_rows=len(plain.primes(bounds.star)) - RANK,
    )


def by_term(division: Division) -> dict[TermName, int]:
    """Return how many pieces each term has, in order."""
    bounds = bounds_of(division)
    return {
        "sigma": 1,
        "phi0": 1,
        "ac": bounds.ac_segments * division.ac_rows,
        "b": bounds.b_segments,
        "d": bounds.d_segments,
    }


def stretches(division: Division, first: int, last: int) -> list[Stretch]:
    """Return what of each term lies within the pieces first to last - 1, in order.

    Raises:
        WrongState: there are no such pieces.
    """
    found = []
    before = 0
    for term, pieces in by_term(division).items():
        begin, end = max(first - before, 0), min(last - before, pieces)
        if begin < end:
            found.append(Stretch(term, begin, end, pieces))
        before += pieces
    if not 0 <= first < last <= before:
        raise WrongState(f"π({division.x}) has {before} pieces, not those from {first} to {last}")
    return found


def check(division: Division, sums: Iterable[TermSum], parts: Iterable[Stretch]) -> None:
    """Do nothing if there is a sum for each of these stretches, as long as it must be.

    Raises:
        WrongState: it is not so. Compiled code does not check what it is given.
    """
    rows = {"b": 1, "d": division.d_rows}
    expected = [(part.term, rows.get(part.term, 0), rows.get(part.term, 0)) for part in parts]
    if [(one.term, len(one.weights), len(one.counts)) for one in sums] != expected:
        raise WrongState(f"a part of π({division.x}) that is of other pieces than it says")


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
    from outlast.kernel.nth_prime.gourdon.phase import fuse, loaded, stored

    left, right = a.sums[-1], b.sums[0]
    middle: tuple[TermSum, ...] = (left, right)
    if left.term == right.term:
        middle = (stored(left.term, fuse(loaded(left), loaded(right))),)
    return CountingSum(first=a.first, last=b.last, sums=(*a.sums[:-1], *middle, *b.sums[1:]))


def counted(division: Division, total: CountingSum) -> int:
    """Return π(x), where `total` is what all pieces come to.

    Raises:
        WrongState: it is damaged, or not of all pieces.
        WrongSum: the count fails its check.
    """
    pieces = sum(by_term(division).values())
    if (total.first, total.last) != (0, pieces):
        raise WrongState(f"a total of π({division.x}) that is not of all {pieces} pieces")
    check(division, total.sums, stretches(division, 0, pieces))
    return riemann.lift(sum(one.total for one in total.sums), division.x)

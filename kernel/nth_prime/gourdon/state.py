"""All that a computation of π(x) is between two shards. Importing this imports no numpy."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from outlast.kernel.contract import Model
from outlast.kernel.errors import NonRetryable

Natural = Annotated[int, Field(ge=0)]

Int64 = Annotated[int, Field(ge=-(2**63), lt=2**63)]

Residue = Annotated[int, Field(ge=0, lt=2**64)]
"""A sum modulo 2^64."""

Words = Annotated[int, Field(ge=512, multiple_of=512)]


class WrongState(NonRetryable):
    """No computation of these parameters comes to such a state: it is damaged, or of another."""


TermName = Literal["sigma", "phi0", "ac", "b", "d"]
"""The terms of the formula, in the order in which they are computed."""


class Division(Model):
    """What fixes a computation of π(x), and its pieces.

    y and the sizes are stored, as another machine's floating point might choose other ones.

    Attributes:
        x: the number whose π is wanted.
        y: the limit of the leaves.
        window: numbers in one window of the m of A + C and D.
        ac_words: words in one segment of A + C.
        b_words: words in one segment of B.
        d_words: words in one segment of D.
        ac_rows: the number of primes of A and C.
        d_rows: the number of primes of D.
    """

    x: Natural
    y: Annotated[int, Field(ge=1)]
    window: Annotated[int, Field(ge=240, multiple_of=240)]
    ac_words: Words
    b_words: Words
    d_words: Annotated[int, Field(ge=512, le=32768, multiple_of=512)]
    ac_rows: Annotated[int, Field(ge=1)]
    d_rows: Annotated[int, Field(ge=1)]


class TermSum(Model):
    """What neighbouring pieces of one term come to: `gourdon.term.Partial`, as it is stored.

    Attributes:
        division: of which computation, where there are several.
        term: which term.
        window: which window of A + C or D.
        total: the sum modulo 2^64.
        weights: how often each number that lies before must be added to it; none if nothing does.
        counts: what the pieces add to each of these numbers.
    """

    division: Natural = 0
    term: TermName
    window: Natural = 0
    total: Residue
    weights: tuple[Int64, ...] = ()
    counts: tuple[Int64, ...] = ()


class CountingPart(Model):
    """How far a range of pieces is.

    Attributes:
        sums: what is done, in order: one for each stretch of pieces that it touches.
        cursor: the first piece that is not part of them; 0 while there is none.
    """

    sums: tuple[TermSum, ...] = ()
    cursor: Natural = 0


class CountingSum(Model):
    """What the pieces first to last - 1 come to.

    Attributes:
        sums: one for each stretch that they touch, in order; none where nothing is counted.
    """

    first: Natural
    last: Natural
    sums: tuple[TermSum, ...] = ()


class Counting(Model):
    """One or more computations of the same π(x), and how far they are together."""

    divisions: Annotated[tuple[Division, ...], Field(min_length=1)]
    part: CountingPart = CountingPart()

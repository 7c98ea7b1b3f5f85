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


class WrongState(NonRetryable):
    """No computation of these parameters comes to such a state: it is damaged, or of another."""


TermName = Literal["sigma", "phi0", "ac", "b", "d"]
"""The terms of the formula, in the order in which they are computed."""


class Problem(Model):
    """What fixes a computation of π(x).

    y and the sizes are stored, as another machine's floating point might choose other ones.

    Attributes:
        x: the number whose π is wanted.
        y: the limit of the leaves.
        ac_span: numbers in one segment of A + C.
        b_words: words in one segment of B.
        d_words: words in one segment of D.
    """

    x: Natural
    y: Annotated[int, Field(ge=1)]
    ac_span: Annotated[int, Field(ge=64, multiple_of=64)]
    ac_words: Annotated[int, Field(ge=512, multiple_of=512)]
    window: Annotated[int, Field(ge=240, multiple_of=240)]
    b_words: Annotated[int, Field(ge=512, multiple_of=512)]
    d_words: Annotated[int, Field(ge=512, le=8192, multiple_of=512)]


class TermSum(Model):
    """What a range of one term's pieces comes to: `gourdon.phase.Partial`, as it is stored.

    Attributes:
        term: which term.
        total: the sum modulo 2^64.
        weights: how often each number before the range must be added to it.
        counts: what the range adds to each of these numbers.
    """

    term: TermName
    total: Residue
    weights: tuple[Int64, ...] = ()
    counts: tuple[Int64, ...] = ()


class Counting(Problem):
    """How far a computation of π(x) is.

    Attributes:
        term: which term of the formula is under way; those before are part of `total`.
        cursor: the first of the term's pieces that is not part of `total`.
        pieces: how many the term has; 0 until it has begun.
        shards: how many of its shards are part of `total`.
        total: the sum so far modulo 2^64.
        carry: what the term's reducer carries from shard to shard; empty while `cursor` is 0.
    """

    term: TermName = "sigma"
    cursor: Natural = 0
    pieces: Natural = 0
    shards: Natural = 0
    total: Residue = 0
    carry: tuple[Int64, ...] = ()

    def progress(self) -> float:
        """Return the share of the time that is over, from 0 to 1, roughly."""
        done = self.cursor / self.pieces if self.pieces else 0.0
        if self.term in _SHARDS and done < 1:
            # Leaves are densest where a sieve begins, and a shard is a number of leaves.
            done = min(self.shards / (_SHARDS[self.term] * (self.x / 1e15) ** 0.633), 1.0)
        terms = list(_TIME)
        before = sum(_TIME[term] for term in terms[: terms.index(self.term)])
        return min(before + _TIME[self.term] * done, 1.0)


# Each term's share of the time, and how many shards there are at x = 10^15: measured.
_TIME = {"sigma": 0.02, "phi0": 0.01, "ac": 0.18, "b": 0.2, "d": 0.59}
_SHARDS = {"ac": 20, "d": 24}

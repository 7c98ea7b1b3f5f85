"""What the five terms of Gourdon's formula have in common: shards, and how to add them up.

A term is a sum over *pieces*, numbered from 0. A shard is a range of pieces; its partial result
depends on nothing but the range, so shards may be computed anywhere and in any order. Where a
piece would need to know what lies before the shard (a count of primes in B, of unsieved numbers
in D), the shard counts from its own beginning instead, and reports how often each missing number
counts. The reducer, which folds the partial results in order, carries these numbers along.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from outlast.kernel.nth_prime.gourdon.bounds import Bounds
    from outlast.kernel.nth_prime.gourdon.tables import Tables

NOTHING = np.empty(0, np.int64)
NOTHING.setflags(write=False)


class Partial(NamedTuple):
    """The result of one shard. The arrays are as long as the term's carry.

    Attributes:
        total: the sum over the shard's pieces, modulo 2^64, counted from the shard's beginning.
        weights: how often each number of the carry must be added to it.
        counts: what the shard adds to each number of the carry.
    """

    total: int
    weights: NDArray[np.int64] = NOTHING
    counts: NDArray[np.int64] = NOTHING


class Term(Protocol):
    """One term. Modules implement it."""

    def pieces(self, bounds: Bounds, t: Tables) -> int:
        """Return the number of pieces."""

    def carry(self, bounds: Bounds, t: Tables) -> NDArray[np.int64]:
        """Return the numbers that a shard which begins with piece 0 is missing."""

    def cut(self, bounds: Bounds, t: Tables, first: int, last: int) -> int:
        """Return where a shard that begins with piece `first` ends: after some 10 ms of work.

        It depends on the pieces alone, and is at most `last`.
        """

    def shard(self, bounds: Bounds, t: Tables, first: int, last: int) -> Partial:
        """Return the partial result of the pieces first to last - 1."""


def fold(total: int, carry: NDArray[np.int64], part: Partial) -> tuple[int, NDArray[np.int64]]:
    """Return the total, modulo 2^64, and the carry after one more shard, the next in order."""
    missing = int(np.dot(part.weights, carry))
    return (total + part.total + missing) % 2**64, carry + part.counts

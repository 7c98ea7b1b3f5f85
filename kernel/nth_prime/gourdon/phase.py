"""What the five terms of Gourdon's formula have in common: shards, and how to add them up.

A term is a sum over *pieces*, numbered from 0. A shard is a range of pieces; its partial result
depends on nothing but the range, so shards may be computed anywhere and in any order. Where a
piece would need to know what lies before the shard (a count of primes in B, of unsieved numbers
in D), the shard counts from its own beginning instead, and reports how often each missing number
counts. Neighbouring partial results are fused, in any grouping; the one on the left knows more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from outlast.kernel.nth_prime.gourdon.state import TermSum

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from outlast.kernel.nth_prime.gourdon.bounds import Bounds
    from outlast.kernel.nth_prime.gourdon.state import TermName
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


def fuse(a: Partial, b: Partial) -> Partial:
    """Return the partial result of two neighbouring ranges, where that of `b` follows that of `a`.

    It is the same in any grouping, and so is what is computed modulo 2^64.
    """
    missing = int(np.dot(b.weights, a.counts))
    return Partial(
        (a.total + b.total + missing) % 2**64, a.weights + b.weights, a.counts + b.counts
    )


def origin(carry: NDArray[np.int64]) -> Partial:
    """Return the partial result of no piece, which `carry` belongs to: what shards are fused to.

    With a term's own carry it begins the term, and the sum lacks nothing. With zeros it begins
    anywhere.
    """
    return Partial(0, np.zeros_like(carry), carry)


def loaded(stored: TermSum) -> Partial:
    """Return a partial result that was stored."""
    weights, counts = (np.array(row, np.int64) for row in (stored.weights, stored.counts))
    return Partial(stored.total, weights, counts)


def stored(term: TermName, partial: Partial) -> TermSum:
    """Return a partial result of the term as it is stored."""
    # Not checked: thousands of numbers would take a part of each shard's time.
    return TermSum.model_construct(
        term=term,
        total=partial.total,
        weights=tuple(partial.weights.tolist()),
        counts=tuple(partial.counts.tolist()),
    )


def partial(total: int, weights: list[int], counts: list[int]) -> Partial:
    """Return a partial result of numbers of any size: all of them are taken modulo 2^64."""
    signed = [[(n + 2**63) % 2**64 - 2**63 for n in row] for row in (weights, counts)]
    return Partial(total % 2**64, *(np.array(row, np.int64) for row in signed))

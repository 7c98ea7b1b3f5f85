"""A + C: the leaves whose value is a count of primes up to x/(p·m) <= √x.

A = Σ w·π(x/(p·q)) over primes x* < p <= x^(1/3), p < q <= √(x/p); w is 1 for q <= x/(p·y), else 2.
C = -Σ μ(m)·(π(x/(p·m)) - π(p) + 2) over primes 19 < p <= x* and squarefree m without a prime
factor up to p, max(y/p, x/p³) < m <= y.

A row is one p; a segment is an interval of x/(p·m), so short that its part of the table of π
stays in the cache. The pieces are the rows of the first segment, then those of the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.kernel.nth_prime.gourdon.bounds import RANK
from outlast.kernel.nth_prime.gourdon.counted import count_to
from outlast.kernel.nth_prime.gourdon.division import quotient, square_root
from outlast.kernel.nth_prime.gourdon.phase import NOTHING, Partial
from outlast.kernel.nth_prime.gourdon.tables import composites_to
from outlast.kernel.nth_prime.jit import inner, int64, jit, uint64

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from outlast.kernel.nth_prime.gourdon.bounds import Bounds
    from outlast.kernel.nth_prime.gourdon.tables import Tables

BUDGET = 8_000_000
"""Leaves of one shard, 0.5 to 1 nanosecond each."""

# What a row costs beside its leaves, in leaves.
_ROW = 60


def pieces(bounds: Bounds, t: Tables) -> int:
    """Return the number of rows in all segments."""
    return bounds.ac_segments * t.ac_rows


def carry(bounds: Bounds, t: Tables) -> NDArray[np.int64]:  # noqa: ARG001 - nothing is missing
    """Return nothing."""
    return NOTHING


def cut(bounds: Bounds, t: Tables, first: int, last: int) -> int:
    """Return the end of the shard, by the number of leaves."""
    # The work is always less than x/y: small computations need not even compile `_cut`.
    return last if bounds.end <= BUDGET else int(_cut(bounds, t, first, last, BUDGET))


def shard(bounds: Bounds, t: Tables, first: int, last: int) -> Partial:
    """Return the sum over the pieces first to last - 1."""
    return Partial(int(_sum(bounds, t, first, last)))


@jit
def _sum(bounds: Bounds, t: Tables, first: int, last: int) -> int:
    total = int64(0)
    for piece in range(first, last):
        segment, row = divmod(piece, t.ac_rows)
        low = segment * bounds.ac_span
        least, most = _limits(bounds, t, RANK + row, low, low + bounds.ac_span)
        if least < most:
            if RANK + row < t.star:
                total += _row_of_c(t, RANK + row, least, most)
            else:
                total += _row_of_a(bounds, t, RANK + row, least, most)
    return total


@jit
def _cut(bounds: Bounds, t: Tables, first: int, last: int, budget: int) -> int:
    work = 0
    for piece in range(first, last):
        segment, row = divmod(piece, t.ac_rows)
        low = segment * bounds.ac_span
        least, most = _limits(bounds, t, RANK + row, low, low + bounds.ac_span)
        work += _ROW
        if least < most:
            leaves = count_to(t.pi, most) - count_to(t.pi, least)
            if RANK + row < t.star and int64(t.primes[RANK + row]) ** 2 < most:
                leaves += composites_to(t, most) - composites_to(t, least)
            # Large quotients need a correction, and large tables a slower cache.
            work += leaves if t.quotients[RANK + row] < 2**50 else 3 * leaves
        if work > budget:
            return piece + 1
    return last


@inner
def _limits(bounds: Bounds, t: Tables, rank: int, low: int, high: int) -> tuple[int, int]:
    """Return (least, most): the leaves in [low, high) are those with least < m <= most."""
    p = int64(t.primes[rank])
    n = t.quotients[rank]
    if rank < t.star:
        least = max(p, bounds.y // p, n // (p * p))
        most = bounds.y
    else:
        least = p
        most = square_root(n)
    least = max(least, n // high)
    if low > 0:
        most = min(most, n // low)
    return least, most


@inner
def _row_of_a(bounds: Bounds, t: Tables, rank: int, least: int, most: int) -> int:
    n = t.quotients[rank]
    first = count_to(t.pi, least)
    last = count_to(t.pi, most)
    twice = count_to(t.pi, max(least, min(most, n // bounds.y)))
    return _primes(t, n, first, twice) + 2 * _primes(t, n, twice, last)


@inner
def _row_of_c(t: Tables, rank: int, least: int, most: int) -> int:
    n = t.quotients[rank]
    first = count_to(t.pi, least)
    last = count_to(t.pi, most)
    total = _primes(t, n, first, last) + (last - first) * (1 - rank)
    if int64(t.primes[rank]) ** 2 < most:
        total += _composites(t, n, rank, composites_to(t, least), composites_to(t, most))
    return total


@inner
def _primes(t: Tables, n: int, first: int, last: int) -> int:
    """Return Σ π(n/q) over the primes q of rank first to last - 1."""
    total = int64(0)
    for i in range(uint64(first), uint64(last)):
        total += count_to(t.pi, quotient(n, t.reciprocals[i]))
    return total


@inner
def _composites(t: Tables, n: int, rank: int, first: int, last: int) -> int:
    """Return Σ -μ(m)·(π(n/m) + 1 - rank) over the composites whose factors have higher ranks."""
    total = int64(0)
    for i in range(uint64(first), uint64(last)):
        key = int64(t.composite_keys[i])
        sign = int64(key > rank) - int64(key < -rank)
        total += sign * (count_to(t.pi, quotient(n, t.composite_reciprocals[i])) + 1 - rank)
    return total

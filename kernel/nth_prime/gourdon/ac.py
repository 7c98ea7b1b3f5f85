"""A + C: the leaves whose value is a count of primes up to n = x/(p·m) <= √x.

A = Σ w·π(x/(p·q)) over primes x* < p <= x^(1/3), p < q <= √(x/p); w is 1 for q <= x/(p·y), else 2.
C = -Σ μ(m)·(π(x/(p·m)) - π(p) + 2) over primes 19 < p <= x* and squarefree m without a prime
factor up to p, max(y/p, x/p³) < m <= y.

A row is one p; a segment is an interval of n, sieved when its leaves are counted. The pieces are
the rows of the first segment, then those of the next. A shard counts primes from the segment on in
which it begins; the one number that it is missing is how many lie before. Whoever does the last
row of a segment reports how many primes it has.
"""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING

from outlast.kernel.nth_prime.gourdon.bounds import RANK
from outlast.kernel.nth_prime.gourdon.counted import count_to
from outlast.kernel.nth_prime.gourdon.interval import PrimeSieve, fill, new_table, pi
from outlast.kernel.nth_prime.gourdon.term import Partial, partial
from outlast.kernel.nth_prime.gourdon.wide import divide, square_root
from outlast.kernel.nth_prime.gourdon.window import build_window, up_to
from outlast.kernel.nth_prime.jit import int64, jit, uint64

if TYPE_CHECKING:
    from collections.abc import Generator

    import numpy as np
    from numpy.typing import NDArray

    from outlast.kernel.nth_prime.gourdon.bounds import Bounds
    from outlast.kernel.nth_prime.gourdon.rows import Rows
    from outlast.kernel.nth_prime.gourdon.window import Window

BUDGET = 16_000_000
"""Leaves that are looked up in one native call, 0.5 to 1 nanosecond each."""

# What a row costs beside its leaves, in leaves.
_ROW = 60

build = build_window


def shard(
    bounds: Bounds, rows: Rows, window: Window, first: int, last: int
) -> Generator[None, None, Partial]:
    """Return the sum over the pieces first to last - 1. Yields between native calls."""
    width = rows.ac_rows
    segment, begin = divmod(first, width)
    span = 240 * bounds.ac_words
    end_of_all = -(-last // width) * span
    sieve = PrimeSieve(rows.primes, bounds.ac_words, segment * span, end_of_all)
    table = new_table(bounds.ac_words)
    total, weight, before = 0, 0, 0
    while segment * width < last:
        low = sieve.advance()
        count = fill(table, sieve.words, low)
        yield
        end = min(last - segment * width, width)
        for alive in _alive(bounds, rows, window, low, low + span):
            at, stop = max(alive[0], RANK + begin), min(alive[1], RANK + end)
            while at < stop:
                at, local, leaves = _sum(
                    bounds, rows, window, table, low, low + span, at, stop, BUDGET
                )
                total += local + before * leaves
                weight += leaves
                yield
        if end == width:
            inside = bounds.root - low
            before += int(count_to(table, inside)) if 0 <= inside < span else count * (inside > 0)
        segment += 1
        begin = 0
    return partial(total, [weight], [before])


def _alive(
    bounds: Bounds, rows: Rows, window: Window, low: int, high: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the ranges of ranks, of C and of A, beyond which no row has leaves in [low, high)."""
    x = bounds.x
    # Why these are the ranges is proved in docs/nth-prime.md.
    largest = pi(rows.primes, isqrt(x // low)) if low else len(rows.primes)
    least = pi(rows.primes, x // ((window.high - 1) * high))
    if low and window.low:
        largest = min(largest, pi(rows.primes, x // (window.low * low)))
    least_c = max(RANK, rows.easy, pi(rows.primes, isqrt(low)))
    least_a = max(rows.star, pi(rows.primes, x // high**2))
    return (max(least, least_c), min(largest, rows.star)), (max(least, least_a), largest)


@jit
def _sum(
    bounds: Bounds,
    rows: Rows,
    window: Window,
    table: NDArray[np.uint64],
    low: int,
    high: int,
    begin: int,
    end: int,
    budget: int,
) -> tuple[int, int, int]:
    """Return (rank, total, weight) of rows from `begin` on: up to which, their Σ, and of how many.

    It ends at `end`, or after some `budget` of leaves. `table` counts the primes from `low` on.
    """
    total = int64(0)
    weight = int64(0)
    for rank in range(begin, end):
        least, most = _limits(bounds, rows, window, rank, low, high)
        if least < most:
            first = up_to(window.primes, window.primes_below, window.low, least)
            last = up_to(window.primes, window.primes_below, window.low, most)
            approx, residue = rows.approx[rank], rows.residue[rank]
            if rank < rows.star:
                local = _primes(table, window.primes, approx, residue, low, first, last)
                total += local + (last - first) * (1 - rank)
                weight += last - first
                if int64(rows.primes[rank]) ** 2 < most:
                    local, leaves = _products(
                        window, table, approx, residue, low, rank, least, most
                    )
                    total += local
                    weight += leaves
            else:
                twice = max(least, min(most, divide(approx, residue, bounds.y)))
                middle = up_to(window.primes, window.primes_below, window.low, twice)
                total += _primes(table, window.primes, approx, residue, low, first, middle)
                total += 2 * _primes(table, window.primes, approx, residue, low, middle, last)
                weight += 2 * last - middle - first
            budget -= last - first
        budget -= _ROW
        if budget < 0:
            return rank + 1, total, weight
    return end, total, weight


@jit
def _limits(
    bounds: Bounds, rows: Rows, window: Window, rank: int, low: int, high: int
) -> tuple[int, int]:
    """Return (least, most): the leaves in [low, high) are those with least < m <= most."""
    p = int64(rows.primes[rank])
    approx, residue = rows.approx[rank], rows.residue[rank]
    if rank < rows.star:
        least = max(p, bounds.y // p, divide(approx, residue, p * p))
        most = bounds.y
    else:
        least = p
        most = square_root(residue)
    least = max(least, divide(approx, residue, high), window.low - 1)
    if low > 0:
        most = min(most, divide(approx, residue, low))
    return least, min(most, window.high - 1)


@jit
def _primes(
    table: NDArray[np.uint64],
    reciprocals: NDArray[np.float64],
    approx: float,
    residue: int,
    low: int,
    first: int,
    last: int,
) -> int:
    """Return Σ #{primes from `low` to n/q} over the window's primes q of first to last - 1."""
    total = int64(0)
    if approx < 2.0**50:
        for i in range(uint64(first), uint64(last)):
            total += count_to(table, int64((approx + 0.5) * reciprocals[i]) - low)
    else:
        for i in range(uint64(first), uint64(last)):
            total += count_to(table, _quotient(approx, residue, reciprocals[i]) - low)
    return total


@jit
def _quotient(approx: float, residue: int, reciprocal: float) -> int:
    """Return ⌊n/m⌋ as `divide` does, reciprocal = fl(1/m)."""
    m = int64(1.0 / reciprocal + 0.5)
    q = int64(approx * reciprocal)
    rest = residue - q * m
    return q + int64(rest >= m) - int64(rest < 0)


@jit
def _products(
    window: Window,
    table: NDArray[np.uint64],
    approx: float,
    residue: int,
    low: int,
    rank: int,
    least: int,
    most: int,
) -> tuple[int, int]:
    """Return (Σ, number) of the leaves of products whose primes have higher ranks.

    μ is 1 for each.
    """
    total = int64(0)
    leaves = int64(0)
    first = up_to(window.products, window.products_below, window.low, least)
    last = up_to(window.products, window.products_below, window.low, most)
    for i in range(uint64(first), uint64(last)):
        weight = int64(int64(window.ranks[i]) > rank)
        count = count_to(table, _quotient(approx, residue, window.products[i]) - low)
        total -= weight * (count + 1 - rank)
        leaves -= weight
    return total, leaves

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
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from outlast.kernel.nth_prime.cursor import NUMBERS_PER_WORD
from outlast.kernel.nth_prime.gourdon.bounds import RANK
from outlast.kernel.nth_prime.gourdon.counted import count_to
from outlast.kernel.nth_prime.gourdon.interval import PrimeSieve, fill, list_members, new_table, pi
from outlast.kernel.nth_prime.gourdon.term import Partial, partial
from outlast.kernel.nth_prime.gourdon.wide import divide, square_root
from outlast.kernel.nth_prime.gourdon.window import build_window, products_to
from outlast.kernel.nth_prime.jit import int64, jit, uint64

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

    from outlast.kernel.nth_prime.gourdon.bounds import Bounds
    from outlast.kernel.nth_prime.gourdon.rows import Rows
    from outlast.kernel.nth_prime.gourdon.window import Window

BUDGET = 6_000_000
"""Leaves that are looked up in one native call, 0.5 to 6 nanoseconds each."""

# What a row costs beside its leaves, in leaves.
_ROW = 60

build = build_window


class Segment(NamedTuple):
    """An interval of n.

    Attributes:
        low: where it begins.
        high: where it ends.
        counts: counts its primes, from `low` on; see `counted`.
        primes: 1/r for each prime r, ascending, as far as rows go through them.
    """

    low: int
    high: int
    counts: npt.NDArray[np.uint64]
    primes: npt.NDArray[np.float64]


def shard(
    bounds: Bounds, rows: Rows, window: Window, first: int, last: int
) -> Generator[None, None, Partial]:
    """Return the sum over the pieces first to last - 1. Yields between native calls."""
    width = rows.ac_rows
    index, begin = divmod(first, width)
    span = NUMBERS_PER_WORD * bounds.ac_words
    end_of_all = -(-last // width) * span
    sieve = PrimeSieve(rows.primes, bounds.ac_words, index * span, end_of_all)
    counts = new_table(bounds.ac_words)
    total, weight, before = 0, 0, 0
    while index * width < last:
        low = sieve.advance()
        count = fill(counts, sieve.words, low)
        of_c, of_a = _alive(bounds, rows, window, low, low + span)
        segment = Segment(low, low + span, counts, _some_primes(bounds, rows, sieve, low, *of_c))
        yield
        end = min(last - index * width, width)
        for alive in (of_c, of_a):
            at, stop = max(alive[0], RANK + begin), min(alive[1], RANK + end)
            while at < stop:
                at, local, leaves = _sum(bounds, rows, window, segment, at, stop, BUDGET)
                total += local + before * leaves
                weight += leaves
                yield
        if end == width:
            inside = bounds.root - low
            before += int(count_to(counts, inside)) if 0 <= inside < span else count * (inside > 0)
        index += 1
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


def _some_primes(
    bounds: Bounds, rows: Rows, sieve: PrimeSieve, low: int, begin: int, end: int
) -> NDArray[np.float64]:
    """Return 1/r for the primes r of the segment that rows of C go through: up to √n."""
    most = isqrt(bounds.x // int(rows.primes[begin])) if begin < end else 0
    n_words = max((most - low) // NUMBERS_PER_WORD + 1, 0)
    return 1.0 / list_members(sieve.words[:n_words], low)


@jit
def _sum(
    bounds: Bounds,
    rows: Rows,
    window: Window,
    segment: Segment,
    begin: int,
    end: int,
    budget: int,
) -> tuple[int, int, int]:
    """Return (rank, total, weight) of rows from `begin` on: up to which, their Σ, and of how many.

    It ends at `end`, or after some `budget` of leaves.
    """
    total = int64(0)
    weight = int64(0)
    for rank in range(begin, end):
        least, most = _limits(bounds, rows, window, rank, segment.low, segment.high)
        if least < most:
            approx, residue = rows.approx[rank], rows.residue[rank]
            first = count_to(window.counts, least - window.low)
            last = count_to(window.counts, most - window.low)
            if rank < rows.star:
                local, work = _primes_of_c(window, segment, approx, residue, least, most)
                total += local + (last - first) * (1 - rank)
                weight += last - first
                budget -= work
                if int64(rows.primes[rank]) ** 2 < most:
                    local, leaves = _products(window, segment, approx, residue, rank, least, most)
                    total += local
                    weight += leaves
            else:
                twice = max(least, min(most, divide(approx, residue, bounds.y)))
                middle = count_to(window.counts, twice - window.low)
                of = segment.counts, segment.low, window.primes, approx, residue
                total += _count(*of, first, middle) + 2 * _count(*of, middle, last)
                weight += 2 * last - middle - first
                budget -= last - first
        budget -= _ROW
        if budget < 0:
            return rank + 1, total, weight
    return end, total, weight


@jit
def _primes_of_c(
    window: Window, segment: Segment, approx: float, residue: int, least: int, most: int
) -> tuple[int, int]:
    """Return (Σ #{primes from `low` to n/q} over primes least < q <= most, the work)."""
    # Up to √n for each q. Beyond, the pairs of q and a prime r <= n/q are counted from the other
    # side: for each r, of which there are fewer, by the q up to n/r.
    root = max(least, min(most, int64(np.sqrt(approx))))
    first = count_to(window.counts, least - window.low)
    middle = count_to(window.counts, root - window.low)
    total = _count(segment.counts, segment.low, window.primes, approx, residue, first, middle)
    work = middle - first
    if root < most:
        last = count_to(window.counts, most - window.low)
        # Up to here an r goes with all of the q, beyond there with none.
        here = count_to(segment.counts, divide(approx, residue, most) - segment.low)
        there = count_to(segment.counts, divide(approx, residue, root + 1) - segment.low)
        total += here * (last - middle) - (there - here) * middle
        total += _count(window.counts, window.low, segment.primes, approx, residue, here, there)
        work += there - here
    return total, work


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
def _count(
    counts: NDArray[np.uint64],
    low: int,
    reciprocals: NDArray[np.float64],
    approx: float,
    residue: int,
    first: int,
    last: int,
) -> int:
    """Return Σ #{primes from `low` to n/q} over the q of the reciprocals first to last - 1."""
    total = int64(0)
    if approx < 2.0**50:
        for i in range(uint64(first), uint64(last)):
            total += count_to(counts, int64((approx + 0.5) * reciprocals[i]) - low)
    else:
        for i in range(uint64(first), uint64(last)):
            total += count_to(counts, _quotient(approx, residue, reciprocals[i]) - low)
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
    segment: Segment,
    approx: float,
    residue: int,
    rank: int,
    least: int,
    most: int,
) -> tuple[int, int]:
    """Return (Σ, number) of the leaves of products whose primes have higher ranks.

    μ is 1 for each.
    """
    total = int64(0)
    leaves = int64(0)
    first, last = products_to(window, least), products_to(window, most)
    for i in range(uint64(first), uint64(last)):
        weight = int64(int64(window.ranks[i]) > rank)
        n = _quotient(approx, residue, window.products[i])
        total -= weight * (count_to(segment.counts, n - segment.low) + 1 - rank)
        leaves -= weight
    return total, leaves

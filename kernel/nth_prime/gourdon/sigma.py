"""Σ: what is a polynomial in counts of primes, and three short sums over the primes in between.

All but s(s - 1)/2: s = π(√x) is what A + C comes to count, and that part is added in the end.

    a - 1 - a(a - 1)/2 + (a - b)(a - b - 1)/2 + a(b - c - c(c - 3)/2 + d(d - 3)/2)
    + b(b - 1)(2b - 1)/6 - b - d(d - 1)(2d - 1)/6 + d
    + a·Σ π(x/(p·y)) over x* < p <= √(x/y)  +  Σ π(x/p²) over √(x/y) < p <= x^(1/3)
    - Σ π(√(x/p))² over x* < p <= x^(1/3)

with a = π(y), b = π(x^(1/3)), c = π(√(x/y)), d = π(x*). In each sum, what π is taken of is at most
y, and grows as p falls: one sieve up to y gives all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from outlast.kernel.nth_prime.gourdon.counted import count_to
from outlast.kernel.nth_prime.gourdon.crossing import words_for
from outlast.kernel.nth_prime.gourdon.interval import PrimeSieve, fill, new_table
from outlast.kernel.nth_prime.gourdon.term import Partial, no_tables, partial
from outlast.kernel.nth_prime.gourdon.wide import divide, square_root
from outlast.kernel.nth_prime.jit import int64, jit

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

    from outlast.kernel.nth_prime.gourdon.bounds import Bounds
    from outlast.kernel.nth_prime.gourdon.rows import Rows

# Few, so that small computations do not sieve far beyond y.
_WORDS = 8192


build = no_tables


def shard(
    bounds: Bounds,
    rows: Rows,
    tables: None,  # noqa: ARG001 - it has none
    first: int,  # noqa: ARG001 - it has one piece
    last: int,  # noqa: ARG001
) -> Generator[None, None, Partial]:
    """Return Σ but for s(s - 1)/2. Yields between native calls."""
    b, c, d = len(rows.primes), rows.middle, rows.star
    words = words_for(bounds.y, _WORDS)
    sieve = PrimeSieve(rows.primes, words, 0, bounds.y + 1)
    table = new_table(words)
    at = np.array([c - 1, b - 1, b - 1], np.int64)
    sums = np.zeros(3, np.int64)
    before = 0
    while sieve.low <= bounds.y:
        low = sieve.advance()
        count = fill(table, sieve.words, low)
        _add(bounds.y, rows, table, low, sieve.low, before, at, sums)
        a = before + int(count_to(table, min(bounds.y, sieve.low - 1) - low))
        before += count
        yield
    total = a - 1 - a * (a - 1) // 2 + (a - b) * (a - b - 1) // 2
    total += a * (b - c - c * (c - 3) // 2 + d * (d - 3) // 2)
    total += b * (b - 1) * (2 * b - 1) // 6 - b - d * (d - 1) * (2 * d - 1) // 6 + d
    total += a * int(sums[0]) + int(sums[1]) - int(sums[2])
    return partial(total)


@jit
def _add(
    y: int,
    rows: Rows,
    table: NDArray[np.uint64],
    low: int,
    high: int,
    before: int,
    at: NDArray[np.int64],
    sums: NDArray[np.int64],
) -> None:
    """Add to each sum the p that take π of a number in [low, high), from at[i] downward."""
    for i in range(3):
        least = max(rows.star, rows.middle) if i == 1 else rows.star
        rank = at[i]
        while rank >= least:
            v = _argument(y, rows, rank, i)
            if v >= high:
                break
            value = before + count_to(table, v - low)
            sums[i] += value * value if i == 2 else value
            rank -= 1
        at[i] = rank


@jit
def _argument(y: int, rows: Rows, rank: int, i: int) -> int:
    """Return x/(p·y), x/p² or √(x/p)."""
    if i == 2:
        return square_root(rows.residue[rank])
    m = y if i == 0 else int64(rows.primes[rank])
    return divide(rows.approx[rank], rows.residue[rank], m)

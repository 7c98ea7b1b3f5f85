"""Φ0: the ordinary leaves, Σ μ(m)·φ(x/m, 8) over m <= y, squarefree, without a prime up to 19.

The pieces are spans of m.
"""

from __future__ import annotations

from functools import cache
from math import isqrt
from typing import TYPE_CHECKING

import numpy as np

from outlast.kernel.nth_prime.cursor import NUMBERS_PER_WORD
from outlast.kernel.nth_prime.gourdon.bounds import PHI0_SPAN as SPAN
from outlast.kernel.nth_prime.gourdon.counted import count_to
from outlast.kernel.nth_prime.gourdon.crossing import CHUNK_WORDS, patterns
from outlast.kernel.nth_prime.gourdon.interval import pi
from outlast.kernel.nth_prime.gourdon.leaves import multiply
from outlast.kernel.nth_prime.gourdon.term import Partial, no_tables, partial
from outlast.kernel.nth_prime.gourdon.wide import divide_x
from outlast.kernel.nth_prime.jit import int64, jit, uint64
from outlast.kernel.nth_prime.sieve.wheel import RESIDUES

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

    from outlast.kernel.nth_prime.gourdon.bounds import Bounds
    from outlast.kernel.nth_prime.gourdon.rows import Rows

PERIOD = 2 * 3 * 5 * 7 * 11 * 13 * 17
"""The numbers that none of the first 7 primes divides repeat with this period, …"""

PER_PERIOD = 1 * 2 * 4 * 6 * 10 * 12 * 16
"""… in which so many of them lie."""

_CHUNK = NUMBERS_PER_WORD * CHUNK_WORDS

build = no_tables


def shard(
    bounds: Bounds,
    rows: Rows,
    tables: None,  # noqa: ARG001 - it has none
    first: int,
    last: int,
) -> Generator[None, None, Partial]:
    """Return the sum over the pieces first to last - 1. Yields after each."""
    coprime = _coprime()
    span = min(SPAN, -(-bounds.y // _CHUNK) * _CHUNK)
    words, slots = np.empty(span // NUMBERS_PER_WORD, np.uint64), span // 30 * 8
    products, ranks = np.empty(slots, np.float32), np.empty(slots, np.int16)
    ahead = np.empty(8, np.int64)
    total = 0
    for piece in range(first, last):
        low, high = SPAN * piece, min(SPAN * (piece + 1), bounds.y + 1)
        end = pi(rows.primes, isqrt(high))
        multiply(words, products, ranks, low, rows.primes, end, patterns(), ahead)
        yield
        total += _sum(bounds.x_high, bounds.x_low, low, high, words, products, coprime)
        yield
    # The number 1 is an m, too.
    return partial(total + (_phi_8(coprime, bounds.x_high, bounds.x_low) if first == 0 else 0))


@cache
def _coprime() -> NDArray[np.uint64]:
    """Return the numbers up to PERIOD that no prime up to 17 divides, for `count_to`."""
    odd = np.arange(1, 64 * (PERIOD // 64 + 1), 2)
    member = np.ones(len(odd), bool)
    for p in (3, 5, 7, 11, 13, 17):
        member &= odd % p != 0
    bits = member.reshape(-1, 32)
    counts = np.concatenate([[0], np.cumsum(bits.sum(axis=1))]).astype(np.uint64)
    table = counts << np.uint64(32)
    table[:-1] |= (bits[:, :31] << np.arange(1, 32, dtype=np.uint64)).sum(axis=1, dtype=np.uint64)
    return table


@jit
def _sum(
    x_high: int,
    x_low: int,
    low: int,
    high: int,
    words: NDArray[np.uint64],
    products: NDArray[np.float32],
    coprime: NDArray[np.uint64],
) -> int:
    """Return Σ μ(m)·φ(x/m, 8) over the m with low <= m < high."""
    total = int64(0)
    for slot in range(min(len(products), (high - low + 29) // 30 * 8)):
        is_coprime = (words[slot >> 6] >> uint64(slot & 63)) & uint64(1)
        product = products[slot]
        m = low + 30 * (slot >> 3) + RESIDUES[slot & 7]
        if is_coprime and product != 0.0 and m < high:
            value = _phi_8(coprime, *divide_x(x_high, x_low, m))
            # Where the product is less than m, a prime factor is left over.
            is_even = (product > 0.0) == (abs(product) > np.float32(m) * np.float32(0.5))
            total += value if is_even else -value
    return total


@jit
def _phi_8(coprime: NDArray[np.uint64], high: int, low: int) -> int:
    """Return how many numbers from 1 to high · 2^32 + low no prime up to 19 divides."""
    part = high // 19
    rest = ((high - 19 * part) << 32) + low
    return _phi_7(coprime, high, low) - _phi_7(coprime, part, rest // 19)


@jit
def _phi_7(coprime: NDArray[np.uint64], high: int, low: int) -> int:
    periods = high // PERIOD
    rest = ((high - periods * PERIOD) << 32) + low
    more = rest // PERIOD
    whole = (periods << 32) + more
    return whole * PER_PERIOD + count_to(coprime, rest - more * PERIOD)

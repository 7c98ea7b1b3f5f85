"""What A and C multiply a row's prime with: the primes, and the products of two, of a window.

A window is an interval of m: that bounds what is in memory. The leaves of a row of C have no m of
three prime factors: these are larger than p > (x/y)^(1/3), and m would pass x/y, let alone y.
"""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from outlast.kernel.nth_prime.cursor import NUMBERS_PER_WORD
from outlast.kernel.nth_prime.gourdon.bounds import RANK
from outlast.kernel.nth_prime.gourdon.counted import lowest
from outlast.kernel.nth_prime.gourdon.interval import PrimeSieve, pi
from outlast.kernel.nth_prime.jit import int64, jit, uint64
from outlast.kernel.nth_prime.sieve.wheel import RESIDUES

if TYPE_CHECKING:
    from collections.abc import Generator

    from outlast.kernel.nth_prime.gourdon.bounds import Bounds
    from outlast.kernel.nth_prime.gourdon.rows import Rows

SHIFT = 8
"""The lists say how many of them lie below each multiple of 2^SHIFT."""

_WORDS = 16384
_SPAN = 1 << 22


class Window(NamedTuple):
    """The m with low <= m < high, of y + 1 at most, ascending.

    Attributes:
        low: a multiple of 240.
        high: the end.
        primes: 1/q for each prime q, of 7 and more.
        primes_below: how many of these q are below low + 2^SHIFT · i.
        products: 1/m for each product m of two primes, both greater than the least of C.
        products_below: how many of these m are below low + 2^SHIFT · i.
        ranks: the rank, from 0, of the lesser prime of m.
    """

    low: int
    high: int
    primes: npt.NDArray[np.float64]
    primes_below: npt.NDArray[np.int32]
    products: npt.NDArray[np.float64]
    products_below: npt.NDArray[np.int32]
    ranks: npt.NDArray[np.int32]


def build_window(bounds: Bounds, rows: Rows, index: int) -> Generator[None, None, Window]:
    """Return a window. Yields every few milliseconds."""
    low = index * bounds.window
    high = min(low + bounds.window, bounds.y + 1)
    primes, primes_below = yield from _primes(rows, low, high)
    products, products_below, ranks = yield from _products(rows, low, high)
    return Window(low, high, primes, primes_below, products, products_below, ranks)


def _primes(
    rows: Rows, low: int, high: int
) -> Generator[None, None, tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]]:
    sieve = PrimeSieve(rows.primes, _WORDS, low, high)
    below = _no_members(low, high)
    portions = []
    while sieve.low < high:
        begin = sieve.advance()
        reciprocals = np.empty(32 * len(sieve.words), np.float64)
        found = _list(sieve.words, begin, high, reciprocals, below, low)
        portions.append(reciprocals[:found].copy())
        yield
    return np.concatenate(portions), np.cumsum(below, dtype=np.int32)


def _no_members(low: int, high: int) -> npt.NDArray[np.int32]:
    return np.zeros(((high - low) >> SHIFT) + 2, np.int32)


@jit
def _list(
    words: npt.NDArray[np.uint64],
    begin: int,
    end: int,
    reciprocals: npt.NDArray[np.float64],
    below: npt.NDArray[np.int32],
    low: int,
) -> int:
    """Write 1/q of the members q < end of a segment that starts at `begin`; return how many."""
    found = 0
    for k in range(len(words)):
        bits = words[k]
        while bits != uint64(0):
            j = lowest(bits)
            q = begin + NUMBERS_PER_WORD * k + 30 * (j >> 3) + RESIDUES[j & 7]
            if q >= end:
                return found
            reciprocals[found] = 1.0 / np.float64(q)
            below[((q - low) >> SHIFT) + 1] += 1
            found += 1
            bits &= bits - uint64(1)
    return found


def _products(
    rows: Rows, low: int, high: int
) -> Generator[
    None, None, tuple[npt.NDArray[np.float64], npt.NDArray[np.int32], npt.NDArray[np.int32]]
]:
    first = max(rows.easy, RANK) + 1
    lesser = rows.primes[first : pi(rows.primes, isqrt(high))].astype(np.int64)
    below = _no_members(low, high)
    portions, ranks = [np.empty(0, np.float64)], [np.empty(0, np.int32)]
    for begin in range(low, high, _SPAN):
        end = min(begin + _SPAN, high)
        # q is less than the other prime r, and begin <= q·r < end.
        firsts = np.searchsorted(rows.primes, -(-begin // lesser))
        firsts = np.maximum(firsts, np.arange(first + 1, first + 1 + len(lesser)))
        lasts = np.searchsorted(rows.primes, (end - 1) // lesser, side="right")
        room = int(np.maximum(lasts - firsts, 0).sum())
        m, rank = np.empty(room, np.int64), np.empty(room, np.int32)
        _multiply(rows.primes, first, firsts, lasts, m, rank)
        order = np.argsort(m)
        below += np.bincount(((m - low) >> SHIFT) + 1, minlength=len(below)).astype(np.int32)
        portions.append(1.0 / m[order])
        ranks.append(rank[order])
        yield
    return np.concatenate(portions), np.cumsum(below, dtype=np.int32), np.concatenate(ranks)


@jit
def _multiply(
    primes: npt.NDArray[np.int32],
    first: int,
    firsts: npt.NDArray[np.int64],
    lasts: npt.NDArray[np.int64],
    m: npt.NDArray[np.int64],
    rank: npt.NDArray[np.int32],
) -> None:
    """Write the products of each prime, from rank `first` on, and those of its range of ranks."""
    found = 0
    for i in range(len(firsts)):
        q = int64(primes[first + i])
        for j in range(firsts[i], lasts[i]):
            m[found] = q * int64(primes[j])
            rank[found] = first + i
            found += 1


@jit
def up_to(
    reciprocals: npt.NDArray[np.float64], below: npt.NDArray[np.int32], low: int, v: int
) -> int:
    """Return how many of the listed m are at most v, v >= low - 1, v less than the window's end."""
    if v < low:
        return int64(0)
    found = int64(below[(v - low) >> SHIFT])
    least = 1.0 / np.float64(v)
    while found < len(reciprocals) and reciprocals[found] >= least:
        found += 1
    return found

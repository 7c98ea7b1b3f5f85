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
from outlast.kernel.nth_prime.gourdon.counted import NUMBERS_PER_ENTRY
from outlast.kernel.nth_prime.gourdon.crossing import words_for
from outlast.kernel.nth_prime.gourdon.interval import (
    PrimeSieve,
    fill,
    list_members,
    most_primes,
    new_table,
    pi,
)
from outlast.kernel.nth_prime.jit import int64, jit

if TYPE_CHECKING:
    from collections.abc import Generator

    from outlast.kernel.nth_prime.gourdon.bounds import Bounds
    from outlast.kernel.nth_prime.gourdon.rows import Rows

SHIFT = 8
"""The list of products says how many of them lie below each multiple of 2^SHIFT."""

_WORDS = 16384
_SPAN = 1 << 22


class Window(NamedTuple):
    """The m with low <= m < high, of y + 1 at most, ascending.

    Attributes:
        low: a multiple of 240.
        high: the end.
        primes: 1/q for each prime q.
        counts: counts these q, from `low` on; see `counted`.
        products: 1/m for each product m of two primes, both greater than the least of C.
        products_below: how many of these m are below low + 2^SHIFT · i.
        ranks: the rank, from 0, of the lesser prime of m.
    """

    low: int
    high: int
    primes: npt.NDArray[np.float64]
    counts: npt.NDArray[np.uint64]
    products: npt.NDArray[np.float64]
    products_below: npt.NDArray[np.int32]
    ranks: npt.NDArray[np.int32]


def build_window(bounds: Bounds, rows: Rows, index: int) -> Generator[None, None, Window]:
    """Return a window. Yields every few milliseconds."""
    low = index * bounds.window
    high = min(low + bounds.window, bounds.y + 1)
    primes, counts = yield from _primes(rows, low, high)
    products, products_below, ranks = yield from _products(rows, low, high)
    return Window(low, high, primes, counts, products, products_below, ranks)


def _primes(
    rows: Rows, low: int, high: int
) -> Generator[None, None, tuple[npt.NDArray[np.float64], npt.NDArray[np.uint64]]]:
    n_words = words_for(high - low, _WORDS)
    sieve = PrimeSieve(rows.primes, n_words, low, high)
    counts = new_table(-(-(high - low) // (NUMBERS_PER_WORD * n_words)) * n_words)
    primes, found = np.empty(most_primes(low, high)), 0
    while sieve.low < high:
        begin = sieve.advance()
        some = list_members(sieve.words, begin)
        some = some[: np.searchsorted(some, high)]
        fill(counts[(begin - low) // NUMBERS_PER_ENTRY :], sieve.words, begin, found)
        primes[found : found + len(some)] = 1.0 / some
        found += len(some)
        yield
    return primes[:found], counts


def _products(
    rows: Rows, low: int, high: int
) -> Generator[
    None, None, tuple[npt.NDArray[np.float64], npt.NDArray[np.int32], npt.NDArray[np.int32]]
]:
    first = max(rows.easy, RANK) + 1
    lesser = rows.primes[first : pi(rows.primes, isqrt(high))].astype(np.int64)
    below = np.zeros(((high - low) >> SHIFT) + 2, np.int32)
    portions, ranks = [np.empty(0, np.float64)], [np.empty(0, np.int32)]
    for begin in range(low, high, _SPAN):
        end = min(begin + _SPAN, high)
        # q is less than the other prime r, and begin <= q·r < end.
        firsts = np.searchsorted(rows.primes, (-(-begin // lesser)).astype(np.int32))
        firsts = np.maximum(firsts, np.arange(first + 1, first + 1 + len(lesser)))
        lasts = np.searchsorted(rows.primes, ((end - 1) // lesser).astype(np.int32), side="right")
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
def products_to(w: Window, m: int) -> int:
    """Return how many of the products are at most m, low - 1 <= m < high."""
    if m < w.low:
        return int64(0)
    found = int64(w.products_below[(m - w.low) >> SHIFT])
    least = 1.0 / np.float64(m)
    while found < len(w.products) and w.products[found] >= least:
        found += 1
    return found

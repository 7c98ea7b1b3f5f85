"""The m of D in an interval: the primes, and the squarefree composites without a factor up to 19.

All primes p up to the root of the interval's end are gone through, from the largest down. Each
multiplies the products of its multiples' slots by -p, and the last to do so is the least prime
factor. A prime factor above the root is left over where a product stays below m.
"""

from __future__ import annotations

from math import isqrt, prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from outlast.kernel.nth_prime import plain
from outlast.kernel.nth_prime.cursor import NUMBERS_PER_WORD
from outlast.kernel.nth_prime.gourdon.bounds import RANK
from outlast.kernel.nth_prime.gourdon.crossing import (
    first_multiples,
    lay,
    patterns,
    set_all,
    words_for,
)
from outlast.kernel.nth_prime.gourdon.interval import least_primes, most_primes, pi
from outlast.kernel.nth_prime.jit import int64, jit, uint64
from outlast.kernel.nth_prime.sieve.wheel import RESIDUES

if TYPE_CHECKING:
    from collections.abc import Generator

THRESHOLDS = (RANK, 40, 200)
"""There is a list of the composites whose least prime factor has a rank above each of these.

A row reads the shortest one that has all its leaves. With the first list alone, five of six
composites that rows look at would be no leaves of theirs; with six lists, D takes 2% less time,
and a third more memory.
"""

_MOST_WORDS = 4096
_COPRIME = 5
"""7 to 19, which no m has as a factor, have the first patterns."""


class Leaves(NamedTuple):
    """The m with low <= m < high, as their distances from `low`, ascending.

    Attributes:
        low: a multiple of 240.
        high: the end.
        primes: the prime m.
        composites: the lists of composite m, one for each of THRESHOLDS.
        keys: for each composite -μ(m) times the rank, from 0, of its least prime factor.
        starts: the index of the first composite of each list.
        ends: the index after the last one of each list.
    """

    low: int
    high: int
    primes: npt.NDArray[np.uint32]
    composites: npt.NDArray[np.uint32]
    keys: npt.NDArray[np.int16]
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]


def list_leaves(
    primes: npt.NDArray[np.int32], low: int, high: int
) -> Generator[None, None, Leaves]:
    """Return the m with low <= m < high < low + 2^32; `low` is a multiple of 240.

    `primes` are all up to √high at least. Yields every few milliseconds.
    """
    # Small computations have few m, and large ones need portions of some milliseconds.
    n_words = words_for(high - low, _MOST_WORDS)
    words, slots = np.empty(n_words, np.uint64), 64 * n_words
    products, ranks = np.empty(slots, np.float32), np.empty(slots, np.int16)
    ahead = np.empty(8, np.int64)
    # Pages of memory that are never written to are never taken, but a limit of a process's data
    # counts them: there must be room for all, and little more.
    listed, found = np.empty(most_primes(low, high) + 1, np.uint32), 0
    rooms = np.array([_most(low, high, rank) for rank in THRESHOLDS])
    composites, keys = np.empty(rooms.sum(), np.uint32), np.empty(rooms.sum(), np.int16)
    starts = np.cumsum(rooms) - rooms
    ends = starts.copy()
    end = pi(primes, isqrt(high))
    for begin in range(low, high, NUMBERS_PER_WORD * n_words):
        multiply(words, products, ranks, begin, primes, end, patterns(), ahead)
        yield
        before = ends.copy()
        found, ends[0] = _list(
            words,
            products,
            ranks,
            begin,
            begin - low,
            high,
            listed,
            found,
            composites,
            keys,
            ends[0],
        )
        for i, threshold in enumerate(THRESHOLDS[1:]):
            ends[i + 1] = _select(threshold, composites, keys, before[i], ends[i], ends[i + 1])
        yield
    return Leaves(low, high, listed[:found], composites, keys, starts, ends)


_LEGENDRE = 59
"""Up to here there are 17 primes: with more, the terms of the sum would be too many."""


def _most(low: int, high: int, rank: int) -> int:
    """Return how many composite m at most have no factor of a rank up to this one, and one more."""
    # Legendre's sum over the first primes, of which each term is rounded, without the other primes.
    first = plain.primes(_LEGENDRE)[:rank]
    coprime = int((high - low) * prod(1 - 1 / p for p in first)) + (1 << len(first))
    return coprime - max(least_primes(low, high) - len(first) - 1, 0) + 1


@jit
def multiply(
    words: npt.NDArray[np.uint64],
    products: npt.NDArray[np.float32],
    ranks: npt.NDArray[np.int16],
    low: int,
    primes: npt.NDArray[np.int32],
    end: int,
    patterns: npt.NDArray[np.uint64],
    ahead: npt.NDArray[np.int64],
) -> None:
    """Set products, and ranks of least factors, for the numbers from `low` on, one in each slot.

    The factors are primes[RANK:end], smaller than the number itself; the product is 1 where there
    are none, 0 where a square divides it. The bits of `words` say which no prime up to 19 divides.
    """
    set_all(words)
    for i in range(_COPRIME):
        lay(words, low, int64(primes[3 + i]), patterns[i])
    for slot in range(len(products)):
        products[slot] = 1.0
        ranks[slot] = 0
    size = len(products)
    for rank in range(end - 1, RANK - 1, -1):
        p = int64(primes[rank])
        first_multiples(low, p, 2, ahead)
        factor = np.float32(-p)
        for j in range(8):
            slot = 8 * ahead[j] + j
            while slot < size:
                products[slot] *= factor
                ranks[slot] = rank
                slot += 8 * p
        square = p * p
        n = (low + square - 1) // square * square - low
        while n < 30 * size // 8:
            # Of the numbers without a slot, those that share one with others are even.
            residue = (low + n) % 30
            if residue % 2 and residue % 3 and residue % 5:
                products[n // 30 * 8 + n % 30 * 4 // 15] = 0.0
            n += square
    if low == 0:
        products[0] = 0.0  # the number 1


@jit
def _list(
    words: npt.NDArray[np.uint64],
    products: npt.NDArray[np.float32],
    ranks: npt.NDArray[np.int16],
    begin: int,
    offset: int,
    high: int,
    primes: npt.NDArray[np.uint32],
    n_primes: int,
    composites: npt.NDArray[np.uint32],
    keys: npt.NDArray[np.int16],
    at: int,
) -> tuple[int, int]:
    """Append the m of the slots that start at `begin`; return the ends of primes and composites.

    `offset` is the distance of `begin` from where distances are counted from.
    """
    for slot in range(min(len(products), (high - begin + 29) // 30 * 8)):
        n = 30 * (slot >> 3) + RESIDUES[slot & 7]
        product = products[slot]
        m = np.float32(begin + n)
        is_listed = int64((words[slot >> 6] >> uint64(slot & 63)) & uint64(1))
        is_listed &= int64(product != 0.0) & int64(begin + n < high)
        is_prime = is_listed & int64(product == 1.0)
        # Without a branch, which could not be foreseen.
        primes[n_primes] = offset + n
        n_primes += is_prime
        composites[at] = offset + n
        is_negative = int64(product < 0.0) ^ int64(abs(product) < m * np.float32(0.5))
        keys[at] = (2 * is_negative - 1) * int64(ranks[slot])
        at += int64(is_listed - is_prime) & int64(ranks[slot] > RANK)
    return n_primes, at


@jit
def _select(
    threshold: int,
    composites: npt.NDArray[np.uint32],
    keys: npt.NDArray[np.int16],
    first: int,
    last: int,
    at: int,
) -> int:
    """Append those from index first to last - 1 whose ranks are above the threshold to a list.

    The list ends at index `at`; return where it ends then.
    """
    for i in range(first, last):
        key = int64(keys[i])
        composites[at] = composites[i]
        keys[at] = key
        at += int64(abs(key) > threshold)
    return at

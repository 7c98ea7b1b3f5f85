"""From a known count of primes to the prime of a given position, block by block."""

from __future__ import annotations

from math import isqrt, log
from typing import TYPE_CHECKING

import numpy as np

from outlast.kernel.nth_prime.cursor import NUMBERS_PER_WORD, SMALLEST, Cursor
from outlast.kernel.nth_prime.sieve import bases, bits, strong, wheel
from outlast.kernel.nth_prime.sieve.block import LARGEST_BLOCK, sieve_block
from outlast.kernel.nth_prime.sieve.cross import SEGMENT
from outlast.kernel.nth_prime.sieve.presieve import LARGEST
from outlast.kernel.nth_prime.sieve.steps import at_each

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

LIMIT = 1 << 80
"""The sieve reaches up to here."""

# Words in a block. The least takes some 20 ms, and an interruption loses at most one block. Where
# numbers are tested one by one, a block of _TESTED_WORDS takes some 40 ms.
_LEAST = 8 * SEGMENT // 8
_MOST = 32 * SEGMENT // 8
_TESTED_WORDS = 1 << 12

# Words added to what a search is expected to need, for the chance in the primes' distances.
_MARGIN = 1 << 12


def sieve(first: int, size: int) -> Generator[None, None, NDArray[np.uint64]]:
    """Return `size` words from word `first` on, in which a bit is set if its number is prime.

    What each bit stands for is told in `wheel`. Yields every few milliseconds of work. From
    strong.FIRST_WORD on a sieve by small primes comes first, and a test of what it leaves: to go
    through all primes up to the square root would take from seconds to minutes.

    Raises:
        ValueError: the words are none, more than LARGEST_BLOCK, or reach beyond LIMIT.
    """
    if first < 0 or not 1 <= size <= LARGEST_BLOCK:
        raise ValueError(f"a block has 1 to {LARGEST_BLOCK} words, from 0 on; not {size}, {first}")
    end = NUMBERS_PER_WORD * (first + size)
    if end > LIMIT:
        raise ValueError(f"the sieve reaches up to {LIMIT}, not to {end}")
    root = max(LARGEST, isqrt(end))
    near = np.concatenate(list(bases.ascending(0, min(root, SEGMENT))))
    if first < strong.FIRST_WORD:
        large = bases.ascending(SEGMENT, root) if root > SEGMENT else ()
        return (yield from sieve_block(first, size, near, large))
    words = yield from sieve_block(first, size, near, ())
    yield from strong.keep_primes(words, first)
    return words


def block_size(word: int, missing: int) -> int:
    """Return how many words to sieve at once, from `word` on, to find `missing` primes there.

    A block costs a division for each prime to sieve with, so blocks grow with the square root;
    beyond what a search needs, they only cost.
    """
    height = NUMBERS_PER_WORD * word
    usual = min(max(isqrt(height) // 8, _LEAST), _MOST)
    if word >= strong.FIRST_WORD:
        usual = _TESTED_WORDS
    needed = missing * log(height + 20 * missing + 100) / NUMBERS_PER_WORD
    return min(usual, int(1.05 * needed) + _MARGIN)


def find(n: int, cursor: Cursor) -> Generator[Cursor, None, int]:
    """Return the n-th prime, given how many primes lie below some cursor.

    Searches up or down from there. Yields how far it is after every few milliseconds of work,
    and goes on from any cursor that it yielded. Only the difference of n and the count matters:
    with a count of 0 at any word, n counts the primes from there on.

    Raises:
        ValueError: the search came to LIMIT, or passed 2 on its way down.
    """
    while cursor.count < n:
        size = block_size(cursor.word, n - cursor.count)
        words = yield from at_each(sieve(cursor.word, size), cursor)
        found = bits.count(words)
        if cursor.count + found >= n:
            return wheel.number(cursor.word, bits.select(words, n - cursor.count))
        cursor = Cursor(cursor.word + size, cursor.count + found)
        yield cursor
    while cursor.word:
        size = min(cursor.word, block_size(cursor.word, cursor.count - n + 1))
        first = cursor.word - size
        words = yield from at_each(sieve(first, size), cursor)
        below = cursor.count - bits.count(words)
        if below < n:
            return wheel.number(first, bits.select(words, n - below))
        cursor = Cursor(first, below)
        yield cursor
    left = len(SMALLEST) - (cursor.count - n) - 1
    if left < 0:
        raise ValueError("there are not so many primes below")
    return SMALLEST[left]

"""The table of π up to √x, and the primes up to y with their reciprocals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from outlast.kernel.nth_prime import plain
from outlast.kernel.nth_prime.gourdon.counted import (
    NUMBERS_PER_ENTRY,
    lowest,
    members,
    pack,
    spread,
)
from outlast.kernel.nth_prime.gourdon.crossing import (
    PATTERN_END,
    PATTERN_PRIMES,
    first_multiples,
    patterns,
    sieve_primes,
)
from outlast.kernel.nth_prime.jit import int64, jit, uint64

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

SEGMENT_WORDS = 16384

# Numbers sieved, and entries searched, in one native call: some milliseconds of work.
_STEP = 6 * 240 * SEGMENT_WORDS
_ENTRIES = 1 << 16


def pi_table(limit: int) -> Generator[None, None, NDArray[np.uint64]]:
    """Return the primes up to `limit`, and some beyond, as a table for `count_to`.

    Exact from 2 on: the bit of the number 1 stands for the prime 2, so that π(1) would come out
    as 1. Yields every few milliseconds.
    """
    span = 240 * SEGMENT_WORDS
    end = (limit + NUMBERS_PER_ENTRY) // span * span + span
    base = np.array(plain.primes(max(int(end**0.5) + 1, PATTERN_PRIMES[-1])), np.int32)
    table = np.empty(end // NUMBERS_PER_ENTRY + 1, np.uint64)
    words = np.empty(SEGMENT_WORDS, np.uint64)
    ahead = np.empty((len(base) - PATTERN_END, 8), np.int64)
    count = 2  # 3 and 5 have no bit in a sieve
    for low in range(0, end, _STEP):
        high = min(low + _STEP, end)
        count = _fill(table, low, high, count, base, patterns(), spread(), words, ahead)
        yield
    table[0] = (table[0] & uint64(0xFFFFFFFF)) | uint64(0b1100)
    table[-1] = uint64(count << 32)
    return table


@jit
def _fill(
    table: NDArray[np.uint64],
    low: int,
    high: int,
    count: int,
    base: NDArray[np.int32],
    patterns: NDArray[np.uint64],
    spread: NDArray[np.uint64],
    words: NDArray[np.uint64],
    ahead: NDArray[np.int64],
) -> int:
    """Fill the entries for [low, high), whole segments; return the count at their end.

    `words` has room for a segment, and `ahead` for what `cross_off` knows of each prime.
    """
    sieve = words.view(np.uint8)
    end = PATTERN_END
    while low < high:
        while end < len(base) and int64(base[end]) ** 2 < low + 240 * SEGMENT_WORDS:
            p = int64(base[end])
            first_multiples(low, p, p, ahead[end - PATTERN_END])
            end += 1
        sieve_primes(words, low, patterns, base, end, ahead)
        if low == 0:
            for i in range(3, PATTERN_END):
                p = int64(base[i])
                sieve[p // 30] |= np.uint8(1 << (p % 30 * 4 // 15))
        count = pack(sieve, spread, table, low // NUMBERS_PER_ENTRY, count)
        low += 240 * SEGMENT_WORDS
    return count


def list_primes(
    pi: NDArray[np.uint64], limit: int, count: int
) -> Generator[None, None, tuple[NDArray[np.int32], NDArray[np.float64]]]:
    """Return the primes up to `limit`, `count` in number, and their reciprocals."""
    primes = np.empty(count, np.int32)
    reciprocals = np.empty(count, np.float64)
    found = 0
    end = limit // NUMBERS_PER_ENTRY + 1
    for first in range(0, end, _ENTRIES):
        found = _append(pi, first, min(first + _ENTRIES, end), primes, reciprocals, found)
        yield
    primes[0], reciprocals[0] = 2, 0.5
    return primes, reciprocals


@jit
def _append(
    pi: NDArray[np.uint64],
    first: int,
    last: int,
    primes: NDArray[np.int32],
    reciprocals: NDArray[np.float64],
    found: int,
) -> int:
    """Append the members of the entries first to last - 1, as many as there is room for."""
    for k in range(first, last):
        bits = members(pi, k)
        while bits != uint64(0) and found < len(primes):
            n = 64 * k + 1 + 2 * lowest(bits)
            primes[found] = n
            reciprocals[found] = 1.0 / np.float64(n)
            found += 1
            bits &= bits - uint64(1)
    return found

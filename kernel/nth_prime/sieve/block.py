"""One block: the primes among a range of whole words, found from nothing but the primes below."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from outlast.kernel.nth_prime.cursor import NUMBERS_PER_WORD
from outlast.kernel.nth_prime.sieve import wheel
from outlast.kernel.nth_prime.sieve.cross import (
    SEGMENT,
    Group,
    Tables,
    cross,
    cross_small,
    distances,
    place,
)
from outlast.kernel.nth_prime.sieve.large import AT_ONCE, LEAST_ROOM, Rows, cross_huge, cross_large
from outlast.kernel.nth_prime.sieve.presieve import LARGEST, patterns

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from numpy.typing import NDArray

LARGEST_BLOCK = 1 << 25
"""Words: their bits can be counted in 32 bits."""

# Primes up to this are crossed off in the first-level cache. Larger ones hit a strip so rarely
# that the loop around them costs more than the slower cache.
_SMALL = 1 << 14

# Hits that are gathered before their bits are cleared: some milliseconds of work, and several for
# each cache line of a large block. 4 bytes each.
_ROOM = 1 << 21


def sieve_block(
    first: int, size: int, primes: NDArray[np.int64], large: Iterable[NDArray[np.int64]]
) -> Generator[None, None, NDArray[np.uint64]]:
    """Return `size` words from word `first` on, in which a bit is set if its number is prime.

    Yields at least once, and again after every few milliseconds of work.

    Args:
        first: index of the first word; it stands for the numbers from 240 first on.
        size: words, from 1 to LARGEST_BLOCK.
        primes: 7, 11, … up to the square root of the block's end, LARGEST at least, and SEGMENT
            at most.
        large: the primes that go on from there to the square root, ascending, in portions.
    """
    # Behind the words is what crossing off may spoil.
    buffer = np.empty(8 * size + SEGMENT, np.uint8)
    words = buffer[: 8 * size].view(np.uint64)
    yield from _sieve_segments(buffer, 8 * first, 8 * size, primes[primes > LARGEST])
    segments = -(-8 * size // SEGMENT)
    room = np.empty((segments + 1, max(_ROOM // segments, 2 * LEAST_ROOM)), np.uint32)
    rows = Rows(room, np.empty(segments + 1, np.int64), np.empty(AT_ONCE, np.int64))
    for portion in large:
        yield from _cross_portion(words, 8 * first, portion, rows)
    _restore(words, first, primes)
    return words


def _sieve_segments(
    buffer: NDArray[np.uint8], first: int, size: int, primes: NDArray[np.int64]
) -> Generator[None]:
    ahead = np.empty_like(primes)
    distances(place(first), primes, ahead)
    few = int(np.searchsorted(primes, _SMALL))
    small, medium = Group(primes[:few], ahead[:few]), Group(primes[few:], ahead[few:])
    tables = Tables(patterns(), wheel.masks())
    for begin in range(0, size, SEGMENT):
        length = min(SEGMENT, size - begin)
        cross_small(buffer[begin:], length, place(first + begin), small, tables)
        cross(buffer[begin:], length, medium, tables.masks)
        yield


def _cross_portion(
    words: NDArray[np.uint64], first: int, primes: NDArray[np.int64], rows: Rows
) -> Generator[None]:
    """Cross off the multiples of some primes beyond SEGMENT, as many at a time as have room."""
    huge = int(np.searchsorted(primes, NUMBERS_PER_WORD * words.size))
    at = 0
    while at < huge:
        at += cross_large(words, place(first), primes[at:huge], rows, wheel.bits())
        yield
    if huge < primes.size:
        hits = np.empty(primes.size - huge, np.int64)
        cross_huge(words, place(first), primes[huge:], hits, wheel.residue_bits())
        yield


def _restore(words: NDArray[np.uint64], first: int, primes: NDArray[np.int64]) -> None:
    """Put back the primes that were crossed off as their own multiples, and drop the number 1."""
    low = first * NUMBERS_PER_WORD
    if low > primes[-1]:
        return
    for p in primes[primes >= low]:
        index = wheel.index(first, int(p))
        if index < 64 * words.size:
            words[index >> 6] |= np.uint64(1 << (index & 63))
    if first == 0:
        words[0] &= ~np.uint64(1)

"""One block: the primes among a range of whole words, found from nothing but the primes below."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kernel.nth_prime.sieve import wheel
from kernel.nth_prime.sieve.cross import Group, Tables, cross, cross_huge, cross_large, cross_small, distances
from kernel.nth_prime.sieve.presieve import LARGEST, patterns

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from numpy.typing import NDArray

SEGMENT = 1 << 19
"""Bytes that are sieved at a time: they and the state of their primes fit a second-level cache."""

# Primes up to this are crossed off in the first-level cache. Larger ones hit a strip so rarely
# that the loop around them costs more than the slower cache.
_SMALL = 1 << 13

# Bits that one native call may clear: some milliseconds of work.
_HITS = 1 << 20


def sieve_block(
    first: int, size: int, primes: NDArray[np.int64], large: Iterable[NDArray[np.int64]]
) -> Generator[None, None, NDArray[np.uint64]]:
    """Return `size` words from word `first` on, in which a bit is set if its number is prime.

    Yields at least once, and again after every few milliseconds of work.

    Args:
        first: index of the first word; it stands for the numbers from 240 first on.
        size: words, at least 1.
        primes: 7, 11, … up to the square root of the block's end, LARGEST at least, and SEGMENT
            at most.
        large: the primes that go on from there to the square root, ascending, in portions.
    """
    # Behind the words is what `cross` may spoil.
    buffer = np.empty(8 * size + int(primes[-1]), np.uint8)
    words = buffer[: 8 * size].view(np.uint64)
    yield from _sieve_segments(buffer, 8 * first, 8 * size, primes[primes > LARGEST])
    for portion in large:
        yield from _cross_portion(words, 8 * first, portion)
    _restore(words, first, primes)
    return words


def _sieve_segments(
    buffer: NDArray[np.uint8], first: int, size: int, primes: NDArray[np.int64]
) -> Generator[None]:
    ahead = np.empty_like(primes)
    distances(first, primes, ahead)
    few = int(np.searchsorted(primes, _SMALL))
    small, medium = Group(primes[:few], ahead[:few]), Group(primes[few:], ahead[few:])
    tables = Tables(patterns(), wheel.bits())
    for begin in range(0, size, SEGMENT):
        length = min(SEGMENT, size - begin)
        cross_small(buffer[begin:], length, first + begin, small, tables)
        cross(buffer[begin:], length, medium, tables.bits)
        yield


def _cross_portion(
    words: NDArray[np.uint64], first: int, primes: NDArray[np.int64]
) -> Generator[None]:
    """Cross off the multiples of some primes beyond SEGMENT."""
    huge = int(np.searchsorted(primes, wheel.NUMBERS_PER_WORD * words.size))
    at = 0
    while at < huge:
        room = 8 * (8 * words.size // int(primes[at]) + 1)
        end = min(huge, at + max(1, _HITS // room))
        cross_large(words, first, primes[at:end], np.empty(room, np.int64), wheel.bits())
        yield
        at = end
    if huge < primes.size:
        hits = np.empty(primes.size - huge, np.int64)
        cross_huge(words, first, primes[huge:], hits, wheel.residue_bits())
        yield


def _restore(words: NDArray[np.uint64], first: int, primes: NDArray[np.int64]) -> None:
    """Put back the primes that were crossed off as their own multiples, and drop the number 1."""
    low = first * wheel.NUMBERS_PER_WORD
    if low > primes[-1]:
        return
    for p in primes[primes >= low]:
        index = wheel.index(first, int(p))
        if index < 64 * words.size:
            words[index >> 6] |= np.uint64(1 << (index & 63))
    if first == 0:
        words[0] &= ~np.uint64(1)

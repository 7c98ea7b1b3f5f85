"""Primes of up to nine digits in pure Python, in less time than importing a compiler takes.

A sieve of Eratosthenes over the odd numbers, one byte each, segment by segment.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cache
from itertools import compress, islice
from math import isqrt
from typing import TYPE_CHECKING

from outlast.kernel.nth_prime.cursor import NUMBERS_PER_WORD, SMALLEST, START, Cursor

if TYPE_CHECKING:
    from collections.abc import Generator

LARGEST_POSITION = 10**7
"""Its prime is 179,424,673."""

LARGEST_NUMBER = 2 * 10**8
"""Beyond it, and a segment, the primes to sieve with are too few."""

_PERIOD = 3 * 5 * 7 * 11 * 13

# Words in a segment. Segments double until one takes some milliseconds and half a megabyte, which
# fits into a processor's cache.
_LEAST, _MOST = 1 << 6, 1 << 12


def primes(limit: int) -> list[int]:
    """Return all primes up to `limit`, ascending, in one step; none below 2."""
    if limit < 2:
        return []
    # Byte i stands for 2 i + 1, and byte 0 for 2 in place of 1.
    odd = bytearray([1]) * ((limit + 1) // 2)
    for p in range(3, isqrt(limit) + 1, 2):
        if odd[p // 2]:
            composites = range(p * p // 2, len(odd), p)
            odd[composites.start :: p] = bytes(len(composites))
    return [2, *compress(range(3, limit + 1, 2), odd[1:])]


def pi(n: int) -> int:
    """Return how many primes are at most `n`, from 0 to LARGEST_NUMBER, in one step."""
    steps = count(n)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return int(end.value)


def find(n: int, cursor: Cursor = START) -> Generator[Cursor, None, int]:
    """Return the n-th prime, n from 1 to LARGEST_POSITION; 2 is the first.

    Searches upward from `cursor`, or from the origin if the prime lies below. Yields how far it is
    after every few milliseconds of work, and goes on from any cursor that it yielded.
    """
    if n <= START.count:
        return SMALLEST[n - 1]
    if cursor.count >= n:
        cursor = START
    while True:
        odd, end = _next_segment(cursor)
        if end.count >= n:
            index = next(islice(compress(range(len(odd)), odd), n - cursor.count - 1, None))
            return NUMBERS_PER_WORD * cursor.word + 2 * index + 1
        cursor = end
        yield cursor


def count(x: int, cursor: Cursor = START) -> Generator[Cursor, None, int]:
    """Return how many primes are at most `x`, x from 0 to LARGEST_NUMBER.

    Goes on from `cursor`, which must not be beyond x; yields as `find` does.
    """
    if x < SMALLEST[-1]:
        return bisect_right(SMALLEST, x)
    while True:
        odd, end = _next_segment(cursor)
        if NUMBERS_PER_WORD * end.word > x:
            within = (x + 1) // 2 - NUMBERS_PER_WORD // 2 * cursor.word
            return cursor.count + odd.count(1, 0, within)
        cursor = end
        yield cursor


def _next_segment(cursor: Cursor) -> tuple[bytearray, Cursor]:
    """Return the segment that begins at a cursor, a 1 for each odd prime in it, and its end."""
    size = min(max(_LEAST, cursor.word), _MOST)
    odd = _sieved(NUMBERS_PER_WORD // 2 * cursor.word, NUMBERS_PER_WORD // 2 * size)
    return odd, Cursor(cursor.word + size, cursor.count + odd.count(1))


def _sieved(first: int, size: int) -> bytearray:
    """Return `size` bytes, of which byte i is 1 if 2 (first + i) + 1 is a prime above 5, else 0."""
    begin = first % _PERIOD
    odd = bytearray(_pattern()[begin : begin + size])
    if first == 0:
        odd[0] = 0
        for p in (7, 11, 13):
            odd[p // 2] = 1
    end = 2 * (first + size)
    for p in _bases():
        if p * p > end:
            break
        at = p * p // 2 - first
        if at < 0:
            at %= p
        odd[at::p] = bytes(-(-(size - at) // p))
    return odd


@cache
def _pattern() -> bytes:
    """Return a segment and one period more, in which the multiples of the first primes are 0."""
    odd = bytearray([1]) * _PERIOD
    for p in (3, 5, 7, 11, 13):
        odd[p // 2 :: p] = bytes(_PERIOD // p)
    return bytes(odd) * (2 + NUMBERS_PER_WORD // 2 * _MOST // _PERIOD)


@cache
def _bases() -> list[int]:
    """Return the primes that `_pattern` leaves to sieve with, ascending."""
    end = LARGEST_NUMBER + NUMBERS_PER_WORD * _MOST
    return primes(isqrt(end))[6:]

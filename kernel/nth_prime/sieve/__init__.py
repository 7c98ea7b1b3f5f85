"""A segmented sieve for primes up to 2^80: count those of an interval, or find one by position.

A number is known by its word, 240 numbers each, so that none of them has to fit 64 bits. Every
call into native code is a few milliseconds of work. `find` and `sieve` are generators that yield
between these calls; the other functions run to the end.

    wheel     which number each bit stands for
    presieve  crossing off multiples of the smallest primes, by patterns that repeat
    cross     of those up to a segment's size, segment by segment
    large     of the larger ones, block by block
    bases     the primes to sieve with
    block     all of it for one range of words
    strong    which of the numbers that small primes leave are prime, beyond 2^66
    search    from a known count to the prime of a given position
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from outlast.kernel.nth_prime.cursor import NUMBERS_PER_WORD, SMALLEST, START, Cursor
from outlast.kernel.nth_prime.sieve import bits, strong, wheel
from outlast.kernel.nth_prime.sieve.search import LIMIT, block_size, find, sieve
from outlast.kernel.nth_prime.sieve.steps import at_each, finish

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "LIMIT",
    "after",
    "at_each",
    "before",
    "count",
    "find",
    "finish",
    "prepare",
    "sieve",
]


def count(a: int, b: int) -> int:
    """Return how many primes p there are with a <= p < b; none if b <= a.

    Raises:
        ValueError: b is beyond LIMIT.
    """
    a = max(a, 0)
    if b <= a:
        return 0
    total = sum(a <= p < b for p in SMALLEST)
    word, end = a // NUMBERS_PER_WORD, -(-b // NUMBERS_PER_WORD)
    while word < end:
        size = min(end - word, block_size(word, b))
        words = finish(sieve(word, size))
        _clip(words, word, a, b)
        total += bits.count(words)
        word += size
    return total


def after(a: int, k: int) -> int:
    """Return the k-th prime from `a` on, which is `a` itself if k is 1 and `a` is prime; k >= 1.

    Raises:
        ValueError: k is less than 1, or the search came to LIMIT.
    """
    _check_k(k)
    cursor, below = _split(a)
    return finish(find(below + k, cursor))


def before(a: int, k: int) -> int:
    """Return the k-th prime below `a`, counted downward; k >= 1.

    Raises:
        ValueError: k is less than 1, or fewer than k primes are below `a`.
    """
    _check_k(k)
    cursor, below = _split(a)
    return finish(find(below + 1 - k, cursor))


@cache
def prepare() -> None:
    """Compile everything and make the tables, once in a process, so that no later call has to."""
    after(10**13, 1)
    after(NUMBERS_PER_WORD * strong.FIRST_WORD, 1)


def _check_k(k: int) -> None:
    if k < 1:
        raise ValueError(f"k counts from 1; {k} is none")


def _split(a: int) -> tuple[Cursor, int]:
    """Return the place of a's word, counted from itself, and how many primes from there to a."""
    word = max(a, 0) // NUMBERS_PER_WORD
    cursor = Cursor(word, 0) if word else START
    return cursor, count(word * NUMBERS_PER_WORD, a)


def _clip(words: NDArray[np.uint64], first: int, a: int, b: int) -> None:
    """Clear the bits of numbers below `a` in the first word and from `b` on in the last one."""
    begin, end = wheel.index(first, a), wheel.index(first, b)
    if begin > 0:
        words[0] &= np.uint64(wheel.ALL << begin & wheel.ALL)
    if end < 64 * words.size:
        words[-1] &= np.uint64((1 << end % 64) - 1)

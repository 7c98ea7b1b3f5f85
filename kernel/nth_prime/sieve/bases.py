"""The primes to sieve with, in windows: all of them together would fill gigabytes."""

from __future__ import annotations

from functools import cache
from math import isqrt
from typing import TYPE_CHECKING

import numpy as np

from outlast.kernel.nth_prime import plain
from outlast.kernel.nth_prime.cursor import NUMBERS_PER_WORD, SMALLEST
from outlast.kernel.nth_prime.sieve import bits, wheel
from outlast.kernel.nth_prime.sieve.block import sieve_block
from outlast.kernel.nth_prime.sieve.cross import SEGMENT
from outlast.kernel.nth_prime.sieve.steps import finish

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_WORDS = 1 << 14

WIDTH = _WORDS * NUMBERS_PER_WORD
"""Numbers in a window, about four million: a millisecond or two of work."""

_KEPT = 16
"""How many windows stay in memory, 2 MB each or less."""

# The windows reach up to the square of this: far enough for numbers up to 2^68.
_LARGEST_SEED = 1 << 17


@cache
def _seeds() -> NDArray[np.int64]:
    return np.array(plain.primes(_LARGEST_SEED)[len(SMALLEST) :], np.int64)


def ascending(above: int, limit: int) -> Iterator[NDArray[np.int64]]:
    """Yield the primes greater than `above` and at most `limit`, from 7 on, window by window.

    Between two windows lie a few milliseconds of work at most.
    """
    for i in range(above // WIDTH, limit // WIDTH + 1):
        primes = _kept_window(i) if i < _KEPT else _window(i)
        begin, end = np.searchsorted(primes, (above, limit), side="right")
        yield primes[begin:end]


def _window(i: int) -> NDArray[np.int64]:
    """Return the primes from i WIDTH up to (i + 1) WIDTH, ascending, from 7 on."""
    seeds = _seeds()
    root = np.searchsorted(seeds, isqrt((i + 1) * WIDTH), side="right")
    near, far = np.split(seeds[:root], [np.searchsorted(seeds[:root], SEGMENT, side="right")])
    words = finish(sieve_block(i * _WORDS, _WORDS, near, [far] if far.size else ()))
    found = np.empty(bits.count(words), np.int64)
    bits.numbers(words, i * WIDTH, np.array(wheel.OFFSETS), found)
    return found


_kept_window = cache(_window)

"""-B = -Σ π(x/p) over the primes y < p <= √x, by counting primes from √x to x/y.

The pieces are segments of a sieve. A shard counts primes from its own beginning; the one number
that it is missing is how many primes lie before.
"""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from outlast.kernel.nth_prime.gourdon.counted import count_to, lowest, members
from outlast.kernel.nth_prime.gourdon.crossing import PATTERN_END, first_multiples, sieve_primes
from outlast.kernel.nth_prime.gourdon.division import divide_by_large
from outlast.kernel.nth_prime.gourdon.phase import Partial
from outlast.kernel.nth_prime.jit import int64, jit, uint64
from outlast.kernel.nth_prime.sieve.bits import ones

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from outlast.kernel.nth_prime.gourdon.bounds import Bounds
    from outlast.kernel.nth_prime.gourdon.tables import Tables

BUDGET = 40_000_000
"""Numbers that one shard sieves, 0.12 to 0.2 nanoseconds each."""


class Room(NamedTuple):
    """What a shard writes to.

    Attributes:
        words: one segment of the sieve.
        before: the number of primes before each of its words.
        ahead: for each prime to cross off, see `cross_off`.
    """

    words: NDArray[np.uint64]
    before: NDArray[np.int64]
    ahead: NDArray[np.int64]


def pieces(bounds: Bounds, t: Tables) -> int:  # noqa: ARG001
    """Return the number of segments."""
    return bounds.b_segments


def carry(bounds: Bounds, t: Tables) -> NDArray[np.int64]:
    """Return the number of primes before the first segment."""
    return np.array([count_to(t.pi, bounds.origin - 1)], np.int64)


def cut(bounds: Bounds, t: Tables, first: int, last: int) -> int:  # noqa: ARG001
    """Return the end of the shard: all segments cost much the same."""
    return min(first + max(BUDGET // (240 * bounds.b_words), 1), last)


def shard(bounds: Bounds, t: Tables, first: int, last: int) -> Partial:
    """Return the sum over the p with x/p in the segments first to last - 1."""
    end = bounds.origin + last * 240 * bounds.b_words
    n_primes = count_to(t.pi, min(isqrt(end), bounds.y))
    room = Room(
        np.empty(bounds.b_words, np.uint64),
        np.empty(bounds.b_words, np.int64),
        np.empty((n_primes - PATTERN_END, 8), np.int64),
    )
    total, queries, primes = _sum(bounds, t, room, first, last)
    return Partial(-int(total), np.array([-queries], np.int64), np.array([primes], np.int64))


@jit
def _sum(bounds: Bounds, t: Tables, room: Room, first: int, last: int) -> tuple[int, int, int]:
    """Return (Σ of the primes counted from the shard's beginning, number of p, primes in all)."""
    span = 240 * bounds.b_words
    low = bounds.origin + first * span
    words, before, ahead = room
    end = PATTERN_END + len(ahead)
    for i in range(PATTERN_END, end):
        p = int64(t.primes[i])
        first_multiples(low, p, p, ahead[i - PATTERN_END])
    total = int64(0)
    queries = int64(0)
    primes = int64(0)
    for _ in range(first, last):
        sieve_primes(words, low, t.patterns, t.primes, end, ahead)
        here = primes
        for k in range(bounds.b_words):
            before[k] = here
            here += ones(words[k])
        least = max(divide_by_large(bounds.x_high, bounds.x_low, low + span), bounds.y)
        most = min(divide_by_large(bounds.x_high, bounds.x_low, low), bounds.root)
        for k in range((least + 1) // 64, most // 64 + 1):
            bits = members(t.pi, k)
            while bits != uint64(0):
                p = 64 * k + 1 + 2 * lowest(bits)
                bits &= bits - uint64(1)
                if least < p <= most:
                    at = divide_by_large(bounds.x_high, bounds.x_low, p) - low
                    total += before[at // 240] + ones(words[at // 240] & t.masks[at % 240])
                    queries += 1
        primes = here
        low += span
    return total, queries, primes

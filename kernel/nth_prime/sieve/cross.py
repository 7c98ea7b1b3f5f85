"""Crossing off multiples. All positions are in bytes of 30 numbers.

The multiples p (30 k + r) of a prime p, with r one of the 8 residues, lie in every p-th byte,
p k + (p r) // 30, always at the same bit: 8 progressions a prime. Positions relative to a byte L
need only (-L) mod p. L itself may pass 2^63, and is passed as a `Place`.

p itself and its multiples below p^2 are crossed off as well; the latter are composite, and the
former is put back by the caller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from outlast.kernel.nth_prime.jit import jit
from outlast.kernel.nth_prime.sieve.presieve import STRIP, Patterns, presieve

if TYPE_CHECKING:
    from numpy.typing import NDArray

SEGMENT_BITS = np.uint64(19)

SEGMENT = 1 << 19
"""Bytes that are sieved at a time: they and the state of their primes fit a second-level cache."""


class Group(NamedTuple):
    """Primes, ascending, and for each how far ahead of the next byte to sieve its next one is."""

    primes: NDArray[np.int64]
    ahead: NDArray[np.int64]


class Tables(NamedTuple):
    """What does not depend on the place."""

    patterns: Patterns
    masks: NDArray[np.uint8]


_LOW_BITS = 20


class Place(NamedTuple):
    """A byte's index: high · 2^20 + low, low < 2^20."""

    high: int
    low: int


def place(index: int) -> Place:
    """Return an index of any size, below 2^80 at least."""
    return Place(index >> _LOW_BITS, index & ((1 << _LOW_BITS) - 1))


@jit
def rest_of_place(first: Place, p: int) -> int:
    """Return `first` minus some multiple of p < 2^40, at most a few p above or below zero."""
    return rest((rest(first.high, p) << _LOW_BITS) + first.low, p)


@jit
def rest(first: int, p: int) -> int:
    """Return `first` minus some multiple of p, at most a few p above or below zero.

    By floating-point division, which is several times faster than that of integers, and whose
    quotient is a few units off above 2^53. Quotients of the small rest are exact.
    """
    return first - np.int64(np.float64(first) / p) * p  # type: ignore[return-value]


@jit
def distance(first: Place, p: int) -> int:
    """Return (-first) mod p: how far from byte `first` the next multiple of p bytes is."""
    over = rest_of_place(first, p)
    return np.int64(np.ceil(over / p)) * p - over  # type: ignore[return-value]


@jit
def distances(first: Place, primes: NDArray[np.int64], out: NDArray[np.int64]) -> None:
    """Write the distance for each prime."""
    for j in range(primes.size):
        out[j] = distance(first, primes[j])


@jit
def start(ahead: int, p: int, residue: int) -> np.uint64:
    """Return where the progression of one residue begins: ahead + (p residue) // 30, modulo p."""
    at = np.uint64(ahead) + np.uint64(p * residue) // np.uint64(30)
    return at - (np.uint64(p) if at >= np.uint64(p) else np.uint64(0))


@jit
def cross(data: NDArray[np.uint8], size: int, group: Group, masks: NDArray[np.uint8]) -> None:
    """Cross off the multiples of the group's primes in the first `size` bytes of `data`.

    The distances are moved on to the byte after these. Behind them as many bytes as the largest
    prime are spoiled: they must exist, and be filled afterwards. That leaves no branch but the
    loop's, which is the same for many primes in a row.
    """
    primes, ahead = group
    for j in range(primes.size):
        p, begin = primes[j], ahead[j]
        row = masks[p % 30]
        m0, m1, m2, m3 = row[0], row[1], row[2], row[3]
        m4, m5, m6, m7 = row[4], row[5], row[6], row[7]
        a0, a1 = start(begin, p, 1), start(begin, p, 7)
        a2, a3 = start(begin, p, 11), start(begin, p, 13)
        a4, a5 = start(begin, p, 17), start(begin, p, 19)
        a6, a7 = start(begin, p, 23), start(begin, p, 29)
        rounds = np.int64(np.float64(size) / p)
        at = np.uint64(0)
        # All eight in one loop: its end, which a processor guesses wrong, comes once a prime.
        for _ in range(rounds + 1):
            data[at + a0] &= m0
            data[at + a1] &= m1
            data[at + a2] &= m2
            data[at + a3] &= m3
            data[at + a4] &= m4
            data[at + a5] &= m5
            data[at + a6] &= m6
            data[at + a7] &= m7
            at += np.uint64(p)
        left = begin + rounds * p - size
        ahead[j] = left + p if left < 0 else left


@jit
def cross_small(
    data: NDArray[np.uint8], size: int, first: Place, group: Group, tables: Tables
) -> None:
    """Set the first `size` bytes of `data`, from byte `first` on, to what small primes leave.

    Those of the patterns and of the group, strip by strip in the first-level cache. Bytes behind
    `size` are spoiled as in `cross`.
    """
    for begin in range(0, size, STRIP):
        end = min(begin + STRIP, size)
        presieve(data[begin:end], first.high, first.low + begin, tables.patterns)
        cross(data[begin:], end - begin, group, tables.masks)

"""Crossing off multiples. All positions are in bytes of 30 numbers.

The multiples p (30 k + r) of a prime p, with r one of the 8 residues, lie in every p-th byte,
p k + (p r) // 30, always at the same bit: 8 progressions a prime. Positions relative to a byte L
need only (-L) mod p, so no number beyond 2^63 ever occurs.

p itself and its multiples below p^2 are crossed off as well; the latter are composite, and the
former is put back by the caller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kernel.nth_prime.jit import jit
from kernel.nth_prime.sieve.presieve import STRIP, Patterns, presieve
from kernel.nth_prime.sieve.wheel import RESIDUES

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Group(NamedTuple):
    """Primes, ascending, and for each how far ahead of the next byte to sieve its next one is."""

    primes: NDArray[np.int64]
    ahead: NDArray[np.int64]


class Tables(NamedTuple):
    """What does not depend on the place."""

    patterns: Patterns
    bits: NDArray[np.int64]


@jit
def distances(first: int, primes: NDArray[np.int64], out: NDArray[np.int64]) -> None:
    """Write (-first) mod p for each prime: how far behind byte `first` its next p-th byte is."""
    height = np.float64(first)
    for j in range(primes.size):
        p = primes[j]
        # The first quotient is a few units off above 2^53; the second, of what is left, is exact.
        rest = first - np.int64(height / p) * p
        out[j] = np.int64(np.ceil(rest / p)) * p - rest


@jit
def cross(data: NDArray[np.uint8], size: int, group: Group, bits: NDArray[np.int64]) -> None:
    """Cross off the multiples of the group's primes in the first `size` bytes of `data`.

    The distances are moved on to the byte after these. Up to the largest
    prime's number of bytes behind `size` are spoiled: they must exist, and be filled afterwards.
    That leaves no branch but the loop's, which is the same for many primes in a row.
    """
    primes, ahead = group
    for j in range(primes.size):
        p = primes[j]
        rounds = np.int64(np.float64(size) / p)
        for i in range(8):
            at = ahead[j] + p * RESIDUES[i] // 30
            at -= p if at >= p else 0
            mask = np.uint8(~(1 << bits[p % 30, i]))
            for _ in range(rounds + 1):
                data[np.uint64(at)] &= mask
                at += p
        left = ahead[j] + rounds * p - size
        ahead[j] = left + p if left < 0 else left


@jit
def cross_small(
    data: NDArray[np.uint8], size: int, first: int, group: Group, tables: Tables
) -> None:
    """Set the first `size` bytes of `data`, from byte `first` on, to what small primes leave.

    Those of the patterns and of the group, strip by strip in the first-level cache. Bytes behind
    `size` are spoiled as in `cross`.
    """
    for begin in range(0, size, STRIP):
        end = min(begin + STRIP, size)
        presieve(data[begin:end], first + begin, tables.patterns)
        cross(data[begin:], end - begin, group, tables.bits)


@jit
def cross_large(
    words: NDArray[np.uint64],
    first: int,
    primes: NDArray[np.int64],
    hits: NDArray[np.int64],
    bits: NDArray[np.int64],
) -> None:
    """Cross off the multiples of primes so large that each progression hits `words` rarely.

    `hits` is room for the bits of one prime. Finding them apart from clearing them needs no
    branch that a processor would guess wrong.
    """
    size = 8 * words.size
    height = np.float64(first)
    for j in range(primes.size):
        p = primes[j]
        rest = first - np.int64(height / p) * p
        ahead = np.int64(np.ceil(rest / p)) * p - rest
        rounds = size // p
        row = p % 30
        found = 0
        for i in range(8):
            at = ahead + np.int64(np.uint64(p * RESIDUES[i]) // np.uint64(30))
            at -= p if at >= p else 0
            bit = bits[row, i]
            for _ in range(rounds + 1):
                hits[found] = 8 * at + bit
                found += at < size
                at += p
        for h in range(found):
            clear(words, hits[h])


@jit
def cross_huge(
    words: NDArray[np.uint64],
    first: int,
    primes: NDArray[np.int64],
    hits: NDArray[np.int64],
    residue_bits: NDArray[np.int64],
) -> None:
    """Cross off the multiples of primes that are larger than the numbers in `words` are many.

    Such a prime has one multiple there at most, and most have none. `hits` is room for as many
    numbers as there are primes.
    """
    size = 240 * words.size
    height = np.float64(first)
    found = 0
    for j in range(primes.size):
        p = primes[j]
        rest = first - np.int64(height / p) * p
        # From 30 (-first) mod p to the multiple itself, in numbers.
        back = -30 * rest
        at = back - np.int64(np.floor(back / p)) * p
        hits[found] = at
        found += at < size
    for h in range(found):
        byte, residue = hits[h] // 30, hits[h] % 30
        if residue_bits[residue] >= 0:
            clear(words, 8 * byte + residue_bits[residue])


@jit
def clear(words: NDArray[np.uint64], index: int) -> None:
    """Clear the bit `index`, counted through all words."""
    at = np.uint64(index)
    words[at >> np.uint64(6)] &= ~(np.uint64(1) << (at & np.uint64(63)))

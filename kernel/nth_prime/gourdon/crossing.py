"""Sieving a segment: an array of words of 240 numbers, as in the package `sieve`.

The smallest primes are sieved by ANDing a pattern, which vectorises. Larger ones are crossed off
multiple by multiple, in one loop for each of the eight bits of a byte: the multiples of p that
share a bit lie p bytes apart.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from outlast.kernel.nth_prime.cursor import NUMBERS_PER_WORD
from outlast.kernel.nth_prime.jit import int64, jit, uint64
from outlast.kernel.nth_prime.sieve.wheel import OFFSETS, RESIDUES

if TYPE_CHECKING:
    from numpy.typing import NDArray

PATTERN_PRIMES = (7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83,
                  89, 97)  # fmt: skip
"""The primes with a pattern. From about 100 on crossing off is cheaper."""

PATTERN_END = 3 + len(PATTERN_PRIMES)
"""The rank, counted from 0, of the first prime without a pattern."""

CHUNK_WORDS = 512
"""Words that a pattern is laid over at a time; a segment is a multiple."""

STRIP_WORDS = 4096
"""Words that fit a first-level cache."""


@cache
def patterns() -> NDArray[np.uint64]:
    """Return a row for each of PATTERN_PRIMES: its bits tell the numbers that p does not divide.

    The pattern of p repeats every p words, and a row is so long that CHUNK_WORDS can be read from
    any phase below p without wrapping around.
    """
    rows = np.empty((len(PATTERN_PRIMES), CHUNK_WORDS + PATTERN_PRIMES[-1]), np.uint64)
    for row, p in zip(rows, PATTERN_PRIMES, strict=True):
        numbers = 240 * np.arange(p)[:, None] + np.array(OFFSETS)
        period = np.packbits(numbers % p != 0, axis=1, bitorder="little").view(np.uint64)
        row[:] = np.resize(period, row.size)
    return rows


def words_for(numbers: int, most: int) -> int:
    """Return how many words a segment of so many numbers needs, `most` at most."""
    return min(-(-numbers // (NUMBERS_PER_WORD * CHUNK_WORDS)) * CHUNK_WORDS, most)


@jit
def set_all(words: NDArray[np.uint64]) -> None:
    """Set all bits. An assignment to a slice, or np.full, would take thrice as long to compile."""
    for k in range(len(words)):
        words[k] = uint64(0xFFFFFFFFFFFFFFFF)


@jit
def lay(words: NDArray[np.uint64], low: int, p: int, row: NDArray[np.uint64]) -> None:
    """Sieve the segment `words`, which starts at `low`, by p, whose pattern is `row`."""
    phase = low // 240 % p
    for chunk in range(0, len(words), CHUNK_WORDS):
        base = uint64(chunk)
        shift = uint64(phase)
        for k in range(uint64(CHUNK_WORDS)):
            words[base + k] &= row[shift + k]
        phase = (phase + CHUNK_WORDS) % p


@jit
def first_multiples(low: int, p: int, least: int, out: NDArray[np.int64]) -> None:
    """Set out[j] to the byte, from `low` on, of the first p·q >= low with bit j and q >= least."""
    q = max((low + p - 1) // p, least)
    base = q // 30 * 30
    for residue in RESIDUES:
        k = base + residue
        n = p * (k if k >= q else k + 30)
        out[n % 30 * 4 // 15] = (n - low) // 30


@jit
def cross_off(segment: NDArray[np.uint8], p: int, ahead: NDArray[np.int64]) -> None:
    """Clear the multiples of p in `segment`; make `ahead` relative to the segment that follows."""
    size = uint64(len(segment))
    step = uint64(p)
    for j in range(8):
        keep = np.uint8(255 - (1 << j))
        i = uint64(ahead[j])
        # Four at a time: the loop around costs as much as one multiple.
        while i + uint64(3) * step < size:
            segment[i] &= keep
            segment[i + step] &= keep
            segment[i + uint64(2) * step] &= keep
            segment[i + uint64(3) * step] &= keep
            i += uint64(4) * step
        while i < size:
            segment[i] &= keep
            i += step
        ahead[j] = i - size


@jit
def sieve_primes(
    words: NDArray[np.uint64],
    low: int,
    patterns: NDArray[np.uint64],
    primes: NDArray[np.int32],
    end: int,
    ahead: NDArray[np.int64],
) -> None:
    """Leave the bits of the numbers from `low` on that none of primes[3:end] divides.

    Row i of `ahead` belongs to primes[PATTERN_END + i], and multiples before it are not crossed
    off. Small primes work strip by strip in the first-level cache; larger ones hit a strip so
    rarely that the loop around their hits would cost more than the slower cache.
    """
    set_all(words)
    segment = words.view(np.uint8)
    small = PATTERN_END
    while small < end and primes[small] < 5000:
        small += 1
    for strip in range(0, len(words), STRIP_WORDS):
        for i in range(len(patterns)):
            p = int64(primes[3 + i])
            lay(words[strip : strip + STRIP_WORDS], low + 240 * strip, p, patterns[i])
        part = segment[8 * strip : 8 * (strip + STRIP_WORDS)]
        for i in range(PATTERN_END, small):
            cross_off(part, int64(primes[i]), ahead[i - PATTERN_END])
    for i in range(small, end):
        cross_off(segment, int64(primes[i]), ahead[i - PATTERN_END])


@cache
def masks() -> NDArray[np.uint64]:
    """Return for each r below 240 the word whose bits stand for the numbers up to r."""
    upto = np.arange(240)[:, None] >= np.array(OFFSETS)
    found: NDArray[np.uint64] = np.packbits(upto, axis=1, bitorder="little").view(np.uint64)[:, 0]
    return found

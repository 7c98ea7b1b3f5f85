"""Sieving with 30 numbers a byte: only those coprime to 2, 3 and 5 have a bit.

Bit j of byte i stands for 30·i + RESIDUES[j], so a word of 8 bytes holds 240 numbers. A segment
is an array of words that starts at a multiple of 240. Small primes are sieved by ANDing a pattern,
which vectorises and costs the same for each of them. Larger ones are crossed off multiple by
multiple, in one loop for each bit: those that share a bit lie p bytes apart.
"""

from __future__ import annotations

import numpy as np

from kernel.nth_prime.gourdon.bits import ones
from kernel.nth_prime.jit import jit

RESIDUES = (1, 7, 11, 13, 17, 19, 23, 29)

# Primes below are sieved by patterns; from here on crossing off is cheaper.
PATTERN_LIMIT = 100

# A pattern is laid over so many words at a time; a segment is a multiple of it.
CHUNK_WORDS = 512


@jit
def patterns_of(primes):
    """Return one row of words for each prime p: its bits tell the numbers p does not divide.

    A row repeats every p words. From any phase below p, CHUNK_WORDS can be read without wrapping.
    """
    width = CHUNK_WORDS + np.int64(primes[-1])
    rows = np.full((len(primes), width), np.uint64(0xFFFFFFFFFFFFFFFF))
    for i in range(len(primes)):
        p = np.int64(primes[i])
        for q in range(1, (240 * width - 1) // p + 1):
            n = p * q
            residue = n % 30
            if residue % 2 and residue % 3 and residue % 5:
                bit = n % 240 // 30 * 8 + residue * 4 // 15
                rows[i, n // 240] &= ~(np.uint64(1) << np.uint64(bit))
    return rows


@jit
def lay(words, low, p, row):
    """Sieve by p, whose pattern is `row`, the segment `words` that starts at `low`."""
    phase = low // 240 % p
    for chunk in range(0, len(words), CHUNK_WORDS):
        base = np.uint64(chunk)
        shift = np.uint64(phase)
        for k in range(np.uint64(CHUNK_WORDS)):
            words[base + k] &= row[shift + k]
        phase = (phase + CHUNK_WORDS) % p


@jit
def first_multiples(low, p, start, out):
    """Set out[j] to the byte where the first multiple p·q >= low with bit j and q >= start lies.

    Bytes are counted from `low`.
    """
    q = max((low + p - 1) // p, start)
    for k in range(q, q + 30):
        if k % 2 and k % 3 and k % 5:
            n = p * k
            out[n % 30 * 4 // 15] = (n - low) // 30


@jit
def cross_off(segment, p, following):
    """Clear the multiples of p in the bytes `segment`; move `following` on to the next segment."""
    size = np.uint64(len(segment))
    step = np.uint64(p)
    for j in range(8):
        keep = np.uint8(255 - (1 << j))
        i = np.uint64(following[j])
        # Four at a time: the loop's own cost is as high as that of one multiple.
        while i + np.uint64(3) * step < size:
            segment[i] &= keep
            segment[i + step] &= keep
            segment[i + np.uint64(2) * step] &= keep
            segment[i + np.uint64(3) * step] &= keep
            i += np.uint64(4) * step
        while i < size:
            segment[i] &= keep
            i += step
        following[j] = i - size


@jit
def count_bits(words):
    """Return how many bits are set."""
    total = 0
    for k in range(len(words)):
        total += ones(words[k])
    return total


@jit
def masks_to():
    """Return for each r below 240 the word whose bits stand for the numbers 0 to r."""
    masks = np.empty(240, np.uint64)
    word = np.uint64(0)
    for r in range(240):
        if r % 2 and r % 3 and r % 5:
            word |= np.uint64(1) << np.uint64(r // 30 * 8 + r % 30 * 4 // 15)
        masks[r] = word
    return masks

"""Sieving with 30 numbers a byte: only those coprime to 2, 3 and 5 have a bit.

Bit j of byte i stands for 30·i + RESIDUES[j]; a word of 8 bytes holds 240 numbers. A segment is
an array of words that starts at a multiple of 240. Small primes are sieved by ANDing a repeated
pattern, which vectorises and costs the same for each; larger ones are crossed off one multiple at
a time, in eight loops, as the multiples p·q with q ≡ RESIDUES[j] (mod 30) all have the same bit
and lie p bytes apart.
"""

from __future__ import annotations

import numpy as np

from kernel.nth_prime.gourdon.bits import ones
from kernel.nth_prime.jit import jit

RESIDUES = (1, 7, 11, 13, 17, 19, 23, 29)

# Primes from 7 on below this are sieved by patterns; above it, single hits are cheaper.
PATTERN_LIMIT = 400

# A pattern is laid over this many words at a time, wherever in its period it starts.
CHUNK_WORDS = 512


@jit
def make_patterns(primes):
    """Return one row for each prime p: words whose bits tell the numbers that p does not divide.

    Row i repeats with a period of p words and is CHUNK_WORDS + p long: from any phase below p,
    CHUNK_WORDS can be read without wrapping around.
    """
    rows = np.full((len(primes), 512 + primes[-1]), np.uint64(0xFFFFFFFFFFFFFFFF))
    for i in range(len(primes)):
        p = np.int64(primes[i])
        for word in range(512 + p):
            first = 240 * word
            n = (first + p - 1) // p * p
            while n < first + 240:
                residue = n % 30
                bit = residue * 4 // 15
                if 30 * bit // 8 + 1 <= residue and _is_residue(residue):
                    byte = (n - first) // 30
                    rows[i, word] &= ~(np.uint64(1) << np.uint64(8 * byte + bit))
                n += p
    return rows


@jit
def _is_residue(r):
    return r % 2 == 1 and r % 3 != 0 and r % 5 != 0


@jit
def lay_patterns(words, low, primes, patterns, begin, end):
    """AND the patterns of primes[begin:end] into the segment `words`, which starts at `low`."""
    chunks = len(words) // 512
    for i in range(begin, end):
        p = np.int64(primes[i])
        row = patterns[i]
        phase = low // 240 % p
        for chunk in range(chunks):
            base = np.uint64(chunk * 512)
            shift = np.uint64(phase)
            for k in range(np.uint64(512)):
                words[base + k] &= row[shift + k]
            phase = (phase + 512) % p

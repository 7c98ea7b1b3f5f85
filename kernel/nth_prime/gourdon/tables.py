"""What every shard looks things up in; cheap to rebuild, so never part of the state."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kernel.nth_prime.gourdon.bits import lowest, ones
from kernel.nth_prime.gourdon.counted import count_to, pack, spread_of
from kernel.nth_prime.gourdon.division import long_division
from kernel.nth_prime.gourdon.wheel import (
    PATTERN_LIMIT,
    RESIDUES,
    cross_off,
    first_multiples,
    lay,
    masks_to,
    patterns_of,
)
from kernel.nth_prime.jit import jit

PERIOD_7 = 510510


class Tables(NamedTuple):
    pi: npt.NDArray[np.uint64]
    phi7: npt.NDArray[np.uint64]
    primes: npt.NDArray[np.int32]
    reciprocals: npt.NDArray[np.float64]
    quotients: npt.NDArray[np.int64]
    composite_reciprocals: npt.NDArray[np.float64]
    composite_keys: npt.NDArray[np.int32]
    composite_starts: npt.NDArray[np.int32]
    patterns: npt.NDArray[np.uint64]
    masks: npt.NDArray[np.uint64]
    pattern_end: int
    star_rank: int


@jit
def sieve_primes(words, low, primes, begin, end, following, patterns):
    """Leave the bits of the numbers that none of primes[3:end] divides; `begin` ends patterns."""
    segment = words.view(np.uint8)
    words[:] = np.uint64(0xFFFFFFFFFFFFFFFF)
    middle = begin
    while middle < end and primes[middle] < 5000:
        middle += 1
    for strip in range(0, len(words), 4096):
        part = words[strip : strip + 4096]
        for i in range(3, begin):
            lay(part, low + 240 * strip, np.int64(primes[i]), patterns[i - 3])
        for i in range(begin, middle):
            cross_off(segment[8 * strip : 8 * strip + 32768], np.int64(primes[i]), following[i])
    for i in range(middle, end):
        cross_off(segment, np.int64(primes[i]), following[i])


@jit
def fill_pi(pi, low, high, count, base, begin, patterns, spread):
    n_words = 8192
    words = np.empty(n_words, np.uint64)
    segment = words.view(np.uint8)
    following = np.empty((len(base), 8), np.int64)
    started = begin
    step = 240 * n_words
    while low < high:
        while started < len(base) and np.int64(base[started]) ** 2 < low + step:
            p = np.int64(base[started])
            first_multiples(low, p, p, following[started])
            started += 1
        sieve_primes(words, low, base, begin, started, following, patterns)
        if low == 0:
            for i in range(3, begin):
                p = np.int64(base[i])
                segment[p // 30] |= np.uint8(1 << (p % 30 * 4 // 15))
            count = pack(segment, spread, pi, 0, 2)
            pi[0] = (pi[0] & np.uint64(0xFFFFFFFF)) | np.uint64(0b1100)
        else:
            count = pack(segment, spread, pi, low // 64, count)
        low += step
    return count


@jit
def list_primes(pi, primes, reciprocals, first, last, position):
    """Append the primes that entries first to last - 1 of `pi` hold."""
    for k in range(first, last):
        entry = pi[k]
        bits = (entry & np.uint64(0xFFFFFFFF)) >> np.uint64(1)
        count = np.int64(pi[k + 1] >> np.uint64(32)) - np.int64(entry >> np.uint64(32))
        if count > ones(bits):
            bits |= np.uint64(1) << np.uint64(31)
        while bits and position < len(primes):
            n = 64 * k + 1 + 2 * lowest(bits)
            if n == 1:
                n = 2
            primes[position] = n
            reciprocals[position] = 1.0 / np.float64(n)
            position += 1
            bits &= bits - np.uint64(1)
    return position


@jit
def list_composites(low, y, primes, patterns, reciprocals, keys, starts, position):
    """Append the squarefree composites in [low, low + 122880) up to y with lpf > 19."""
    n_words = 512
    words = np.full(n_words, np.uint64(0xFFFFFFFFFFFFFFFF))
    for i in range(3, 8):
        lay(words, low, np.int64(primes[i]), patterns[i - 3])
    high = low + 240 * n_words
    product = np.ones(64 * n_words, np.int64)
    rank = np.zeros(64 * n_words, np.int32)
    following = np.empty(8, np.int64)
    size = 8 * n_words
    i = 8
    while i < len(primes) and np.int64(primes[i]) ** 2 < high:
        p = np.int64(primes[i])
        first_multiples(low, p, 1, following)
        for j in range(8):
            byte = following[j]
            while byte < size:
                k = 8 * byte + j
                product[k] *= -p
                if rank[k] == 0:
                    rank[k] = i
                byte += p
        square = p * p
        n = (low + square - 1) // square * square
        while n < high:
            r = n % 30
            if r % 2 and r % 3 and r % 5:
                product[(n - low) // 30 * 8 + r * 4 // 15] = 0
            n += square
        i += 1
    for w in range(n_words):
        bits = words[w]
        while bits:
            j = lowest(bits)
            bits &= bits - np.uint64(1)
            k = 64 * w + j
            found = product[k]
            n = low + 240 * w + 30 * (j >> 3) + RESIDUES[j & 7]
            if found == 0 or rank[k] == 0 or n == np.int64(primes[rank[k]]) or n > y:
                continue
            sign = -1 if (found > 0) == (abs(found) == n) else 1
            reciprocals[position] = 1.0 / np.float64(n)
            keys[position] = sign * rank[k]
            position += 1
        # Filled once for each multiple of 64 below; the last word of a block of 960 ends on one.
        if w % 4 == 3:
            pass
    return position


@jit
def index_composites(reciprocals, starts, first, last):
    """Set starts[v] for first <= v < last to the number of composites below 64·v."""
    position = 0
    low, high = 0, len(reciprocals)
    if first > 0:
        while low < high:
            middle = (low + high) // 2
            if reciprocals[middle] * (64.0 * first) > 1.0:
                low = middle + 1
            else:
                high = middle
        position = low
    for v in range(first, last):
        while position < len(reciprocals) and np.int64(
            1.0 / reciprocals[position] + 0.5
        ) < 64 * v:
            position += 1
        starts[v] = position


@jit
def composites_to(t, v):
    """Return how many of the listed composites are at most v."""
    position = np.int64(t.composite_starts[v >> 6])
    least = 1.0 / np.float64(v)
    while (
        position < len(t.composite_reciprocals) and t.composite_reciprocals[position] >= least
    ):
        position += 1
    return position


@jit
def quotients_of(high, low, primes, out):
    for i in range(len(out)):
        p = np.int64(primes[i])
        out[i] = long_division(high, low, p) if i >= 8 else 0


@jit
def fill_phi7(table, spread, primes, patterns):
    words = np.full(2560, np.uint64(0xFFFFFFFFFFFFFFFF))
    for i in range(3, 7):
        lay(words, 0, np.int64(primes[i]), patterns[i - 3])
    pack(words.view(np.uint8), spread, table, 0, 0)


def small_primes(limit):
    flags = np.ones(limit + 1, dtype=np.bool_)
    flags[:2] = False
    for n in range(2, math.isqrt(limit) + 1):
        if flags[n]:
            flags[n * n :: n] = False
    return np.flatnonzero(flags).astype(np.int32)


def build(bounds):
    spread = spread_of()
    base = small_primes(max(math.isqrt(bounds.root) + 1, 2 * PATTERN_LIMIT))
    begin = int(np.searchsorted(base, PATTERN_LIMIT))
    patterns = patterns_of(base[3:begin])
    step = 240 * 8192
    segments = (bounds.root + 64) // step + 1
    pi = np.empty(segments * step // 64 + 1, np.uint64)
    count = fill_pi(pi, 0, segments * step, 0, base, begin, patterns, spread)
    pi[-1] = count << 32
    phi7 = np.empty(2560 * 240 // 64, np.uint64)
    fill_phi7(phi7, spread, base, patterns)
    a = int(count_to(pi, bounds.y))
    primes = np.empty(a, np.int32)
    reciprocals = np.empty(a, np.float64)
    list_primes(pi, primes, reciprocals, 0, bounds.y // 64 + 1, 0)
    bound = bounds.y // PERIOD_7 * 92160 + int(count_to(phi7, bounds.y % PERIOD_7)) - a + 8
    cr = np.empty(bound, np.float64)
    ck = np.empty(bound, np.int32)
    starts = np.empty(bounds.y // 64 + 2, np.int32)
    position = 0
    for low in range(0, bounds.y + 1, 240 * 512):
        position = list_composites(low, bounds.y, primes, patterns, cr, ck, starts, position)
    cr = cr[:position]
    ck = ck[:position]
    index_composites(cr, starts, 0, len(starts))
    q = np.empty(int(count_to(pi, bounds.cube)), np.int64)
    quotients_of(bounds.x_high, bounds.x_low, primes, q)
    return Tables(
        pi, phi7, primes, reciprocals, q, cr, ck, starts, patterns, masks_to(), begin,
        int(count_to(pi, bounds.star)),
    )

"""B: Σ π(x/p) over the primes y < p <= √x, by sieving [√x, x/y] once."""

from __future__ import annotations

import numpy as np

from kernel.nth_prime.gourdon.bits import lowest, ones
from kernel.nth_prime.gourdon.counted import count_to
from kernel.nth_prime.gourdon.tables import sieve_primes
from kernel.nth_prime.gourdon.wheel import first_multiples
from kernel.nth_prime.jit import jit


@jit
def _divide(x_float, x_low64, p):
    """Return ⌊x/p⌋, where it is below 2^50, from x rounded and x mod 2^64."""
    q = np.int64(x_float / np.float64(p))
    rest = x_low64 - q * p
    return q + np.int64(rest >= p) - np.int64(rest < 0)


@jit
def b(bounds, t, first, last):
    """Return (S, N, C) for the segments first to last - 1."""
    n_words = bounds.b_words
    span = 240 * n_words
    origin = bounds.root // 240 * 240
    low = origin + first * span
    words = np.empty(n_words, np.uint64)
    before = np.empty(n_words, np.int64)
    x64 = (bounds.x_high << 32) + bounds.x_low
    xf = np.float64(bounds.x_high) * 4294967296.0 + np.float64(bounds.x_low)
    top = origin + last * span
    end = count_to(t.pi, min(np.int64(np.sqrt(np.float64(min(top, bounds.end)))) + 1, bounds.y))
    begin = t.pattern_end
    following = np.empty((end, 8), np.int64)
    for i in range(begin, end):
        p = np.int64(t.primes[i])
        first_multiples(low, p, p, following[i])
    total = 0
    queries = 0
    count = 0
    for s in range(first, last):
        sieve_primes(words, low, t.primes, begin, end, following, t.patterns)
        found = 0
        for k in range(n_words):
            before[k] = found
            found += ones(words[k])
        high = low + span
        least = max(_divide(xf, x64, high), bounds.y)
        most = min(_divide(xf, x64, low), bounds.root)
        for k in range((least + 1) // 64, most // 64 + 1):
            entry = t.pi[k]
            bits = (entry & np.uint64(0xFFFFFFFF)) >> np.uint64(1)
            here = np.int64(t.pi[k + 1] >> np.uint64(32)) - np.int64(entry >> np.uint64(32))
            if here > ones(bits):
                bits |= np.uint64(1) << np.uint64(31)
            while bits:
                p = 64 * k + 1 + 2 * lowest(bits)
                bits &= bits - np.uint64(1)
                if least < p <= most:
                    n = _divide(xf, x64, p) - low
                    w = n // 240
                    total += count + before[w] + ones(words[w] & t.masks[n - 240 * w])
                    queries += 1
        count += found
        low = high
    return total, queries, count

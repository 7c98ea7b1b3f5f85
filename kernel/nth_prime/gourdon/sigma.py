"""Σ: the leaves whose value is a polynomial in counts of primes, with three short sums."""

from __future__ import annotations

import math

import numpy as np

from kernel.nth_prime.gourdon.counted import count_to
from kernel.nth_prime.jit import jit


def sigma(bounds, t):
    a = len(t.primes)
    b, c, d, s = (
        int(count_to(t.pi, n)) for n in (bounds.cube, bounds.middle, bounds.star, bounds.root)
    )
    polynomials = (
        (a - 1 + s * (s - 1) // 2 - a * (a - 1) // 2)
        + (a - b) * (a - b - 1) // 2
        + a * (b - c - c * (c - 3) // 2 + d * (d - 3) // 2)
        + (b * (b - 1) * (2 * b - 1) // 6 - b - d * (d - 1) * (2 * d - 1) // 6 + d)
    )
    return polynomials + int(_sums(bounds, t, c, d, a))


@jit
def _sums(bounds, t, c, d, a):
    total = 0
    for i in range(d, len(t.quotients)):
        p = np.int64(t.primes[i])
        n = t.quotients[i]
        if i < c:
            total += a * count_to(t.pi, n // bounds.y)
        else:
            total += count_to(t.pi, n // p)
        total -= count_to(t.pi, _square_root(n)) ** 2
    return total


@jit
def _square_root(n):
    root = np.int64(math.sqrt(np.float64(n)))
    root -= np.int64(root * root > n)
    return root + np.int64((root + 1) * (root + 1) <= n)

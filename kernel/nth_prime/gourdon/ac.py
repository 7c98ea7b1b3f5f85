"""A + C: the leaves with x/(p·m) <= √x, whose value is a look-up of π."""

from __future__ import annotations

import numpy as np

from kernel.nth_prime.gourdon.counted import count_to
from kernel.nth_prime.gourdon.division import QUICK_LIMIT, exact, quick
from kernel.nth_prime.gourdon.tables import composites_to
from kernel.nth_prime.jit import jit


@jit
def _sum(pi, n, reciprocals, first, last):
    """Return Σ π(n/m) over m = 1/reciprocals[first:last]."""
    total = 0
    if n < QUICK_LIMIT:
        numerator = np.float64(n) + 0.5
        for i in range(np.uint64(first), np.uint64(last)):
            total += count_to(pi, quick(numerator, reciprocals[i]))
    else:
        for i in range(np.uint64(first), np.uint64(last)):
            total += count_to(pi, exact(n, reciprocals[i]))
    return total


@jit
def _sum_composites(pi, n, reciprocals, keys, b, first, last):
    total = 0
    for i in range(np.uint64(first), np.uint64(last)):
        key = np.int64(keys[i])
        sign = np.int64(key > b) - np.int64(key < -b)
        total += sign * (count_to(pi, exact(n, reciprocals[i])) + 1 - b)
    return total


@jit
def _limits(bounds, t, b, low, high):
    """Return (least, most): the m of row b with x/(p·m) in [low, high) are least < m <= most."""
    p = np.int64(t.primes[b])
    n = t.quotients[b]
    if p <= bounds.star:
        least = max(p, bounds.y // p, n // (p * p))
        most = bounds.y
    else:
        least = p
        most = np.int64(np.sqrt(np.float64(n)))
        most -= np.int64(most * most > n)
        most += np.int64((most + 1) * (most + 1) <= n)
    least = max(least, n // high)
    if low > 0:
        most = min(most, n // low)
    return least, most


@jit
def ac_piece(bounds, t, b, low, high):
    p = np.int64(t.primes[b])
    n = t.quotients[b]
    least, most = _limits(bounds, t, b, low, high)
    if least >= most:
        return 0
    first = count_to(t.pi, least)
    last = count_to(t.pi, most)
    if p > bounds.star:
        middle = min(max(count_to(t.pi, min(n // bounds.y, bounds.root)), first), last)
        return _sum(t.pi, n, t.reciprocals, first, middle) + 2 * _sum(
            t.pi, n, t.reciprocals, middle, last
        )
    total = _sum(t.pi, n, t.reciprocals, first, last) + (last - first) * (1 - b)
    if p * p < most:
        total += _sum_composites(
            t.pi,
            n,
            t.composite_reciprocals,
            t.composite_keys,
            b,
            composites_to(t, least),
            composites_to(t, most),
        )
    return total


@jit
def ac(bounds, t, first, last):
    rows = len(t.quotients) - 8
    total = 0
    for piece in range(first, last):
        s = piece // rows
        b = 8 + piece - s * rows
        low = s * bounds.ac_span
        total += ac_piece(bounds, t, b, low, low + bounds.ac_span)
    return total


@jit
def ac_cut(bounds, t, first, last, budget):
    rows = len(t.quotients) - 8
    work = 0
    for piece in range(first, last):
        s = piece // rows
        b = 8 + piece - s * rows
        low = s * bounds.ac_span
        least, most = _limits(bounds, t, b, low, low + bounds.ac_span)
        work += 8
        if least < most:
            work += count_to(t.pi, most) - count_to(t.pi, least)
        if work >= budget:
            return piece + 1
    return last

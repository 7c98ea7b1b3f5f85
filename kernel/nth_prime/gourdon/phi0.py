"""Φ0: the ordinary leaves, Σ μ(m)·φ(x/m, 8) over squarefree m <= y that no prime to 19 divides."""

from __future__ import annotations

import numpy as np

from kernel.nth_prime.gourdon.counted import count_to
from kernel.nth_prime.gourdon.division import long_division
from kernel.nth_prime.jit import jit


@jit
def phi7(t, n):
    period = 510510
    return n // period * 92160 + count_to(t.phi7, n % period)


@jit
def phi8(t, n):
    return phi7(t, n) - phi7(t, n // 19)


@jit
def phi0(bounds, t, first, last):
    total = 0
    n_primes = len(t.primes) - 8
    for i in range(first, min(last, n_primes)):
        m = np.int64(t.primes[8 + i])
        total -= phi8(t, long_division(bounds.x_high, bounds.x_low, m))
    for i in range(max(first - n_primes, 0), last - n_primes):
        m = np.int64(1.0 / t.composite_reciprocals[i] + 0.5)
        value = phi8(t, long_division(bounds.x_high, bounds.x_low, m))
        total += -value if t.composite_keys[i] > 0 else value
    return total


def phi8_big(t, n):
    q, r = divmod(n, 510510 * 19)
    return q * 92160 * 18 + int(phi8(t, r))

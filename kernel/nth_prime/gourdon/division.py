"""Exact integer quotients without integer division, several in one vector instruction."""

from __future__ import annotations

import numpy as np

from kernel.nth_prime.jit import jit

# Up to here half a unit outweighs the rounding of the reciprocal and of the product.
QUICK_LIMIT = 2**50


@jit
def quick(numerator, reciprocal):
    """Return ⌊n/m⌋ for numerator = n + 1/2, n < QUICK_LIMIT, and reciprocal = fl(1/m).

    (n + 1/2)/m is at least 1/(2m) away from every integer, and two roundings move it by less than
    (n + 1/2)/m · 2^-52 (1 + 2^-52) < 1/(2m).
    """
    return np.int64(numerator * reciprocal)


@jit
def exact(n, reciprocal):
    """Return ⌊n/m⌋ for 0 <= n < 2^63, reciprocal = fl(1/m), m < 2^31 and a quotient below 2^50."""
    m = np.int64(1.0 / reciprocal + 0.5)
    q = np.int64(np.float64(n) * reciprocal)
    rest = n - q * m
    return q + np.int64(rest >= m) - np.int64(rest < 0)


@jit
def long_division(high, low, m):
    """Return ⌊(high · 2^32 + low)/m⌋ for low < 2^32, m < 2^31 and a quotient below 2^63."""
    q = high // m
    return (q << 32) + (((high - q * m) << 32) + low) // m


@jit
def quotient(n, reciprocal):
    """Return ⌊n/m⌋ by whichever way holds for n. Where n is the same for a loop, so is the way."""
    if n < QUICK_LIMIT:
        return quick(np.float64(n) + 0.5, reciprocal)
    return exact(n, reciprocal)

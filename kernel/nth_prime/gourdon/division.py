"""Exact integer quotients without integer division, so that several fit in one instruction."""

from __future__ import annotations

import numpy as np

from outlast.kernel.nth_prime.jit import inner, int64


@inner
def quotient(n: int, reciprocal: float) -> int:
    """Return ⌊n/m⌋ for 0 <= n < 2^63, reciprocal = fl(1/m), 0 < m < 2^31, a quotient below 2^50.

    Below 2^50: (n + 1/2)/m is at least 1/(2m) away from every integer, and the roundings of the
    reciprocal and of the product move it by less than (n + 1/2)/m · 2^-52 · (1 + 2^-52) < 1/(2m).

    From there on the product is off by one at most, which the remainder tells.
    """
    if n < 2**50:
        return int64((np.float64(n) + 0.5) * reciprocal)
    m = int64(1.0 / reciprocal + 0.5)
    q = int64(np.float64(n) * reciprocal)
    rest = n - q * m
    return q + int64(rest >= m) - int64(rest < 0)


@inner
def divide(high: int, low: int, m: int) -> int:
    """Return ⌊(high · 2^32 + low)/m⌋ for low < 2^32, m < 2^31 and a quotient below 2^63."""
    q = high // m
    return (q << 32) + (((high - q * m) << 32) + low) // m


@inner
def divide_by_large(high: int, low: int, m: int) -> int:
    """Return ⌊(high · 2^32 + low)/m⌋ for low < 2^32, m < 2^62 and a quotient below 2^50.

    The floating-point quotient is off by one at most. The remainder tells: it is computed modulo
    2^64, where it has one value only, as it lies between -m and 2m.
    """
    q = int64((np.float64(high) * 4294967296.0 + np.float64(low)) / np.float64(m))
    rest = (high << 32) + low - q * m
    return q + int64(rest >= m) - int64(rest < 0)


@inner
def square_root(n: int) -> int:
    """Return ⌊√n⌋ for 0 <= n < 2^62."""
    root = int64(np.sqrt(np.float64(n)))
    root -= int64(root * root > n)
    return root + int64((root + 1) * (root + 1) <= n)

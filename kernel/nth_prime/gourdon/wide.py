"""Numbers that may pass 2^63, as (approx, residue): the nearest float, and the rest modulo 2^64.

Together they give exact quotients below 2^51: the floating-point quotient is off by one at most,
and its remainder, which lies between -m and 2m, is known from its residue modulo 2^64.
"""

from __future__ import annotations

import numpy as np

from outlast.kernel.nth_prime.jit import int64, jit


@jit
def divide_x(high: int, low: int, m: int) -> tuple[int, int]:
    """Return ⌊(high · 2^32 + low)/m⌋ split in the same way, for low < 2^32, m < 2^46."""
    q = high // m if high >= m else int64(0)  # for small x mostly 0, and slow
    rest = high - q * m
    part = int64((np.float64(rest) * 4294967296.0 + np.float64(low)) / np.float64(m))
    left = (rest << 32) + low - part * m
    return q, part + int64(left >= m) - int64(left < 0)


@jit
def joined(high: int, low: int) -> tuple[float, int]:
    """Return high · 2^32 + low as (approx, residue)."""
    return np.float64(high) * 4294967296.0 + np.float64(low), (high << 32) + low


@jit
def divide(approx: float, residue: int, m: int) -> int:
    """Return the quotient by m, 0 < m < 2^62; the quotient is below 2^51.

    Two roundings, of `approx` and of the quotient, move it by less than 2^51 · 2^-52 · (1 + 2^-53).
    """
    q = int64(approx / np.float64(m))
    rest = residue - q * m
    return q + int64(rest >= m) - int64(rest < 0)


@jit
def square_root(n: int) -> int:
    """Return ⌊√n⌋ for 0 <= n < 2^62."""
    root = int64(np.sqrt(np.float64(n)))
    root -= int64(root * root > n)
    return root + int64((root + 1) * (root + 1) <= n)

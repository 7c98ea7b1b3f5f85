"""Φ0: the ordinary leaves, Σ μ(m)·φ(x/m, 8) over m <= y, squarefree, without a prime up to 19.

The pieces are spans of m.
"""

from __future__ import annotations

from functools import cache
from math import isqrt
from typing import TYPE_CHECKING

import numpy as np

from outlast.kernel.nth_prime.gourdon.bounds import PHI0_SPAN as SPAN
from outlast.kernel.nth_prime.gourdon.bounds import RANK
from outlast.kernel.nth_prime.gourdon.counted import count_to
from outlast.kernel.nth_prime.gourdon.crossing import first_multiples
from outlast.kernel.nth_prime.gourdon.interval import pi
from outlast.kernel.nth_prime.gourdon.term import Partial, no_tables, partial
from outlast.kernel.nth_prime.gourdon.wide import divide_x
from outlast.kernel.nth_prime.jit import inner, int64, jit
from outlast.kernel.nth_prime.sieve.wheel import RESIDUES

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

    from outlast.kernel.nth_prime.gourdon.bounds import Bounds
    from outlast.kernel.nth_prime.gourdon.rows import Rows

PERIOD = 2 * 3 * 5 * 7 * 11 * 13 * 17
"""The numbers that none of the first 7 primes divides repeat with this period, …"""

PER_PERIOD = 1 * 2 * 4 * 6 * 10 * 12 * 16
"""… in which so many of them lie."""

build = no_tables


def shard(
    bounds: Bounds,
    rows: Rows,
    tables: None,
    first: int,
    last: int,  # noqa: ARG001 - see `Term`
) -> Generator[None, None, Partial]:
    """Return the sum over the pieces first to last - 1. Yields after each."""
    coprime = _coprime()
    known, sign = np.empty(SPAN // 30 * 8, np.int64), np.empty(SPAN // 30 * 8, np.int64)
    ahead = np.empty(8, np.int64)
    total = 0
    for piece in range(first, last):
        low, high = SPAN * piece, min(SPAN * (piece + 1), bounds.y + 1)
        _factor(rows.primes, pi(rows.primes, isqrt(high)), low, known, sign, ahead)
        total += _sum(bounds.x_high, bounds.x_low, low, high, known, sign, coprime)
        yield
    return partial(total)


@cache
def _coprime() -> NDArray[np.uint64]:
    """Return the numbers up to PERIOD that no prime up to 17 divides, for `count_to`."""
    odd = np.arange(1, 64 * (PERIOD // 64 + 1), 2)
    member = np.ones(len(odd), bool)
    for p in (3, 5, 7, 11, 13, 17):
        member &= odd % p != 0
    bits = member.reshape(-1, 32)
    counts = np.concatenate([[0], np.cumsum(bits.sum(axis=1))]).astype(np.uint64)
    table = counts << np.uint64(32)
    table[:-1] |= (bits[:, :31] << np.arange(1, 32, dtype=np.uint64)).sum(axis=1, dtype=np.uint64)
    return table


@jit
def _factor(
    primes: NDArray[np.int32],
    end: int,
    low: int,
    known: NDArray[np.int64],
    sign: NDArray[np.int64],
    ahead: NDArray[np.int64],
) -> None:
    """Find the factors of the m from `low` on among the first `end` primes.

    A slot's `known` is the product of those from 23 on, and its `sign` is μ of that; 0 if m has a
    square among its factors, or a prime up to 19.
    """
    for slot in range(len(known)):
        known[slot] = 1
        sign[slot] = 1
    for rank in range(3, end):
        p = int64(primes[rank])
        first_multiples(low, p, 1, ahead)
        for j in range(8):
            for slot in range(8 * ahead[j] + j, len(known), 8 * p):
                known[slot] *= p
                sign[slot] = -sign[slot] if rank >= RANK else 0
        if rank >= RANK:
            first_multiples(low, p * p, 1, ahead)
            for j in range(8):
                for slot in range(8 * ahead[j] + j, len(known), 8 * p * p):
                    sign[slot] = 0


@jit
def _sum(
    x_high: int,
    x_low: int,
    low: int,
    high: int,
    known: NDArray[np.int64],
    sign: NDArray[np.int64],
    coprime: NDArray[np.uint64],
) -> int:
    """Return Σ μ(m)·φ(x/m, 8) over the m with low <= m < high."""
    total = int64(0)
    for slot in range(len(sign)):
        m = low + 30 * (slot >> 3) + RESIDUES[slot & 7]
        if m >= high:
            break
        if sign[slot] != 0:
            # What is left of m beside its known factors is a prime.
            mu = sign[slot] if known[slot] == m else -sign[slot]
            total += mu * _phi_8(coprime, *divide_x(x_high, x_low, m))
    return total


@inner
def _phi_8(coprime: NDArray[np.uint64], high: int, low: int) -> int:
    """Return how many numbers from 1 to high · 2^32 + low no prime up to 19 divides."""
    part = high // 19
    rest = ((high - 19 * part) << 32) + low
    return _phi_7(coprime, high, low) - _phi_7(coprime, part, rest // 19)


@inner
def _phi_7(coprime: NDArray[np.uint64], high: int, low: int) -> int:
    periods = high // PERIOD
    rest = ((high - periods * PERIOD) << 32) + low
    more = rest // PERIOD
    whole = (periods << 32) + more
    return whole * PER_PERIOD + count_to(coprime, rest - more * PERIOD)

"""Single shards far beyond 2^64, against sums over their leaves in Python's own integers."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from functools import cache
from math import isqrt
from typing import TYPE_CHECKING

import numpy as np
import pytest

from outlast.kernel.nth_prime import plain
from outlast.kernel.nth_prime.gourdon import ac, b, phi0, sigma
from outlast.kernel.nth_prime.gourdon.bounds import PHI0_SPAN, RANK, Bounds, bounds_of, divide
from outlast.kernel.nth_prime.gourdon.interval import PrimeSieve, fill, list_members, new_table
from outlast.kernel.nth_prime.gourdon.rows import build_rows
from outlast.kernel.nth_prime.gourdon.window import build_window
from outlast.kernel.nth_prime.sieve.steps import finish

if TYPE_CHECKING:
    from outlast.kernel.nth_prime.gourdon.rows import Rows

PERIOD = 2 * 3 * 5 * 7 * 11 * 13 * 17 * 19


@cache
def built(x: int, y: int | None = None) -> tuple[Bounds, Rows]:
    """The bounds and rows of one x, with small segments and windows."""
    bounds = bounds_of(divide(x, y=y, window=240 << 12, ac_words=512, b_words=512))
    return bounds, finish(build_rows(bounds))


def primes_between(low: int, high: int) -> list[int]:
    """The primes p with low <= p < high, 2 < low."""
    flags = np.ones(high - low, bool)
    for p in plain.primes(isqrt(high)):
        flags[-low % p if p < low else p * p - low :: p] = False
    return [low + int(i) for i in np.flatnonzero(flags)]


@pytest.mark.parametrize("exponent", [22, 24])
def test_a_segment_of_a_plus_c(exponent: int) -> None:
    """Otherwise a prime of 24 digits is wrong, and nothing says where."""
    x = 10**exponent + 1234567
    bounds, rows = built(x)
    low = x ** (11 / 24) // 122_880 * 122_880
    low, high = int(low), int(low) + 122_880
    counted = primes_between(low, high)
    for p_index in (
        bisect_left(rows.primes, bounds.star) - 20,
        bisect_left(rows.primes, isqrt(x // low)) - 40,
    ):
        window = x // (int(rows.primes[p_index]) * low) // bounds.window
        table = finish(build_window(bounds, rows, window))
        first, last = p_index, p_index + 40
        done = run(ac.shard(bounds, rows, table, *pieces(rows, low // 122_880, first, last)))
        total, weight = 0, 0
        for p in map(int, rows.primes[first:last]):
            for m, sign, is_a in leaves_of(bounds, p, low, high, table[:2]):
                value = bisect_right(counted, x // (p * m))
                more = 0 if is_a else 2 - int(np.searchsorted(rows.primes, p, side="right"))
                total += sign * (value + more)
                weight += sign
        assert weight
        assert done == (total % 2**64, [weight], [0])


@pytest.mark.parametrize("exponent", [22, 24])
def test_leaves_of_c_are_counted_from_the_other_side(exponent: int) -> None:
    """Otherwise what only counts beyond 10^20 use is wrong: several windows, inexact floats."""
    x = 10**exponent + 1234567
    bounds, rows = built(x)
    low = int(x**0.36) // 122_880 * 122_880
    sieve, counts = PrimeSieve(rows.primes, 512, low, low + 122_880), new_table(512)
    sieve.advance()
    fill(counts, sieve.words, low)
    primes = list_members(sieve.words, low)
    rank = rows.star - 20
    n = x // int(rows.primes[rank])
    window = finish(build_window(bounds, rows, n // (low + 61_440) // bounds.window))
    least, most = max(window.low - 1, n // (low + 122_880)), min(window.high - 1, n // low)
    assert isqrt(n) < least < most
    found, _ = ac._primes_of_c(
        window,
        ac.Segment(low, low + 122_880, counts, 1.0 / primes),
        rows.approx[rank],
        rows.residue[rank],
        least,
        most,
    )
    some = [q for q in (round(1 / r) for r in window.primes) if least < q <= most]
    assert found == sum(bisect_right(primes, n // q) for q in some) > len(some)


def pieces(rows: Rows, segment: int, first: int, last: int) -> tuple[int, int]:
    """The pieces of A + C that are the rows of rank first to last - 1 of a segment."""
    return segment * rows.ac_rows + first - RANK, segment * rows.ac_rows + last - RANK


def leaves_of(
    bounds: Bounds, p: int, low: int, high: int, window: tuple[int, int]
) -> list[tuple[int, int, bool]]:
    """(m, weight, is of A) of the leaves of a row, x/(p·m) in [low, high) and m in the window."""
    x, found = bounds.x, []
    for m in range(max(window[0], x // (p * high) + 1, p + 1), min(window[1], x // (p * low) + 1)):
        factors = factorised(m)
        if len(set(factors)) < len(factors) or factors[0] <= p:
            continue
        if p > bounds.star:
            if len(factors) == 1 and m <= isqrt(x // p):
                found.append((m, 1 if m <= x // (p * bounds.y) else 2, True))
        elif bounds.y // p < m <= bounds.y and m > x // p**3:
            found.append((m, -((-1) ** len(factors)), False))
    return found


@cache
def factorised(m: int) -> list[int]:
    """The prime factors of m, ascending."""
    found = []
    for p in trial():
        if p * p > m:
            break
        while m % p == 0:
            found.append(p)
            m //= p
    return [*found, m] if m > 1 else found


@cache
def trial() -> list[int]:
    """Primes to divide by."""
    return plain.primes(10**6)


def run(steps: object) -> tuple[int, list[int], list[int]]:
    """What a shard comes to, as Python's own."""
    total, weights, counts = finish(steps)
    return total, weights.tolist(), counts.tolist()


@pytest.mark.parametrize("exponent", [22, 24])
@pytest.mark.parametrize("segment", [0, 10**5, 10**8])
def test_a_segment_of_b(exponent: int, segment: int) -> None:
    """Otherwise a prime of 24 digits is wrong, and nothing says where."""
    x = 10**exponent + 1234567
    bounds, rows = built(x)
    low = bounds.origin + 122_880 * segment
    counted = [p for p in primes_between(low, low + 122_880) if p > bounds.root]
    most, least = min(x // low, bounds.root), x // (low + 122_880)
    found = primes_between(least + 1, most + 1)
    total = sum(bisect_right(counted, x // p) for p in found)
    assert run(b.shard(bounds, rows, None, segment, segment + 1)) == (
        total,
        [len(found)],
        [len(counted)],
    )


def moebius(low: int, high: int) -> list[int]:
    """μ of the numbers from low to high - 1; 0 has 0."""
    mu, left = np.ones(high - low, np.int8), np.arange(low, high)
    for p in plain.primes(isqrt(high)):
        first = -low % p
        mu[first::p] *= -1
        left[first::p] //= p
        mu[-low % p**2 :: p**2] = 0
    return np.where(left > 1, -mu, mu).tolist()


@pytest.mark.parametrize("exponent", [22, 24])
@pytest.mark.parametrize("piece", [0, 300])
def test_a_piece_of_phi0(exponent: int, piece: int) -> None:
    """Otherwise a prime of 24 digits is wrong, and nothing says where."""
    x = 10**exponent + 1234567
    bounds, rows = built(x)
    coprime = np.ones(PERIOD, bool)
    for p in (2, 3, 5, 7, 11, 13, 17, 19):
        coprime[::p] = False
    phi = np.cumsum(coprime)
    low, high = piece * PHI0_SPAN, (piece + 1) * PHI0_SPAN
    total = 0
    for m, mu in enumerate(moebius(low, high), low):
        if mu and coprime[m % PERIOD]:
            n = x // m
            total += mu * (n // PERIOD * int(phi[-1]) + int(phi[n % PERIOD]))
    assert run(phi0.shard(bounds, rows, None, piece, piece + 1))[0] == total % 2**64


def test_sigma_beyond_2_to_the_64() -> None:
    """Otherwise a prime of 20 digits is wrong, and nothing says where."""
    x, y = 10**20 + 39, 5 * 10**6
    bounds, rows = built(x, y)
    primes = plain.primes(y)
    a, b_, c, d = (bisect_right(primes, n) for n in (y, bounds.cube, bounds.middle, bounds.star))
    total = a - 1 - a * (a - 1) // 2 + (a - b_) * (a - b_ - 1) // 2
    total += a * (b_ - c - c * (c - 3) // 2 + d * (d - 3) // 2)
    total += b_ * (b_ - 1) * (2 * b_ - 1) // 6 - b_ - d * (d - 1) * (2 * d - 1) // 6 + d
    for p in primes[d:b_]:
        value = x // (p * y) if p <= bounds.middle else x // p**2
        total += bisect_right(primes, value) * (a if p <= bounds.middle else 1)
        total -= bisect_right(primes, isqrt(x // p)) ** 2
    assert run(sigma.shard(bounds, rows, None, 0, 1))[0] == total % 2**64

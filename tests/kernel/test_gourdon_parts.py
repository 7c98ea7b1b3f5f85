"""What the terms are built from: quotients, tables, the sieve and Riemann's R."""

from __future__ import annotations

import math
from bisect import bisect_right
from math import isqrt
from random import Random

import mpmath
import numpy as np
import primecountpy
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from outlast.kernel.nth_prime import plain
from outlast.kernel.nth_prime.gourdon import ac, riemann
from outlast.kernel.nth_prime.gourdon.bounds import X_LEAST, X_LIMIT, Y_LIMIT, bounds_of
from outlast.kernel.nth_prime.gourdon.bounds import divide as divide_count
from outlast.kernel.nth_prime.gourdon.counted import count_to
from outlast.kernel.nth_prime.gourdon.interval import (
    PrimeSieve,
    fill,
    least_primes,
    list_members,
    most_primes,
    new_table,
)
from outlast.kernel.nth_prime.gourdon.more_zeros import zeros_up_to
from outlast.kernel.nth_prime.gourdon.rows import build_rows
from outlast.kernel.nth_prime.gourdon.state import WrongState
from outlast.kernel.nth_prime.gourdon.wide import divide, divide_x, joined, square_root
from outlast.kernel.nth_prime.gourdon.window import build_window, products_to
from outlast.kernel.nth_prime.gourdon.zeros import ZEROS
from outlast.kernel.nth_prime.sieve.steps import finish


def wide(n: int) -> tuple[float, int]:
    """A number as (approx, residue)."""
    return joined(n >> 32, n & 0xFFFFFFFF)


@settings(deadline=None, max_examples=500)
@given(m=st.integers(2, 2**40), q=st.integers(0, 2**51 - 1), rest=st.integers(-2, 2))
def test_quotients_are_exact_beside_every_multiple(m: int, q: int, rest: int) -> None:
    """Otherwise a leaf is looked up one entry off, about once in a billion."""
    n = min(max(m * q + rest, 0), X_LIMIT - 1)
    if n // m < 2**51:
        assert divide(*wide(n), m) == n // m
        assert ac._quotient(*wide(n), 1 / m) == n // m


@settings(deadline=None, max_examples=500)
@given(m=st.integers(2, 2**40), q=st.integers(0, 2**50 - 1), rest=st.integers(-2, 2))
def test_below_2_to_the_50_half_a_unit_replaces_the_correction(m: int, q: int, rest: int) -> None:
    """Otherwise most leaves of A + C are looked up one entry off, once in a while."""
    n = min(max(m * q + rest, 0), 2**50 - 1)
    assert int((float(n) + 0.5) * (1 / m)) == n // m


@settings(deadline=None, max_examples=500)
@given(x=st.integers(0, X_LIMIT - 1), m=st.integers(1, 2**46 - 1))
@example(x=X_LIMIT - 1, m=1)
@example(x=X_LIMIT - 1, m=23)
def test_x_is_divided_exactly(x: int, m: int) -> None:
    """Otherwise every term is wrong beyond 2^64."""
    high, low = divide_x(x >> 32, x & 0xFFFFFFFF, m)
    assert (high << 32) + low == x // m
    assert 0 <= low < 2**32
    approx, residue = joined(high, low)
    assert approx == float(x // m)
    assert (residue - x // m) % 2**64 == 0


@settings(deadline=None, max_examples=500)
@given(root=st.integers(1, 2**31 - 1), rest=st.integers(-1, 1))
@example(root=2**31 - 1, rest=1)
def test_square_roots_are_exact(root: int, rest: int) -> None:
    """Otherwise the leaves of A end one prime early or late."""
    assert square_root(root * root + rest) == isqrt(root * root + rest)


def test_the_rows_hold_what_they_say() -> None:
    """Otherwise every term is wrong; this tells which table it was."""
    bounds = bounds_of(divide_count(10**21 + 7))
    rows = finish(build_rows(bounds))
    primes = plain.primes(bounds.cube)
    assert rows.primes.tolist() == primes
    for i in range(0, len(primes), 300):
        n = bounds.x // primes[i]
        assert rows.approx[i] == float(n)
        assert (int(rows.residue[i]) - n) % 2**64 == 0
    assert rows.star == sum(p <= bounds.star for p in primes)
    assert rows.middle == sum(p <= bounds.middle for p in primes)
    assert rows.easy == sum(p**3 * bounds.y <= bounds.x for p in primes)


@pytest.mark.parametrize("low", [0, 240 * 512, 240 * 10**5])
def test_an_interval_is_sieved_listed_and_counted(low: int) -> None:
    """Otherwise counts of primes are wrong, in every term."""
    span = 240 * 1024
    primes = plain.primes(low + 2 * span)
    seeds = np.array(primes[:1000], np.int32)
    sieve = PrimeSieve(seeds, 1024, low, low + 2 * span)
    table = new_table(1024)
    for begin in (low, low + span):
        assert sieve.advance() == begin
        expected = [p - begin for p in primes if begin <= p < begin + span]
        assert [p - begin for p in list_members(sieve.words, begin)] == expected
        assert fill(table, sieve.words, begin) == len(expected)
        for n in range(2, span, 977):
            assert count_to(table, n) == bisect_right(expected, n)


def test_windows_hold_all_primes_and_products() -> None:
    """Otherwise leaves of A + C are missing, or counted twice."""
    bounds = bounds_of(divide_count(10**10, y=40_000, window=240 * 100))
    rows = finish(build_rows(bounds))
    rank = {p: i for i, p in enumerate(plain.primes(bounds.y))}
    least = [*rank][rows.easy]  # of C
    products = sorted(
        (p * q, rank[p]) for p in rank for q in rank if least < p < q <= bounds.y // p
    )
    primes, found = [], []
    for i in range(bounds.windows):
        w = finish(build_window(bounds, rows, i))
        assert (w.low, w.high) == (24_000 * i, min(24_000 * (i + 1), bounds.y + 1))
        some = [round(1 / r) for r in w.primes]
        for v in range(w.low - 1, w.high, 97):
            if v != 1:
                assert count_to(w.counts, v - w.low) == bisect_right(some, v)
        primes += some
        more = [round(1 / r) for r in w.products]
        assert products_to(w, w.high - 1) == len(more)
        found += zip(more, w.ranks.tolist(), strict=True)
    assert primes == [*rank]
    assert found == products


@pytest.mark.parametrize("x", [10.0**4, 1e9, 1.5e13, 2.0**64, 1e22, 2.0**80])
def test_riemanns_r_is_exact_to_14_digits(x: float) -> None:
    """Otherwise a right π(x) fails its check, or a wrong one passes."""
    assert riemann.prime_count(x) == pytest.approx(float(mpmath.riemannr(x)), rel=1e-14)


@pytest.mark.parametrize("k", [1, 2, 100, 300])
def test_the_zeros_are_those_of_zeta(k: int) -> None:
    """Otherwise the estimate is so bad that the local sieve takes most of the time."""
    assert ZEROS[k - 1] == pytest.approx(float(mpmath.zetazero(k).imag), rel=1e-15)
    assert sorted(ZEROS) == list(ZEROS)
    assert len(ZEROS) == 512


def test_the_estimate_is_near_the_prime() -> None:
    """Otherwise the local sieve takes most of the time.

    The zeros that are left out, beyond the height of 811, add waves of any phase, each 2 over its
    zero high: in units of √p an error of variance 0.048², whatever n. There is no bound; of the n
    to 1.5·10^6 the worst is 0.2 away. Half of the zeros would leave 0.064.
    """
    random = Random(20261122)
    errors = []
    for _ in range(200):
        n = int(10 ** random.uniform(5, 9))
        prime = primecountpy.nth_prime(n)
        errors.append(abs(riemann.nth_prime(n) - prime) / prime**0.5)
    assert sum(error**2 for error in errors) / len(errors) < 0.055**2
    assert max(errors) < 0.25


def test_the_zeros_far_up_are_those_of_zeta() -> None:
    """Otherwise the search for a prime of 20 digits or more takes minutes instead of seconds.

    Close pairs are overlooked: fewer than one in a thousand of as many as ζ has, by the formula of
    Riemann and von Mangoldt.
    """
    zeros = zeros_up_to(2e4)
    assert (np.diff(zeros) > 0).all()
    turns = 2e4 / (2 * math.pi)
    expected = turns * (math.log(turns) - 1) + 7 / 8
    assert 0.999 * expected < len(zeros) < expected + 2
    for k in (513, 600, 3000):
        zero = float(mpmath.zetazero(k).imag)
        assert np.abs(zeros - zero).min() < 2e-4


@pytest.mark.parametrize(
    ("k", "prime"),
    [
        (18, 44211790234832169331),
        (20, 4892055594575155744537),
        (22, 536193870744162118627429),
    ],
)
def test_the_estimate_is_near_the_largest_published_primes(k: int, prime: int) -> None:
    """Otherwise float64 has too few digits there, and the local sieve takes hours. OEIS A006988."""
    assert abs(riemann.nth_prime(10**k) - prime) < (0.02 if k > 18 else 0.25) * prime**0.5


@pytest.mark.parametrize("x", [X_LEAST - 1, X_LIMIT, 0, 10**30])
def test_x_out_of_bounds_is_refused(x: int) -> None:
    """Otherwise a count outside the formula's range comes out wrong."""
    with pytest.raises(ValueError, match=str(x)):
        divide_count(x)


@pytest.mark.parametrize(
    "damage",
    [{"y": Y_LIMIT}, {"y": 10**7}, {"window": 2**33}, {"ac_words": 2**21}, {"b_words": 2**21}],
)
def test_a_damaged_division_is_refused(damage: dict[str, int]) -> None:
    """Otherwise compiled code writes past the end of its arrays, or counts wrong."""
    division = divide_count(2**80 - 1).model_copy(update=damage)
    with pytest.raises(WrongState, match="with bounds that it cannot have"):
        bounds_of(division)


@given(low=st.integers(0, 10**11), width=st.integers(0, 10**8))
@example(low=0, width=1)
@example(low=60_183, width=2)
def test_no_interval_has_more_primes_or_fewer(low: int, width: int) -> None:
    """Otherwise a table has too little room for them, and what lies behind it is written over."""
    before, to_low, to_high = map(primecountpy.prime_pi, (low - 1, low, low + width))
    assert least_primes(low, low + width) <= to_high - to_low
    assert most_primes(low, low + width) >= to_high - before


@settings(deadline=None)
@given(x=st.integers(X_LEAST, X_LIMIT - 1))
def test_bounds_keep_the_formulas_order(x: int) -> None:
    """Otherwise some leaf is counted twice, or not at all, at unlucky sizes."""
    b = bounds_of(divide_count(x))
    assert b.x == x
    assert 19 < b.star <= b.middle <= b.cube < b.y < b.root < b.end
    assert b.cube**2 > b.end
    assert b.star**4 >= x or b.star * b.y**2 >= x or b.star in (b.y, b.middle, isqrt(isqrt(x)))

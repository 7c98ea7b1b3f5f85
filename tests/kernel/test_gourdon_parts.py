"""What the terms are built from: quotients, tables, the sieve and Riemann's R."""

from __future__ import annotations

from math import isqrt
from random import Random

import mpmath
import numpy as np
import primecountpy
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from slow_gourdon import Slow

from outlast.kernel.nth_prime import plain
from outlast.kernel.nth_prime.gourdon import riemann
from outlast.kernel.nth_prime.gourdon.bounds import X_LEAST, X_LIMIT, begin, bounds_of, cube_root
from outlast.kernel.nth_prime.gourdon.counted import count_to
from outlast.kernel.nth_prime.gourdon.division import (
    divide,
    divide_by_large,
    quotient,
    square_root,
)
from outlast.kernel.nth_prime.gourdon.tables import build
from outlast.kernel.nth_prime.gourdon.zeros import ZEROS
from outlast.kernel.nth_prime.sieve.steps import finish


@settings(deadline=None, max_examples=1000)
@given(m=st.integers(2, 2**31 - 1), q=st.integers(0, 2**50 - 1), rest=st.integers(-2, 2))
def test_quotients_by_reciprocals_are_exact_beside_every_multiple(
    m: int, q: int, rest: int
) -> None:
    """Otherwise a leaf is looked up one entry off, about once in a billion."""
    n = min(max(m * q + rest, 0), 2**63 - 1)
    if n // m < 2**50:
        assert quotient(n, 1 / m) == n // m


@settings(deadline=None, max_examples=500)
@given(x=st.integers(0, X_LIMIT - 1), m=st.integers(23, 2**31 - 1))
@example(x=X_LIMIT - 1, m=23)
def test_x_beyond_64_bits_is_divided_exactly(x: int, m: int) -> None:
    """Otherwise p_n beyond 2^64 is wrong."""
    assert divide(x >> 32, x & 0xFFFFFFFF, m) == x // m


@settings(deadline=None, max_examples=500)
@given(q=st.integers(1, 2**45), p=st.integers(10**4, 2**33), rest=st.integers(-2, 2))
def test_x_is_divided_exactly_by_primes_up_to_its_root(q: int, p: int, rest: int) -> None:
    """Otherwise a prime of B is counted at the wrong height."""
    x = p * q + rest
    if x < X_LIMIT:
        assert divide_by_large(x >> 32, x & 0xFFFFFFFF, p) == x // p


@settings(deadline=None, max_examples=500)
@given(root=st.integers(1, 2**31 - 1), rest=st.integers(-1, 1))
@example(root=2**31 - 1, rest=1)
def test_square_roots_are_exact(root: int, rest: int) -> None:
    """Otherwise the leaves of A end one prime early or late."""
    assert square_root(root * root + rest) == isqrt(root * root + rest)


def test_the_tables_hold_what_they_say() -> None:
    """Otherwise every term is wrong; this tells which table it was."""
    bounds = bounds_of(begin(10**12, y=150_000))
    t = finish(build(bounds, bounds.root))
    primes = plain.primes(bounds.root)
    pi = np.searchsorted(primes, np.arange(bounds.root + 1), side="right")
    assert [count_to(t.pi, n) for n in range(2, bounds.root + 1, 7)] == pi[2::7].tolist()
    below = [p for p in primes if p <= bounds.y]
    assert t.primes.tolist() == below
    assert t.reciprocals.tolist() == [1 / p for p in below]
    cubes = [p for p in primes if p <= cube_root(bounds.x)]
    assert t.quotients.tolist() == [0] * 8 + [bounds.x // p for p in cubes[8:]]


def test_the_list_of_composites_is_complete() -> None:
    """Otherwise leaves are missing, or have the wrong sign."""
    bounds = bounds_of(begin(10**10, y=80_000))
    t = finish(build(bounds, bounds.root))
    rank = {p: i for i, p in enumerate(plain.primes(bounds.y))}
    expected = {
        m: -mu * rank[least] for m, mu, least in Slow(bounds).m if least > 19 and m != least
    }
    listed = [round(1 / r) for r in t.composite_reciprocals]
    assert listed == sorted(expected)
    assert t.composite_keys.tolist() == [expected[m] for m in listed]
    starts = np.searchsorted(listed, 64 * np.arange(len(t.composite_starts)), side="left")
    assert t.composite_starts[:-1].tolist() == starts[:-1].tolist()


@pytest.mark.parametrize("x", [10.0**4, 1e9, 1.5e13, 2.0**64, 2.0**66])
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


@pytest.mark.parametrize("x", [X_LEAST - 1, X_LIMIT, 0, 10**30])
def test_x_out_of_bounds_is_refused(x: int) -> None:
    """Otherwise a count outside the formula's range comes out wrong."""
    with pytest.raises(ValueError, match=str(x)):
        begin(x)


@settings(deadline=None)
@given(x=st.integers(X_LEAST, X_LIMIT - 1))
def test_bounds_keep_the_formulas_order(x: int) -> None:
    """Otherwise some leaf is counted twice, or not at all, at unlucky sizes."""
    b = bounds_of(begin(x))
    assert b.x == x
    assert 19 < b.star <= b.middle <= b.cube < b.y < b.root < b.end
    assert b.x // (23 * 1) < 2**63
    assert b.star**4 >= x or b.star * b.y**2 >= x or b.star in (b.y, b.middle, isqrt(isqrt(x)))

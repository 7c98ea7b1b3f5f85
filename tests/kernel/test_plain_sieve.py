"""The sieve in pure Python, and how it shares its places with the compiled one."""

from __future__ import annotations

import primecountpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.kernel.nth_prime import plain, sieve
from outlast.kernel.nth_prime.cursor import START, Cursor
from outlast.kernel.nth_prime.sieve.steps import finish

WORDS = plain.LARGEST_NUMBER // 240
# Where segments end: they double up to 4096 words.
EDGES = [64, 128, 256, 2048, 4096, 8192, 12288, 100 * 4096, WORDS // 4096 * 4096]
# Of the primes to sieve with: the first, and the last whose square is in reach.
SQUARES = [p * p for p in (17, 19, 12_289, 14_107, 14_143)]


def place_at(word: int) -> Cursor:
    """The place of a search at a word."""
    return Cursor(word, primecountpy.prime_pi(240 * word - 1)) if word else START


def test_the_first_counts_and_primes_by_trial_division() -> None:
    """Otherwise 2, 3 or 5, or a prime of the pattern, is lost or counted twice."""
    primes = [n for n in range(2, 2000) if all(n % d for d in range(2, int(n**0.5) + 1))]
    assert plain.primes(1999) == primes
    assert [finish(plain.find(n)) for n in range(1, len(primes) + 1)] == primes
    counts = [sum(p <= x for p in primes) for x in range(2000)]
    assert [finish(plain.count(x)) for x in range(2000)] == counts


@pytest.mark.parametrize(
    ("n", "prime"), [(10**6, 15_485_863), (6 * 10**6, 104_395_301), (10**7, 179_424_673)]
)
def test_published_positions(n: int, prime: int) -> None:
    """Otherwise the answer that everyone can look up is wrong."""
    assert finish(plain.find(n)) == prime
    assert finish(plain.count(prime)) == n == finish(plain.count(prime - 1)) + 1


@pytest.mark.parametrize("word", EDGES)
def test_where_segments_meet(word: int) -> None:
    """Otherwise the primes around some multiple of a segment are off by one."""
    place = place_at(word)
    before = place_at(max(word - 50, 0))
    for start in (place, before):
        assert finish(plain.find(place.count + 1, start)) == primecountpy.nth_prime(place.count + 1)
        for x in range(240 * word, 240 * word + 40):
            assert finish(plain.count(x, start)) == primecountpy.prime_pi(x)
    assert finish(plain.find(place.count, before)) == primecountpy.nth_prime(place.count)


@pytest.mark.parametrize("square", SQUARES)
def test_squares_of_primes_are_crossed_off(square: int) -> None:
    """Otherwise a square of a prime, which nothing else crosses off, counts as one."""
    place = place_at(square // 240)
    for x in (square - 1, square, square + 1):
        assert finish(plain.count(x, place)) == primecountpy.prime_pi(x)


@settings(deadline=None, max_examples=200)
@given(st.integers(0, WORDS - 1), st.integers(0, 2 * 10**6))
def test_from_any_place_against_primecount(word: int, further: int) -> None:
    """Otherwise a job that was stopped at an unlucky moment ends with another number."""
    place = place_at(word)
    x = min(240 * word + further, plain.LARGEST_NUMBER)
    count = primecountpy.prime_pi(x)
    assert finish(plain.count(x, place)) == count
    n = min(max(count, 1), plain.LARGEST_POSITION)
    if n > place.count:
        assert finish(plain.find(n, place)) == primecountpy.nth_prime(n)


def test_a_prime_below_the_place_is_found_from_the_origin() -> None:
    """Otherwise a search that the compiled sieve left above its prime ends with a wrong one."""
    assert finish(plain.find(10**5, place_at(10**5))) == 1_299_709


def test_each_sieve_ends_what_the_other_has_begun() -> None:
    """Otherwise a worker without the compiler and one with it give different answers to one job."""
    n, prime = 1_234_567, primecountpy.nth_prime(1_234_567)
    plainly, compiled = list(plain.find(n)), list(sieve.find(n, START))
    assert len(plainly) > 5
    assert len(compiled) > 1
    assert all(finish(sieve.find(n, place)) == prime for place in plainly)
    assert all(finish(plain.find(n, place)) == prime for place in compiled)
    above = list(sieve.find(n, place_at(10**5)))  # which searches downward
    assert above
    assert all(finish(plain.find(n, place)) == prime for place in above)

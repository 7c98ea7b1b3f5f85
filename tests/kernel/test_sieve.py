"""The sieve against published values and primecount."""

from __future__ import annotations

import random
from math import isqrt
from typing import TYPE_CHECKING

import numpy as np
import primecountpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.kernel.nth_prime import kernel, plain, sieve
from outlast.kernel.nth_prime.sieve import bases, strong, wheel
from outlast.kernel.nth_prime.sieve.block import sieve_block
from outlast.kernel.nth_prime.sieve.cross import SEGMENT
from outlast.kernel.nth_prime.sieve.steps import finish

if TYPE_CHECKING:
    from collections.abc import Callable

compile_sieve = kernel._compile_sieve.__wrapped__


def naive(a: int, b: int) -> list[int]:
    """The primes from a to below b by trial division."""
    return [n for n in range(max(a, 2), b) if all(n % d for d in range(2, int(n**0.5) + 1))]


@pytest.mark.parametrize("a", range(0, 300, 7))
def test_intervals_near_the_origin(a: int) -> None:
    """Otherwise jobs for small positions count 1, or lose 2, 3, 5 or the primes of the patterns."""
    for b in [*range(a - 1, a + 70), 240, 480, 6400, 6401]:
        assert sieve.count(a, b) == len(naive(a, b)), (a, b)


def test_an_empty_interval_holds_no_prime() -> None:
    """Otherwise a caller that asks for nothing gets a wrong count or a crash."""
    for a in (0, 7, 240, 10**15):
        assert sieve.count(a, a) == sieve.count(a, a - 1) == sieve.count(a, 0) == 0
    assert sieve.count(-10, 3) == 1


@pytest.mark.parametrize(
    ("x", "expected"),
    [(10**6, 78498), (10**7, 664579), (10**8, 5761455), (10**9, 50847534)],
)
def test_published_counts(x: int, expected: int) -> None:
    """Otherwise every position beyond is wrong."""
    assert sieve.count(0, x) == expected


@pytest.mark.parametrize(
    ("a", "expected"), [(10**12, 36190991), (10**14, 31019409), (10**15, 28946421)]
)
def test_a_billion_numbers_at_great_heights(a: int, expected: int) -> None:
    """Otherwise blocks are wrong where most primes hit a segment rarely (values: primesieve)."""
    assert sieve.count(a, a + 10**9) == expected


@pytest.mark.parametrize("height", [10**9, 10**11, 10**12, 10**13])
def test_random_intervals_against_primecount(height: int) -> None:
    """Otherwise a prime is lost or invented where segments, strips or windows of primes meet."""
    rng = random.Random(height)
    for width in (1, 240, 10**4, 3 * 10**6, 30 * SEGMENT + 7):
        a = rng.randrange(height // 2, height)
        b = a + rng.randrange(width)
        expected = primecountpy.prime_pi(b - 1) - primecountpy.prime_pi(a - 1)
        assert sieve.count(a, b) == expected, (a, b)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**10), st.integers(0, 10**5))
def test_any_interval_against_primecount(a: int, width: int) -> None:
    """Otherwise some alignment of an interval to words and bytes is counted wrong."""
    expected = primecountpy.prime_pi(a + width) - primecountpy.prime_pi(a)
    assert sieve.count(a + 1, a + width + 1) == expected


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**10), st.integers(1, 10**5))
def test_positions_up_and_down_against_primecount(a: int, k: int) -> None:
    """Otherwise the last phase of a job names the wrong prime."""
    below = primecountpy.prime_pi(a - 1) if a else 0
    assert sieve.after(a, k) == primecountpy.nth_prime(below + k)
    if k <= below:
        assert sieve.before(a, k) == primecountpy.nth_prime(below + 1 - k)
    else:
        with pytest.raises(ValueError, match="not so many primes"):
            sieve.before(a, k)


# The first one is the 10^18th prime, where to go through the primes to sieve with takes seconds.
FAR = [44211790234832169331, 2**66 + 960, 2**71, 5 * 10**23, sieve.LIMIT - 960]


@pytest.mark.parametrize("height", [10**15, 10**18, 2**63, *FAR])
def test_every_number_at_great_heights(height: int) -> None:
    """Otherwise a composite number passes for a prime where floats lose digits or integers wrap."""
    first = height // 240 - 4
    words = sieve.finish(sieve.sieve(first, 8))
    for i, word in enumerate(words.tolist()):
        for bit, offset in enumerate(sieve.wheel.OFFSETS):
            n = 240 * (first + i) + offset
            assert (word >> bit & 1) == is_prime(n), n


@pytest.mark.parametrize("height", [2**71, 5 * 10**23, 2**80 - 240 * 10**6])
def test_multiples_far_beyond_2_to_the_64(height: int) -> None:
    """Otherwise primes of 24 digits are off; all primes up to their roots would take minutes."""
    word, size = height // 240, 1 << 15
    near = np.array(plain.primes(SEGMENT)[3:])
    large = [next(bases.ascending(p, p + 10**4)) for p in (10**6, 10**8, isqrt(height) - 10**5)]
    words = finish(sieve_block(word, size, near, large))
    left = np.ones(240 * size, bool)
    for p in (2, 3, 5, *np.concatenate([near, *large]).tolist()):
        left[-(240 * word) % p :: p] = False
    assert [wheel.number(0, int(i)) for i in np.flatnonzero(_bits(words))] == list(
        np.flatnonzero(left)
    )


def _bits(words: np.ndarray) -> np.ndarray:
    return np.unpackbits(words.view(np.uint8), bitorder="little")


@pytest.mark.parametrize(("a", "above", "below"), [(10**18, 3, 11), (10**15, 37, 11)])
def test_neighbours_of_round_numbers(a: int, above: int, below: int) -> None:
    """Otherwise a search that starts close to its prime, as most do, steps over it."""
    assert sieve.after(a, 1) == a + above
    assert sieve.before(a, 1) == a - below


def is_prime(n: int) -> bool:
    """Miller-Rabin with the first 13 primes as bases: exact below 3.3e24 (Sorenson, Webster)."""
    return all(is_strong(n, a) for a in plain.primes(41))


def is_strong(n: int, a: int) -> bool:
    """Whether n is prime as far as the base a tells."""
    twos = ((n - 1) & -(n - 1)).bit_length() - 1
    x = pow(a, (n - 1) >> twos, n)
    return x in {1, n - 1} or any(pow(x, 1 << i, n) == n - 1 for i in range(1, twos))


def test_a_composite_that_only_the_last_base_tells() -> None:
    """Otherwise a number that passes for twelve bases is named as the n-th prime."""
    pseudoprime = 318665857834031151167461
    word, offset = divmod(pseudoprime, 240)
    words = np.array([1 << wheel.OFFSETS.index(offset)], np.uint64)
    found = words.copy()
    finish(strong.keep_primes(found, word))
    assert (words[0], found[0]) == (1 << wheel.OFFSETS.index(offset), 0)
    assert all(is_strong(pseudoprime, a) == (a != 41) for a in strong.BASES)


@pytest.mark.chaos
def test_tests_and_a_sieve_by_all_primes_agree() -> None:
    """Otherwise one of them is wrong, where the search goes from one to the other."""
    first, size = strong.FIRST_WORD, 1 << 12
    root = isqrt(240 * (first + size))
    near = np.array(plain.primes(SEGMENT)[3:])
    sieved = finish(sieve_block(first, size, near, bases.ascending(SEGMENT, root)))
    assert (finish(sieve.sieve(first, size)) == sieved).all()


@pytest.mark.parametrize("prepare", [sieve.prepare.__wrapped__, lambda: compile_sieve(67)])
def test_what_far_primes_need_is_compiled_before(
    prepare: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a job compiles it where it should compute, and each part sieves for seconds."""
    calls: list[int] = []
    keep = strong.keep_primes
    monkeypatch.setattr(
        strong, "keep_primes", lambda words, at: calls.append(at) or keep(words, at)
    )
    prepare()
    assert set(calls) == {strong.FIRST_WORD}


@pytest.mark.chaos
def test_a_search_goes_over_from_the_sieve_to_the_tests() -> None:
    """Otherwise primes are lost or found twice where one way of finding them ends."""
    a = 240 * (strong.FIRST_WORD - 2)
    primes = [n for n in range(a, a + 960) if is_prime(n)]
    assert [sieve.after(a, k) for k in (1, len(primes))] == [primes[0], primes[-1]]
    assert sieve.before(a + 960, len(primes)) == primes[0]


@pytest.mark.parametrize("a", [10**15, 10**22])
def test_up_and_down_meet(a: int) -> None:
    """Otherwise a job's answer depends on which side of the prime its estimate fell."""
    assert sieve.before(sieve.after(a, 5000) + 1, 5000) == sieve.after(a, 1)


def test_arguments_out_of_range_are_errors() -> None:
    """Otherwise a number too large for the arithmetic gives a wrong answer instead of an error."""
    with pytest.raises(ValueError, match="reaches up to"):
        sieve.count(sieve.LIMIT, sieve.LIMIT + 1)
    for first, size in ((-1, 1), (0, 0), (0, 1 << 26)):
        with pytest.raises(ValueError, match="words"):
            sieve.finish(sieve.sieve(first, size))
    for k in (0, -1):
        with pytest.raises(ValueError, match="counts from 1"):
            sieve.after(10, k)

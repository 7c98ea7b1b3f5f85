"""The kernel `nth-prime` as a worker and its user see it."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import primecountpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.kernel import NonRetryable, Resources
from outlast.kernel.nth_prime import NthPrime, sieve
from outlast.kernel.nth_prime.cursor import NUMBERS_PER_WORD, Cursor
from outlast.kernel.nth_prime.sieve.steps import finish

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

KERNEL = NthPrime()


def solve(n: int, stop: Callable[[], bool] = lambda: False) -> tuple[int, list[BaseModel]]:
    """The n-th prime and all states on the way; where `stop` says so, go on from stored JSON."""
    params = KERNEL.Params(position=n)
    state, seen = None, []
    while True:
        steps = KERNEL.run(params, state, Resources())
        try:
            while True:
                state = next(steps)
                seen.append(state)
                if stop():
                    break
        except StopIteration as end:
            return end.value.prime, seen
        steps.close()
        state = KERNEL.State.model_validate_json(state.model_dump_json())


def test_the_first_primes_against_trial_division() -> None:
    """Otherwise the answer that everyone checks first, 104729 at 10000, may be off by one."""
    primes = [n for n in range(2, 17_500) if all(n % d for d in range(2, int(n**0.5) + 1))]
    for n, prime in enumerate(primes[:2000], 1):
        assert solve(n) == (prime, []) if n < 1000 else solve(n)[0] == prime


@pytest.mark.parametrize(
    ("n", "prime"),
    [
        (10**4, 104729),
        (10**5, 1299709),
        (10**5 + 1, 1299721),
        (10**6, 15485863),
        (10**7, 179424673),
        (10**7 + 1, 179424691),
        (10**8, 2038074743),
        (10**9, 22801763489),
        (10**10, 252097800623),
        (10**11, 2760727302517),
        (10**12, 29996224275833),
        pytest.param(10**13, 323780508946331, marks=pytest.mark.chaos),
        pytest.param(10**14, 3475385758524527, marks=pytest.mark.chaos),
        pytest.param(10**15, 37124508045065437, marks=pytest.mark.chaos),
        pytest.param(10**16, 394906913903735329, marks=pytest.mark.chaos),
    ],
)
def test_published_positions(n: int, prime: int) -> None:
    """Otherwise a job ends with a wrong number."""
    assert solve(n)[0] == prime


@pytest.mark.parametrize("n", [-90_000, 90_000])
def test_a_search_far_up_can_be_stopped_anywhere(n: int) -> None:
    """Otherwise a worker with short slices never comes to a prime of 22 digits, or to another."""
    start = cursor = Cursor(10**22 // NUMBERS_PER_WORD, 0)
    whole = finish(sieve.find(n, start))
    moved: Cursor | None = start
    stops = 0
    while moved is not None:
        cursor, moved = moved, None
        for one in sieve.find(n, cursor):
            if one != cursor:
                moved, stops = one, stops + 1
                break
    assert finish(sieve.find(n, cursor)) == whole
    assert stops > 3


def test_200_random_positions_against_primecount() -> None:
    """Otherwise some position, of any size, is off by one."""
    random = Random(20261122)
    for _ in range(200):
        n = int(10 ** random.uniform(0, 11.5))
        assert solve(n)[0] == primecountpy.nth_prime(n), n


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 3 * 10**7))
def test_any_position_against_primecount(n: int) -> None:
    """Otherwise some position, at the edge of a block perhaps, is off by one."""
    assert solve(n)[0] == primecountpy.nth_prime(n)


@settings(deadline=None, max_examples=40)
@given(st.integers(10**5, 2 * 10**7), st.data())
def test_any_interruptions_give_the_same_result(n: int, data: st.DataObject) -> None:
    """Otherwise a job's result depends on when its workers died."""
    times = data.draw(st.lists(st.booleans(), max_size=60))
    stops = iter([*times, *[False] * 100_000])
    assert solve(n, lambda: next(stops))[0] == primecountpy.nth_prime(n)


@pytest.mark.parametrize(
    ("n", "wrong", "message"),
    [
        (10**8, {"word": 10**5, "counting": None, "count": 10**6}, "away from Riemann's R"),
        (10**8, {"counting": None}, "away from Riemann's R"),
        (10**8, {"word": 12}, "counts up to another number"),
        (10**8, {"word": 0, "counting": None}, "0 primes where the search begins"),
        (10**6, {"word": 0, "count": 10}, "10 primes where the search begins"),
        (10**6, {"word": 50_000, "count": 10**6 - 1}, "away from Riemann's R"),
    ],
)
def test_a_state_that_no_search_reaches(n: int, wrong: dict[str, object], message: str) -> None:
    """Otherwise the job ends with a wrong prime, which looks like any other."""
    params = KERNEL.Params(position=n)
    state = next(KERNEL.run(params, None, Resources())).model_copy(update=wrong)
    with pytest.raises(NonRetryable, match=message) as caught:
        next(KERNEL.run(params, state, Resources()))
    assert "\n" not in str(caught.value)


def test_what_an_older_worker_was_counting_is_sieved() -> None:
    """Otherwise a job that it began by Gourdon's formula fails on a worker that has no compiler."""
    n = 8 * 10**6
    state = next(KERNEL.run(KERNEL.Params(position=10**8), None, Resources()))
    assert finish(KERNEL.run(KERNEL.Params(position=n), state, Resources())).prime == 141_650_939


def test_a_prime_is_verified_by_other_leaves() -> None:
    """Otherwise the result does not say by what the count was checked, or the search forgets it."""
    params = KERNEL.Params(position=10**9, verify=True)
    result = finish(KERNEL.run(params, None, Resources()))
    assert result.prime == 22801763489
    assert result.verified.startswith("counted with y = ")
    assert list(result.model_dump()) == ["position", "prime", "verified"], "the answer comes first"
    assert (
        "verified"
        not in finish(KERNEL.run(KERNEL.Params(position=10**9), None, Resources())).model_dump()
    )

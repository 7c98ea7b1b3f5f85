"""The kernel `nth-prime` as a worker and its user see it."""

from __future__ import annotations

import subprocess
import sys
from random import Random
from typing import TYPE_CHECKING

import primecountpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from outlast.kernel import NonRetryable, Resources, UnknownKernel
from outlast.kernel.nth_prime import NthPrime, plain
from outlast.kernel.nth_prime.sieve.steps import finish
from outlast.kernel.registry import load

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
    """Else the answer that everyone checks first, 104729 at 10000, may be off by one."""
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
    """Else a job ends with a wrong number."""
    assert solve(n)[0] == prime


def test_200_random_positions_against_primecount() -> None:
    """Else some position, of any size, is off by one."""
    random = Random(20261122)
    for _ in range(200):
        n = int(10 ** random.uniform(0, 11.5))
        assert solve(n)[0] == primecountpy.nth_prime(n), n


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 3 * 10**7))
def test_any_position_against_primecount(n: int) -> None:
    """Else some position, at the edge of a block perhaps, is off by one."""
    assert solve(n)[0] == primecountpy.nth_prime(n)


@settings(deadline=None, max_examples=40)
@given(st.integers(10**5, 2 * 10**7), st.data())
def test_any_interruptions_give_the_same_result(n: int, data: st.DataObject) -> None:
    """Else a job's result depends on when its workers died."""
    times = data.draw(st.lists(st.booleans(), max_size=60))
    stops = iter([*times, *[False] * 100_000])
    assert solve(n, lambda: next(stops))[0] == primecountpy.nth_prime(n)


@pytest.mark.parametrize("n", [10**7, 10**12])
def test_progress_runs_from_0_to_1(n: int) -> None:
    """Else the progress bar jumps back, passes its end, or stands at half when the job is done."""
    params = KERNEL.Params(position=n)
    shares = [KERNEL.progress(params, state) for state in solve(n)[1]]
    assert shares == sorted(shares)
    assert 0 <= shares[0] < 0.1
    assert 0.9 < shares[-1] <= 1


@pytest.mark.parametrize(
    "position", [0, -1, 1.5, 2.0, "abc", "7", "", True, None, 10**18 + 1, 10**30]
)
def test_positions_out_of_bounds_are_refused(position: object) -> None:
    """Else a typing mistake starts a job that never ends or fails late."""
    with pytest.raises(ValidationError, match="position"):
        KERNEL.Params(position=position)


@pytest.mark.parametrize(
    ("n", "wrong", "told"),
    [
        (10**8, {"word": 10**5, "counting": None, "count": 10**6}, "away from Riemann's R"),
        (10**8, {"counting": None}, "away from Riemann's R"),
        (10**8, {"word": 12}, "counts up to another number"),
        (10**8, {"word": 0, "counting": None}, "0 primes where the search begins"),
        (10**6, {"word": 0, "count": 10}, "10 primes where the search begins"),
        (10**6, {"word": 50_000, "count": 10**6 - 1}, "away from Riemann's R"),
    ],
)
def test_a_state_that_no_search_comes_to(n: int, wrong: dict[str, object], told: str) -> None:
    """Else the job ends with a wrong prime, which looks like any other."""
    params = KERNEL.Params(position=n)
    state = next(KERNEL.run(params, None, Resources())).model_copy(update=wrong)
    with pytest.raises(NonRetryable, match=told) as caught:
        next(KERNEL.run(params, state, Resources()))
    assert "\n" not in str(caught.value)


def test_missing_and_unknown_parameters_are_refused() -> None:
    """Else a misspelt parameter is silently ignored."""
    with pytest.raises(ValidationError, match="position"):
        KERNEL.Params()
    with pytest.raises(ValidationError, match="postion"):
        KERNEL.Params(position=1, postion=2)


def test_it_is_registered() -> None:
    """Else `outlast run nth-prime` finds no kernel."""
    kernel = load("nth-prime")
    assert isinstance(kernel, NthPrime)
    with pytest.raises(StopIteration) as end:
        next(kernel.run(kernel.Params(position=4), None, Resources()))
    assert end.value.value.model_dump() == {"position": 4, "prime": 7}


def test_what_an_older_worker_was_counting_is_sieved() -> None:
    """Else a job that it began by Gourdon's formula fails on a worker that has no compiler."""
    n = 8 * 10**6
    state = next(KERNEL.run(KERNEL.Params(position=10**8), None, Resources()))
    assert finish(KERNEL.run(KERNEL.Params(position=n), state, Resources())).prime == 141_650_939


def test_a_position_beyond_the_plain_sieve_requires_the_compiler(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else such a job fails on a worker without the extra, where another one could do it."""
    monkeypatch.setattr("outlast.kernel.nth_prime.extra.find_spec", lambda _: None)
    KERNEL.require(KERNEL.Params(position=plain.LARGEST_POSITION))
    with pytest.raises(UnknownKernel, match=r"^nth-prime: a position above 10,000,000 needs numba"):
        KERNEL.require(KERNEL.Params(position=plain.LARGEST_POSITION + 1))


def test_small_positions_need_no_compiler() -> None:
    """Else the shortest job waits for imports, and for compiling on a fresh machine."""
    code = f"""
import sys
from outlast.kernel import Resources
from outlast.kernel.registry import load
def answer(steps):
    print((yield from steps).prime)
kernel = load("nth-prime")
for n in (1, {plain.LARGEST_POSITION}):
    params = kernel.Params(position=n)
    kernel.require(params)
    kernel.prepare(params)
    list(answer(kernel.run(params, None, Resources())))
print([name for name in ("numba", "numpy") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "179424673", "[]"]

"""The kernel `prime-count` as a worker and its user see it."""

from __future__ import annotations

import subprocess
import sys
from random import Random
from typing import Any

import primecountpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from outlast.kernel import Kernel, NonRetryable, Resources, UnknownKernel
from outlast.kernel.nth_prime import NthPrime, PrimeCount, plain
from outlast.kernel.nth_prime.gourdon.bounds import begin, fitting_threads
from outlast.kernel.nth_prime.sieve.steps import finish
from outlast.kernel.registry import load

KERNEL = PrimeCount()


def solve(x: int, threads: int = 1) -> int:
    """The count, without a stop."""
    return finish(KERNEL.run(KERNEL.Params(x=x), None, Resources(threads=threads))).count


def test_the_first_counts() -> None:
    """Else π(2) or π(0) is off by one."""
    assert [solve(x) for x in range(12)] == [0, 0, 1, 2, 2, 3, 3, 4, 4, 4, 4, 5]


@pytest.mark.parametrize("x", [10**8 - 1, 10**8, 2 * 10**8, 2 * 10**8 + 1])
def test_where_the_algorithms_take_over(x: int) -> None:
    """Else two ways to count meet with a gap."""
    assert solve(x) == primecountpy.prime_pi(x)


def test_500_random_counts_against_primecount() -> None:
    """Else some x, of any size, is counted wrong."""
    random = Random(20261122)
    for _ in range(500):
        x = int(10 ** random.uniform(0, 13))
        assert solve(x, random.choice([1, 2])) == primecountpy.prime_pi(x), x


@settings(deadline=None, max_examples=60)
@given(st.integers(2 * 10**8 + 1, 10**12))
def test_any_x_against_primecount(x: int) -> None:
    """Else some x that a prime or its square is near to is counted wrong."""
    assert solve(x) == primecountpy.prime_pi(x)


def test_every_state_leads_to_the_same_count() -> None:
    """Else a job that was stopped at an unlucky moment ends with another number."""
    for x, count in ((10**13, 346065536839), (10**7, 664579)):
        params = KERNEL.Params(x=x)
        states = list(KERNEL.run(params, None, Resources()))
        assert len(states) > 5
        for state in states:
            again = KERNEL.State.model_validate_json(state.model_dump_json())
            assert again == state
            assert finish(KERNEL.run(params, again, Resources())).count == count


@pytest.mark.parametrize(("x", "count"), [(10**8, 5761455), (10**12, 37607912018)])
def test_a_state_of_version_1_is_gone_on_from(x: int, count: int) -> None:
    """Else the jobs that are under way during an upgrade fail."""
    state = KERNEL.State(**KERNEL.migrate(begin(x).model_dump(), 1))
    assert finish(KERNEL.run(KERNEL.Params(x=x), state, Resources())).count == count
    with pytest.raises(ValueError, match="version 0"):
        KERNEL.migrate({}, 0)


@pytest.mark.parametrize("x", [3, 10**7, 10**12])
def test_progress_runs_from_0_to_1(x: int) -> None:
    """Else the progress bar jumps back, passes its end, or stands at half when the job is done."""
    params = KERNEL.Params(x=x)
    shares = [KERNEL.progress(params, s) for s in KERNEL.run(params, None, Resources())]
    assert shares == sorted(shares)
    if shares:
        assert 0 <= shares[0] < 0.1
        assert 0.9 < shares[-1] <= 1


def test_an_x_beyond_the_plain_sieve_requires_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else such a job fails on a worker without the extra, where another one could do it."""
    monkeypatch.setattr("outlast.kernel.nth_prime.extra.find_spec", lambda _: None)
    KERNEL.require(KERNEL.Params(x=plain.LARGEST_NUMBER))
    with pytest.raises(UnknownKernel, match=r"^prime-count: an x above 200,000,000 needs numba"):
        KERNEL.require(KERNEL.Params(x=plain.LARGEST_NUMBER + 1))


@pytest.mark.parametrize("x", [-1, 2**66, 1.0, "9", None, True])
def test_x_out_of_bounds_is_refused(x: object) -> None:
    """Else a typing mistake starts a job that fails late."""
    with pytest.raises(ValidationError, match="x"):
        KERNEL.Params(x=x)


def test_it_is_registered() -> None:
    """Else `outlast run prime-count` finds no kernel."""
    assert isinstance(load("prime-count"), PrimeCount)


def test_small_counts_need_no_compiler() -> None:
    """Else the shortest job waits for imports, and for compiling on a fresh machine."""
    code = """
import sys
from outlast.kernel import Resources
from outlast.kernel.registry import load
def answer(steps):
    print((yield from steps).count)
kernel = load("prime-count")
for x in (1000, 200_000_000):
    params = kernel.Params(x=x)
    kernel.require(params)
    kernel.prepare(params)
    list(answer(kernel.run(params, None, Resources())))
print([name for name in ("numba", "numpy") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["168", "11078937", "[]"]


def test_a_state_that_is_not_of_the_job_is_refused() -> None:
    """A mixed-up or damaged state would end in a wrong number, or in a crash of the worker."""
    kernel = PrimeCount()
    state = next(kernel.run(kernel.Params(x=10**12), None, Resources()))
    for changes in ({"x": 10**13}, {"y": 1}, {"y": 10**12}, {"b_words": 2**40}):
        counting = state.counting.model_copy(update=changes)
        foreign = state.model_copy(update={"counting": counting})
        with pytest.raises(NonRetryable, match="a state of"):
            next(kernel.run(kernel.Params(x=10**12), foreign, Resources()))


@pytest.mark.parametrize(
    ("x", "word", "count", "told"),
    [
        (10**12, 0, 3, "a state of another job"),
        (10**7, 41_667, 664_579 + 2, "a state beyond 10000000"),
        (10**7, 41_666, 664_579 - 4000, "away from Riemann's R"),
        (10**7, 0, 4, "4 primes where the search begins"),
    ],
)
def test_a_place_that_no_count_comes_to_is_refused(
    x: int, word: int, count: int, told: str
) -> None:
    """Else the job ends with a wrong count, which looks like any other."""
    state = KERNEL.State(word=word, count=count)
    with pytest.raises(NonRetryable, match=told):
        finish(KERNEL.run(KERNEL.Params(x=x), state, Resources()))


@pytest.mark.parametrize(
    ("kernel", "params"),
    [(KERNEL, KERNEL.Params(x=10**19)), (NthPrime(), NthPrime.Params(position=10**17))],
    ids=lambda value: getattr(value, "name", ""),
)
def test_what_does_not_fit_in_the_memory_is_refused(
    kernel: Kernel[Any, Any, Any], params: object
) -> None:
    """Else the system kills the worker minutes later, and the next one, without a word."""
    steps = kernel.run(params, None, Resources(memory_bytes=100 << 20))
    with pytest.raises(MemoryError, match=r"takes \d+ MiB of memory.* grants 100 MiB"):
        finish(steps)


def test_threads_that_do_not_fit_in_the_memory_are_not_used() -> None:
    """Else a job that one thread could do is refused, or killed, on a machine of many cores."""
    state = begin(10**15)
    granted = [
        fitting_threads(state, Resources(threads=8, memory_bytes=mib << 20))
        for mib in (22, 40, 58, 1000)
    ]
    assert granted == [1, 2, 4, 8]
    assert fitting_threads(state, Resources(threads=3)) == 3


MEASURED = """
import resource
from outlast.kernel import Resources
from outlast.kernel.nth_prime import PrimeCount
from outlast.kernel.nth_prime.gourdon.bounds import begin, bytes_needed
kernel = PrimeCount()
params = kernel.Params(x=10**15)
kernel.prepare(params)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
steps = kernel.run(params, None, Resources(threads=2))
for state in steps:
    if state.counting.shards:
        break
taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(taken * 1024 <= bytes_needed(begin(params.x), 2))
"""


def test_it_takes_no_more_memory_than_it_says() -> None:
    """Else it is killed where it was let in."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED], capture_output=True, text=True, check=True
    )
    assert done.stdout == "True\n"

"""The kernel `prime-count` as a worker and its user see it."""

from __future__ import annotations

import json
import subprocess
import sys
import weakref
from math import isqrt
from random import Random
from types import SimpleNamespace
from typing import Any

import primecountpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.kernel import NonRetryable, Resources
from outlast.kernel.nth_prime import PrimeCount
from outlast.kernel.nth_prime.gourdon import engine
from outlast.kernel.nth_prime.gourdon.bounds import (
    THREAD_BYTES,
    bounds_of,
    bytes_needed,
    divide,
    fitting_threads,
)
from outlast.kernel.nth_prime.gourdon.leaves import list_leaves
from outlast.kernel.nth_prime.gourdon.parts import pieces_of
from outlast.kernel.nth_prime.gourdon.rows import list_primes
from outlast.kernel.nth_prime.gourdon.term import BEGINNING
from outlast.kernel.nth_prime.sieve.steps import finish

KERNEL = PrimeCount()


def solve(x: int, threads: int = 1) -> int:
    """The count, without a stop."""
    return finish(KERNEL.run(KERNEL.Params(x=x), None, Resources(threads=threads))).count


def test_the_first_counts() -> None:
    """Otherwise π(2) or π(0) is off by one."""
    assert [solve(x) for x in range(12)] == [0, 0, 1, 2, 2, 3, 3, 4, 4, 4, 4, 5]


@pytest.mark.parametrize("x", [10**8 - 1, 10**8, 2 * 10**8, 2 * 10**8 + 1])
def test_where_the_algorithms_take_over(x: int) -> None:
    """Otherwise two ways to count meet with a gap."""
    assert solve(x) == primecountpy.prime_pi(x)


def test_500_random_counts_against_primecount() -> None:
    """Otherwise some x, of any size, is counted wrong."""
    random = Random(20261122)
    for _ in range(500):
        x = int(10 ** random.uniform(0, 13))
        assert solve(x, random.choice([1, 2])) == primecountpy.prime_pi(x), x


@settings(deadline=None, max_examples=60)
@given(st.integers(2 * 10**8 + 1, 10**12))
def test_any_x_against_primecount(x: int) -> None:
    """Otherwise some x that a prime or its square is near to is counted wrong."""
    assert solve(x) == primecountpy.prime_pi(x)


def test_every_state_leads_to_the_same_count() -> None:
    """Otherwise a job that was stopped at an unlucky moment ends with another number."""
    for x, count in ((10**13, 346065536839), (10**7, 664579)):
        params = KERNEL.Params(x=x)
        states = list(KERNEL.run(params, None, Resources()))
        assert len(states) > 5
        for state in states:
            again = KERNEL.State.model_validate_json(state.model_dump_json())
            assert again == state
            assert finish(KERNEL.run(params, again, Resources())).count == count


def test_a_state_that_is_not_of_the_job_is_refused() -> None:
    """A mixed-up or damaged state would end in a wrong number, or in a crash of the worker."""
    params = KERNEL.Params(x=10**12)
    state = next(KERNEL.run(params, None, Resources()))
    for changes in ({"x": 10**13}, {"y": 1}, {"y": 10**12}, {"b_words": 2**40}):
        division = state.counting.divisions[0].model_copy(update=changes)
        counting = state.counting.model_copy(update={"divisions": (division,)})
        foreign = state.model_copy(update={"counting": counting})
        with pytest.raises(NonRetryable, match=r"a (state|division) of"):
            next(KERNEL.run(params, foreign, Resources()))


@pytest.mark.parametrize(
    ("x", "word", "count", "message"),
    [
        (10**12, 0, 3, "a state of another job"),
        (10**7, 41_667, 664_579 + 2, "a state beyond 10000000"),
        (10**7, 41_666, 664_579 - 4000, "away from Riemann's R"),
        (10**7, 0, 4, "4 primes where the search begins"),
    ],
)
def test_a_state_that_no_count_reaches_is_refused(
    x: int, word: int, count: int, message: str
) -> None:
    """Otherwise the job ends with a wrong count, which looks like any other."""
    state = KERNEL.State(word=word, count=count)
    with pytest.raises(NonRetryable, match=message):
        finish(KERNEL.run(KERNEL.Params(x=x), state, Resources()))


def test_threads_that_do_not_fit_in_the_memory_are_not_used() -> None:
    """Otherwise a job that fits one thread is refused, or killed, on a machine of many cores."""
    division = divide(10**15)
    granted = [
        fitting_threads((division,), Resources(threads=8, memory_bytes=mib << 20))
        for mib in (22, 32, 58, 1000)
    ]
    assert granted == [1, 2, 4, 8]
    assert fitting_threads((division,), Resources(threads=3)) == 3


MEASURED = """
from pathlib import Path
from outlast.kernel.nth_prime.gourdon import engine
from outlast.kernel.nth_prime.gourdon.bounds import divide, bytes_needed
from outlast.kernel.nth_prime.gourdon.state import Counting

def taken():
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) << 10

engine.prepare(None)
division, before, most = divide(10**16, window=240 << 13), taken(), 0
for state in engine.count(Counting(divisions=(division,)), 1):
    sums = state.part.sums
    if sums and sums[-1].term == "d" and sums[-1].window == 2:
        break
    most = max(most, taken() - before)
print(most / bytes_needed(division, 1))
"""


def test_it_takes_no_more_memory_than_it_says() -> None:
    """Otherwise it is killed where it was let in."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED], capture_output=True, text=True, check=True
    )
    assert 0.2 < float(done.stdout) <= 1.0


def test_the_tables_of_one_window_go_before_those_of_the_next_are_built(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise a computation takes twice the memory that it says."""
    built: list[weakref.ref[Any]] = []

    def build(_bounds: Any, rows: Any, _window: int) -> Any:
        assert all(earlier() is None for earlier in built)
        tables = yield from list_leaves(rows.primes, 0, 240)
        built.append(weakref.ref(tables.composites))
        return tables

    def shard(*_: Any) -> Any:
        yield
        return BEGINNING

    term = SimpleNamespace(build=build, shard=shard)
    monkeypatch.setattr(engine, "TERMS", dict.fromkeys(engine.TERMS, term))
    division = divide(10**10, y=40_000, window=240 * 100)
    pieces = pieces_of((division,))
    finish(engine.part((division,), 0, pieces, None))
    assert len(built) == 3 + 2 * bounds_of(division).windows


def test_no_more_is_reserved_than_is_said() -> None:
    """Otherwise an isolated kernel, whose reserved memory is limited, fails where it was let in."""
    division = divide(2**80 - 1)
    low = (bounds_of(division).windows - 2) * division.window
    primes = finish(list_primes(isqrt(low + division.window) + 1))
    leaves = finish(list_leaves(primes, low, low + division.window))
    lists = leaves.primes.base, leaves.composites, leaves.keys
    taken = sum(array.nbytes for array in lists) + 20 * division.ac_rows
    assert taken < bytes_needed(division, 1) - THREAD_BYTES


def test_a_count_is_verified_by_other_leaves() -> None:
    """Otherwise an error below √x, which the check against R(x) lets pass, ends in a record."""
    params = KERNEL.Params(x=10**10, verify=True)
    result = finish(KERNEL.run(params, None, Resources(threads=2)))
    assert (result.count, result.verified) == (455052511, "counted with y = 6031 and with y = 4824")
    fields = list(result.model_dump().items())
    assert [name for name, _ in fields] == ["x", "count", "verified"], "the answer comes first"
    for stored in (fields, fields[::-1]):
        assert KERNEL.Result.model_validate_json(json.dumps(dict(stored))) == result
    *_, state = KERNEL.run(params, None, Resources())
    first = state.counting.part.sums[0]
    sums = (first.model_copy(update={"total": first.total + 1}), *state.counting.part.sums[1:])
    part = state.counting.part.model_copy(update={"sums": sums})
    wrong = state.model_copy(update={"counting": state.counting.model_copy(update={"part": part})})
    with pytest.raises(NonRetryable, match=r"comes to 455052512 with y = 6031, 455052511 with"):
        finish(KERNEL.run(params, wrong, Resources()))


def test_a_state_of_version_1_begins_again() -> None:
    """Otherwise a job that an older worker was counting is lost with the update."""
    old = {"x": 10**10, "y": 6031, "ac_span": 2**23, "b_words": 16384, "d_words": 8192}
    old |= {"term": "d", "cursor": 7, "pieces": 49, "shards": 1, "total": 5, "carry": [1] * 49}
    migrated = KERNEL.migrate({"counting": old, "word": 0, "count": 0}, 1)
    state = KERNEL.State.model_validate(migrated)
    assert finish(KERNEL.run(KERNEL.Params(x=10**10), state, Resources())).count == 455052511
    searching = {"counting": None, "word": 5, "count": 3}
    assert KERNEL.migrate(dict(searching), 1) == searching
    with pytest.raises(ValueError, match="no migration"):
        KERNEL.migrate(searching, 3)

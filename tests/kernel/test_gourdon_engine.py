"""The count as a whole: against published values, whatever stops it and wherever it goes on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from random import Random

import primecountpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.kernel import Resources
from outlast.kernel.nth_prime import NthPrime
from outlast.kernel.nth_prime.gourdon import engine, riemann, work
from outlast.kernel.nth_prime.gourdon.bounds import divide
from outlast.kernel.nth_prime.gourdon.kept import Kept
from outlast.kernel.nth_prime.gourdon.state import Counting, WrongState
from outlast.kernel.nth_prime.sieve.steps import finish

PI = {
    8: 5761455,
    9: 50847534,
    10: 455052511,
    11: 4118054813,
    12: 37607912018,
    13: 346065536839,
    14: 3204941750802,
    15: 29844570422669,
    16: 279238341033925,
    17: 2623557157654233,
}


def begin(x: int, **sizes: int) -> Counting:
    """The state in which a count begins."""
    return Counting(divisions=(divide(x, **sizes),))


@pytest.fixture
def fine_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards far smaller than usual, so that there are many safe points."""
    cut_finely(monkeypatch)


def cut_finely(patch: pytest.MonkeyPatch) -> None:
    """Let each shard do far less than usual."""
    patch.setattr(work, "LEAST_SHARD", 50e3)


@pytest.mark.parametrize(
    "k", [*range(8, 14), *(pytest.param(k, marks=pytest.mark.chaos) for k in range(14, 18))]
)
def test_published_counts(k: int) -> None:
    """Otherwise a job ends with a wrong number."""
    assert finish(engine.count(begin(10**k))) == PI[k]


@pytest.mark.usefixtures("fine_shards")
@pytest.mark.parametrize("threads", [2, 3, 8])
def test_threads_do_not_change_the_count(threads: int) -> None:
    """Otherwise the answer depends on the worker's number of cores."""
    assert finish(engine.count(begin(10**11), threads)) == PI[11]


@settings(deadline=None, max_examples=12)
@given(seed=st.integers(0, 2**32), x=st.integers(10**9, 3 * 10**11))
def test_any_interruptions_give_the_same_count(seed: int, x: int) -> None:
    """Otherwise the result depends on when its workers died."""
    random = Random(seed)
    state = begin(x, ac_words=512, b_words=512, d_words=random.choice([512, 2048, 8192]))
    count, kept = None, Kept()
    with pytest.MonkeyPatch.context() as patch:
        cut_finely(patch)
        while count is None:
            state, count = stretch(state, random, kept)
            state = Counting.model_validate_json(state.model_dump_json())
    assert count == primecountpy.prime_pi(x)


def stretch(state: Counting, random: Random, kept: Kept) -> tuple[Counting, int | None]:
    """The state after some steps, as one worker does them; with the count if that was all."""
    if random.random() < 0.1:
        kept.forget()  # as in another process
    steps = engine.count(state, random.choice([1, 1, 2]), kept)
    begun, left = state, random.randrange(20)
    while left or state == begun:  # At least a shard: what comes before one is not stored.
        left = max(left - 1, 0)
        try:
            state = next(steps)
        except StopIteration as end:
            return state, end.value
    steps.close()
    return state, None


def test_a_wrong_sum_is_an_error() -> None:
    """Otherwise a flipped bit ends in a wrong number that looks like any other."""
    for bit in range(20, 64):
        assert riemann.lift(PI[10] + 2**64, 10**10) == PI[10]
        with pytest.raises(riemann.WrongSum, match="more than √x"):
            riemann.lift(PI[10] ^ (1 << bit), 10**10)


@pytest.mark.parametrize(
    "wrong",
    [
        {"y": 10**6},
        {"ac_words": 2**40},
        {"b_words": 2**32},
        {"window": 240 * 2**30},
        {"ac_rows": 7},
        {"d_rows": 10**4},
    ],
    ids=str,
)
@pytest.mark.usefixtures("fine_shards")
def test_a_state_with_a_division_that_there_is_not(wrong: dict[str, object]) -> None:
    """Otherwise compiled code reads beyond its tables, or an hour is spent on a wrong sum."""
    *_, state = engine.count(begin(10**10))
    division = state.divisions[0].model_copy(update=wrong)
    with pytest.raises(WrongState, match=r"^a [^\n]* of π\(10000000000\)[^\n]*$"):
        finish(engine.count(state.model_copy(update={"divisions": (division,)})))


@pytest.mark.parametrize(
    ("wrong", "last"),
    [
        ({"cursor": 0}, {}),
        ({"cursor": 10**9}, {}),
        ({"sums": ()}, {}),
        ({}, {"counts": ()}),
        ({}, {"weights": (1,)}),
        ({}, {"counts": (1,) * 10**4}),
        ({}, {"term": "b"}),
        ({}, {"window": 1}),
    ],
    ids=str,
)
@pytest.mark.usefixtures("fine_shards")
def test_a_state_that_no_computation_reaches(
    wrong: dict[str, object], last: dict[str, object]
) -> None:
    """Otherwise compiled code reads beyond its tables, or an hour is spent on a wrong sum."""
    part = next(s.part for s in engine.count(begin(10**10)) if len(s.part.sums) == 5)
    sums = (*part.sums[:-1], part.sums[-1].model_copy(update=last))
    part = part.model_copy(update={"sums": sums, **wrong})
    with pytest.raises(WrongState, match=r"of π\(10000000000\)|has \d+ pieces"):
        finish(engine.count(Counting(divisions=(divide(10**10),), part=part)))


def test_the_total_may_wrap_around() -> None:
    """Otherwise the count fails where the terms pass 2^63."""
    assert riemann.lift(2**64 - 1 + PI[17] - 2**64, 10**17) == PI[17] - 1


@pytest.mark.usefixtures("fine_shards")
def test_progress_rises_from_0_to_1() -> None:
    """Otherwise the progress bar jumps back, or stands at half when the job is done."""
    states = engine.count(begin(10**11))
    shares = [work.share(state.divisions, state.part.cursor) for state in states]
    assert shares[0] == 0
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)


def test_the_state_stays_small() -> None:
    """Otherwise it does not fit the stores it is meant for."""
    *_, state = engine.count(begin(10**13))
    assert len(state.model_dump_json()) < 4000


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("x", "count"),
    [(10**18, 24739954287740860), (2**63, 216289611853439384), (2**64, 425656284035217743)],
)
def test_large_published_counts(x: int, count: int) -> None:
    """Otherwise the last decade is only believed to work; OEIS A006880 and A007053."""
    assert finish(engine.count(begin(x), 2)) == count


def test_states_in_any_order_get_tables_that_fit() -> None:
    """Otherwise a worker that goes back one checkpoint after a late start reads beyond a table."""
    kept = Kept()
    states = list(engine.count(begin(10**11)))
    for state in (states[-1], states[0], states[-2], states[-1], states[1]):
        steps = engine.count(state, 1, kept)
        next(steps, None)
        steps.close()
        assert finish(engine.count(state, 1, kept)) == PI[11]


@pytest.mark.parametrize("threads", [1, 2])
def test_two_computations_in_turns(threads: int) -> None:
    """Otherwise a program that looks at one job while another runs gets an error from both."""
    xs, kept = [10**11, 10**11, 10**11 + 1], Kept()
    states = [begin(x) for x in xs]
    left = [engine.count(state, threads, kept) for state in states]
    counts: dict[int, int] = {}
    while len(counts) < len(xs):
        for i, steps in enumerate(left):
            before = states[i]
            try:
                states[i] = next(steps)
            except StopIteration as end:
                counts.setdefault(i, end.value)
            if i == 0 and states[i] != before:  # Stopped after each shard, its tables are kept.
                steps.close()
                left[i] = engine.count(states[i], threads, kept)
    assert list(map(counts.get, range(3))) == [PI[11], PI[11], primecountpy.prime_pi(xs[2])]


@pytest.mark.usefixtures("fine_shards")
def test_computations_in_many_threads() -> None:
    """Otherwise two slices in one process end each other."""
    kept = Kept()

    def stop_and_go(x: int) -> int:
        state = begin(x)
        while True:
            steps, begun = engine.count(state, 1, kept), state
            while state.part.cursor < begun.part.cursor + 5:
                try:
                    state = next(steps)
                except StopIteration as end:
                    return int(end.value)
            steps.close()

    with ThreadPoolExecutor(4) as pool:
        xs = [10**11, 10**11, 10**11 + 1, 10**11 + 2]
        assert list(pool.map(stop_and_go, xs)) == [primecountpy.prime_pi(x) for x in xs]


def test_a_slice_goes_on_with_the_tables_of_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each slice of a large job would build its tables again, and short ones never get further."""
    kernel = NthPrime()
    params = kernel.Params(position=10**13)
    kernel.prepare(params)
    steps = kernel.run(params, None, Resources())
    state = next(s for s in steps if s.counting and s.counting.part.cursor)
    steps.close()
    monkeypatch.setattr(engine, "build_rows", lambda _: pytest.fail("built again"))
    kernel.prepare(params)
    assert next(s for s in kernel.run(params, state, Resources()) if s != state)

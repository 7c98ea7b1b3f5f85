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
from outlast.kernel.nth_prime.gourdon import ac, b, d, engine, kept, phi0, riemann
from outlast.kernel.nth_prime.gourdon.bounds import begin
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


@pytest.fixture
def fine_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards far smaller than usual, so that there are many safe points."""
    cut_finely(monkeypatch)


def cut_finely(patch: pytest.MonkeyPatch) -> None:
    """Let each shard do far less than usual."""
    for term, budget in ((phi0, 500), (ac, 5000), (b, 1), (d, 20_000)):
        patch.setattr(term, "BUDGET", budget)


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
    state = begin(x, ac_span=2**16, b_words=4096, d_words=random.choice([512, 2048, 8192]))
    count = None
    with pytest.MonkeyPatch.context() as patch:
        cut_finely(patch)
        while count is None:
            state, count = stretch(state, random)
            state = Counting.model_validate_json(state.model_dump_json())
    assert count == primecountpy.prime_pi(x)


def stretch(state: Counting, random: Random) -> tuple[Counting, int | None]:
    """The state after some steps, as one worker does them; with the count if that was all."""
    if random.random() < 0.1:
        kept.forget()  # as in another process
    steps = engine.count(state, random.choice([1, 1, 2]))
    for _ in range(random.randrange(6, 12)):
        try:
            state = next(steps)
        except StopIteration as end:
            return state, end.value
    steps.close()
    return state, None


def test_a_wrong_sum_is_an_error() -> None:
    """Otherwise a flipped bit ends in a wrong number that looks like any other."""
    *_, state = engine.count(begin(10**10))
    assert riemann.lift(state.total, state.x) == PI[10]
    for bit in range(20, 64):
        with pytest.raises(riemann.WrongSum, match="more than √x"):
            riemann.lift(state.total ^ (1 << bit), state.x)


@pytest.mark.parametrize(
    "wrong",
    [
        {"pieces": 7},
        {"cursor": 10**6},
        {"carry": ()},
        {"carry": (1,) * 5},
        {"term": "b"},
        {"term": "ac"},
        {"y": 10**6},
        {"ac_span": 2**40},
        {"b_words": 2**32},
    ],
    ids=str,
)
@pytest.mark.usefixtures("fine_shards")
def test_a_state_that_no_computation_reaches(wrong: dict[str, object]) -> None:
    """Otherwise compiled code reads beyond its tables, or an hour is spent on a wrong sum."""
    state = next(s for s in engine.count(begin(10**10)) if s.term == "d" and s.cursor)
    with pytest.raises(WrongState, match=r"^a state of π\(10000000000\) [^\n]*$"):
        next(engine.count(state.model_copy(update=wrong)))


def test_the_total_may_wrap_around() -> None:
    """Otherwise the count fails where the terms pass 2^63."""
    assert riemann.lift(2**64 - 1 + PI[17] - 2**64, 10**17) == PI[17] - 1


@pytest.mark.usefixtures("fine_shards")
def test_progress_rises_from_0_to_1() -> None:
    """Otherwise the progress bar jumps back, or stands at half when the job is done."""
    shares = [state.progress() for state in engine.count(begin(10**11))]
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


def test_tables_that_only_d_can_use_are_not_taken_for_others() -> None:
    """Otherwise a worker that goes back one checkpoint after a late start reads beyond a table."""
    states = list(engine.count(begin(10**11)))
    for state in (states[-1], states[0], states[-2], states[-1], states[1]):
        assert finish(engine.count(state)) == PI[11]


@pytest.mark.parametrize("threads", [1, 2])
def test_two_computations_in_turns(threads: int) -> None:
    """Otherwise a program that looks at one job while another runs gets an error from both."""
    xs = [10**11, 10**11, 10**11 + 1]
    states = [begin(x) for x in xs]
    left = [engine.count(state, threads) for state in states]
    counts: dict[int, int] = {}
    while len(counts) < len(xs):
        for i, steps in enumerate(left):
            try:
                states[i] = next(steps)
            except StopIteration as end:
                counts.setdefault(i, end.value)
            if i == 0 and i not in counts:  # Stopped at each step, its tables are put aside.
                steps.close()
                left[i] = engine.count(states[i], threads)
    assert list(map(counts.get, range(3))) == [PI[11], PI[11], primecountpy.prime_pi(xs[2])]


@pytest.mark.usefixtures("fine_shards")
def test_computations_in_many_threads() -> None:
    """Otherwise two slices in one process end each other."""

    def stop_and_go(x: int) -> int:
        state = begin(x)
        while True:
            steps = engine.count(state)
            for _ in range(5):
                try:
                    state = next(steps)
                except StopIteration as end:
                    return int(end.value)
            steps.close()

    with ThreadPoolExecutor(4) as pool:
        xs = [10**11, 10**11, 10**11 + 1, 10**11 + 2]
        assert list(pool.map(stop_and_go, xs)) == [primecountpy.prime_pi(x) for x in xs]


def test_preparing_again_leaves_the_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each slice of a large job would build its tables again, and short ones never get further."""
    kernel = NthPrime()
    params = kernel.Params(position=10**13)
    kernel.prepare(params)
    steps = kernel.run(params, None, Resources())
    state = next(state for state in steps if state.counting and state.counting.shards)
    steps.close()
    monkeypatch.setattr(kept, "build", None)  # cannot be called
    kernel.prepare(params)
    assert next(kernel.run(params, state, Resources())) != state

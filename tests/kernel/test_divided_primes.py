"""The kernels `nth-prime` and `prime-count` as many workers share a job of theirs."""

from __future__ import annotations

from itertools import accumulate, pairwise
from random import Random
from typing import TYPE_CHECKING

import primecountpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.kernel import NonRetryable, Resources
from outlast.kernel.errors import DoesNotFit
from outlast.kernel.nth_prime import NthPrime, PrimeCount
from outlast.kernel.nth_prime.divided import Divided, PrimesPlan
from outlast.kernel.nth_prime.gourdon import engine, parts, work
from outlast.kernel.nth_prime.gourdon.bounds import bounds_of, divide
from outlast.kernel.nth_prime.gourdon.rows import build_rows
from outlast.kernel.nth_prime.gourdon.state import WrongState
from outlast.kernel.nth_prime.sieve.steps import finish
from outlast.testing import assert_divisible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from outlast.kernel.nth_prime.gourdon.parts import CountingPart, CountingSum

COUNT = PrimeCount()
FIND = NthPrime()
X = 10**10
PI_X = 455052511


@pytest.fixture(autouse=True)
def fine_shards() -> Iterator[None]:
    """Shards far smaller than usual, so that there are many safe points."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(work, "LEAST_SHARD", 50e3)
        yield


def fine_plan(x: int, random: Random) -> PrimesPlan:
    """A plan with far more pieces than usual."""
    sizes = {"ac_words": 512, "b_words": 512, "d_words": random.choice([512, 2048])}
    window = random.choice([240 << 8, 240 << 22])
    return PrimesPlan(divisions=(divide(x, window=window, **sizes),))


def edges_of(plan: PrimesPlan) -> list[int]:
    """The first piece of each stretch, in order, and where the last one ends."""
    return [*accumulate((one.last for one in parts.whole(plan.divisions)), initial=0)]


def some_cuts(plan: PrimesPlan, random: Random) -> list[int]:
    """Where parts begin and end; many near the ends of terms, whose own lie at any height."""
    edges = edges_of(plan)
    inner = [random.randrange(1, edges[-1]) for _ in range(random.randrange(4))]
    near = [edge + random.randint(-3, 3) for edge in edges]
    cuts = random.sample(near, random.randrange(len(near) + 1)) + inner
    return sorted({0, edges[-1], *(cut for cut in cuts if 0 < cut < edges[-1])})


def do(
    kernel: Divided,
    plan: PrimesPlan,
    first: int,
    last: int,
    *,
    stop: Callable[[], bool] = lambda: False,
    threads: int = 1,
) -> CountingSum:
    """What a part comes to; where `stop` says so, go on from stored JSON."""
    state = None
    while True:
        steps = kernel.part(plan, first, last, state, Resources(threads=threads))
        try:
            while True:
                state = next(steps)
                if stop():
                    break
        except StopIteration as end:
            return kernel.Partial.model_validate_json(end.value.model_dump_json())
        steps.close()
        state = kernel.PartState.model_validate_json(state.model_dump_json())


def together(
    kernel: Divided, plan: PrimesPlan, partials: list[CountingSum], random: Random
) -> CountingSum:
    """All partials, combined two by two in any order."""
    partials = list(partials)
    while len(partials) > 1:
        i = random.randrange(len(partials) - 1)
        partials[i : i + 2] = [kernel.combine(plan, *partials[i : i + 2])]
    return partials[0]


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32), x=st.integers(2 * 10**8 + 1, 10**11))
def test_any_cuts_and_any_grouping_give_the_count(seed: int, x: int) -> None:
    """Otherwise a job's result depends on how many workers shared it, and on who was first."""
    random = Random(seed)
    params, plan = COUNT.Params(x=x), fine_plan(x, random)
    cuts = some_cuts(plan, random)
    ranges = list(pairwise(cuts))
    random.shuffle(ranges)
    stop = (lambda: random.random() < 0.1) if random.random() < 0.5 else (lambda: False)
    partials = [
        do(COUNT, plan, *ends, stop=stop, threads=random.choice([1, 1, 2])) for ends in ranges
    ]
    partials.sort(key=lambda partial: partial.first)
    totals = [together(COUNT, plan, partials, random) for _ in range(2)]
    assert totals[0] == totals[1] == do(COUNT, plan, 0, cuts[-1])
    assert COUNT.conclude(params, plan, totals[0]).count == primecountpy.prime_pi(x)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32), n=st.integers(10**7 + 1, 10**10))
def test_any_cuts_give_the_prime(seed: int, n: int) -> None:
    """Otherwise the search begins with a wrong count, or at another place."""
    random = Random(seed)
    params = FIND.Params(position=n)
    plan = FIND.Plan.model_validate_json(FIND.plan(params).model_dump_json())
    pieces = FIND.pieces(plan)
    cuts = [0, *sorted(random.sample(range(1, pieces), min(5, pieces - 1))), pieces]
    partials = [do(FIND, plan, *ends) for ends in pairwise(cuts)]
    state = FIND.conclude(params, plan, together(FIND, plan, partials, random))
    assert finish(FIND.run(params, state, Resources())).prime == primecountpy.nth_prime(n)


@pytest.mark.parametrize("size", [1, 2, 3, 100, 10**6, 10**7])
def test_what_the_plain_sieve_answers_is_one_piece(size: int) -> None:
    """Otherwise a small job that is meant for many workers ends with a wrong number."""
    for kernel, params, answer in (
        (COUNT, COUNT.Params(x=size), primecountpy.prime_pi(size)),
        (FIND, FIND.Params(position=size), primecountpy.nth_prime(size)),
    ):
        plan = kernel.plan(params)
        assert kernel.pieces(plan) == 1
        assert [kernel.share(plan, first) for first in (0, 1)] == [0, 1]
        state = kernel.conclude(params, plan, do(kernel, plan, 0, 1))
        result = finish(kernel.run(params, state, Resources()))
        assert list(result.model_dump().values()) == [size, answer]


def test_a_part_goes_on_from_each_of_its_states() -> None:
    """Otherwise a part that was stopped at an unlucky moment comes to another sum."""
    plan = fine_plan(X, Random(1))
    last = COUNT.pieces(plan)
    first = 2 + plan.divisions[0].ac_rows // 2
    whole = do(COUNT, plan, first, last)
    states = list(COUNT.part(plan, first, last, None, Resources()))
    assert [len(state.sums) for state in states[:: len(states) - 1]] == [0, 3]
    for state in states[:: max(len(states) // 50, 1)]:
        again = COUNT.PartState.model_validate_json(state.model_dump_json())
        assert again == state
        assert finish(COUNT.part(plan, first, last, again, Resources())) == whole


def test_the_pieces_are_those_of_the_rows() -> None:
    """Otherwise a job of some unlucky size is refused by every worker."""
    random = Random(20261126)
    for _ in range(30):
        division = COUNT.plan(COUNT.Params(x=int(10 ** random.uniform(8.4, 16)))).divisions[0]
        rows = finish(build_rows(bounds_of(division)))
        assert (rows.ac_rows, rows.d_rows) == (division.ac_rows, division.d_rows)


@pytest.mark.parametrize(("first", "last"), [(-1, 1), (1, 1), (2, 1), (0, 10**9)])
def test_pieces_that_there_are_not(first: int, last: int) -> None:
    """Otherwise compiled code reads beyond its tables, and the worker dies without a word."""
    for plan in (COUNT.plan(COUNT.Params(x=X)), COUNT.plan(COUNT.Params(x=100))):
        with pytest.raises(NonRetryable, match=r"piece[^\n]*, not those from -?\d+ to \d+$"):
            next(COUNT.part(plan, first, last, None, Resources()))


def stored_state() -> tuple[PrimesPlan, int, int, CountingPart]:
    """A state of a part of B and D, in D."""
    plan = fine_plan(X, Random(2))
    *_, d = parts.whole(plan.divisions)
    first, last = d.begin - 2, d.begin + d.last - 2
    *_, state = COUNT.part(plan, first, last, None, Resources())
    return plan, first, last, state


def forged(state: CountingPart | CountingSum, **changes: object) -> CountingPart | CountingSum:
    """The same, but for the last of its sums."""
    last = state.sums[-1].model_copy(update=changes)
    return state.model_copy(update={"sums": (*state.sums[:-1], last)})


FORGERIES = [
    {"counts": ()},
    {"counts": (1,) * 10**4},
    {"weights": (1,) * 10**4},
    {"window": 1},
    {"term": "b"},
    {"term": "ac"},
]


@pytest.mark.parametrize("wrong", FORGERIES, ids=str)
def test_a_state_that_no_part_reaches(wrong: dict[str, object]) -> None:
    """Otherwise compiled code reads beyond its tables, or an hour is spent on a wrong sum."""
    plan, first, last, state = stored_state()
    with pytest.raises(WrongState, match=r"^a part of π\(10000000000\) [^\n]*$"):
        next(COUNT.part(plan, first, last, forged(state, **wrong), Resources()))


@pytest.mark.parametrize("cursor", [0, 10**9])
def test_a_cursor_that_lies_outside_of_the_part(cursor: int) -> None:
    """Otherwise pieces are counted twice, or never."""
    plan, first, last, state = stored_state()
    with pytest.raises(WrongState, match="of another part"):
        finish(
            COUNT.part(plan, first, last, state.model_copy(update={"cursor": cursor}), Resources())
        )


def test_a_state_of_another_part() -> None:
    """Otherwise pieces are counted twice, or never."""
    plan, first, last, state = stored_state()
    for elsewhere in ((first, last - 5), (last, last + 2), (0, first)):
        with pytest.raises(WrongState):
            finish(COUNT.part(plan, *elsewhere, state, Resources()))


@pytest.mark.parametrize("wrong", FORGERIES, ids=str)
def test_a_partial_that_no_part_comes_to(wrong: dict[str, object]) -> None:
    """Otherwise each attempt to combine a damaged one ends a slice, with a traceback."""
    plan, first, last, _ = stored_state()
    left, right = do(COUNT, plan, first, last), do(COUNT, plan, last, last + 2)
    for pair in ((forged(left, **wrong), right), (left, forged(right, **wrong))):
        with pytest.raises(WrongState, match=r"^a part of π\(10000000000\) [^\n]*$"):
            COUNT.combine(plan, *pair)


def test_only_neighbours_are_combined() -> None:
    """Otherwise a part that is missing, or there twice, ends in a wrong number."""
    plan, first, last, _ = stored_state()
    left, right = do(COUNT, plan, first, last - 1), do(COUNT, plan, last, last + 2)
    for pair in ((left, right), (right, left), (left, left)):
        with pytest.raises(WrongState, match=r"parts of π\(10000000000\) that end at \d+ and"):
            COUNT.combine(plan, *pair)
    small = do(COUNT, COUNT.Plan(), 0, 1)
    with pytest.raises(WrongState, match="1 piece"):
        COUNT.combine(COUNT.Plan(), small, small)


def test_a_count_that_is_verified_is_divided_too() -> None:
    """Otherwise whoever wants to be sure waits for one worker."""
    params = COUNT.Params(x=X, verify=True)
    plan = COUNT.plan(params)
    pieces, random = COUNT.pieces(plan), Random(6)
    cuts = [0, *sorted(random.sample(range(1, pieces), 6)), pieces]
    partials = [do(COUNT, plan, *ends) for ends in pairwise(cuts)]
    result = COUNT.conclude(params, plan, together(COUNT, plan, partials, random))
    assert (result.count, result.verified) == (PI_X, "counted with y = 6031 and with y = 4824")


def test_a_wrong_total_is_an_error() -> None:
    """Otherwise a flipped bit ends in a wrong number that looks like any other."""
    plan = fine_plan(X, Random(3))
    total = do(COUNT, plan, 0, COUNT.pieces(plan))
    assert COUNT.conclude(COUNT.Params(x=X), plan, total).count == PI_X
    wrong = forged(total, total=total.sums[-1].total ^ 1 << 40)
    with pytest.raises(NonRetryable, match="more than √x"):
        COUNT.conclude(COUNT.Params(x=X), plan, wrong)
    with pytest.raises(WrongState, match="a part of"):
        COUNT.conclude(COUNT.Params(x=X), plan, forged(total, counts=()))
    for first, last in ((0, total.last - 1), (1, total.last)):
        with pytest.raises(WrongState, match=f"not of all {total.last} pieces"):
            COUNT.conclude(COUNT.Params(x=X), plan, do(COUNT, plan, first, last))
    with pytest.raises(WrongState, match="another job"):
        COUNT.conclude(COUNT.Params(x=X + 1), plan, total)
    with pytest.raises(WrongState, match="another number"):
        FIND.conclude(FIND.Params(position=PI_X), plan, total)


@pytest.mark.parametrize("wrong", [{"ac_rows": 1}, {"d_rows": 7}, {"y": 10}, {"b_words": 2**32}])
def test_a_plan_that_is_none(wrong: dict[str, int]) -> None:
    """Otherwise compiled code reads beyond its tables, or pieces are never counted."""
    plan = COUNT.plan(COUNT.Params(x=X))
    division = plan.divisions[0].model_copy(update=wrong)
    plan = plan.model_copy(update={"divisions": (division,)})
    with pytest.raises(WrongState, match=r"π\(10000000000\) with"):
        finish(COUNT.part(plan, 0, 3, None, Resources()))


def test_sums_wrap_around() -> None:
    """Otherwise sums that pass 2^63 cannot be combined, though their total is right."""
    plan, first, last, _ = stored_state()
    left, right = do(COUNT, plan, first, last), do(COUNT, plan, last, last + 2)
    expected = COUNT.combine(plan, left, right).sums[-1]
    moved = forged(left, total=(left.sums[-1].total - 2**63) % 2**64)
    found = COUNT.combine(plan, moved, right).sums[-1]
    assert (found.total - expected.total) % 2**64 == 2**63
    assert (found.weights, found.counts) == (expected.weights, expected.counts)


def test_parts_of_one_term_build_their_tables_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a worker of many short parts does little but build tables."""
    kernel, plan = PrimeCount(), fine_plan(X, Random(4))
    ends = edges_of(plan)
    built = []
    for name, module in engine.TERMS.items():
        build = module.build
        monkeypatch.setattr(
            module, "build", lambda *a, name=name, build=build: (built.append(name), build(*a))[1]
        )
    for term in (-1, -1, 2, 2, -1):
        do(kernel, plan, ends[:-1][term], ends[1:][term])
    assert built == ["d", "ac", "d"]


def test_a_part_that_is_closed_leaves_no_thread() -> None:
    """Otherwise a worker that stops goes on to compute."""
    import threading

    plan = fine_plan(X, Random(5))
    steps = COUNT.part(plan, 0, COUNT.pieces(plan), None, Resources(threads=3))
    assert next(state for state in steps if state.sums and state.sums[-1].term == "d")
    assert threading.active_count() > 1
    steps.close()
    assert threading.active_count() == 1


def test_what_does_not_fit_in_the_memory_is_refused() -> None:
    """Otherwise the system kills the worker minutes later, and the next one, without a word."""
    plan = COUNT.plan(COUNT.Params(x=10**19))
    with pytest.raises(DoesNotFit, match="grants 100 MiB"):
        next(COUNT.part(plan, 0, 1, None, Resources(memory_bytes=100 << 20)))


def test_it_keeps_the_whole_contract() -> None:
    """What an author's own test would find, a user would find in a fleet."""
    params = PrimeCount.Params(x=10**11)
    result = assert_divisible(PrimeCount(), params, divisions=3, interruptions=6)
    assert result.count == 4_118_054_813

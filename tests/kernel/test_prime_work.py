"""Where the pieces of `nth-prime` and `prime-count` are cut: the model of their time."""

from __future__ import annotations

import subprocess
import sys
from bisect import bisect_left
from itertools import pairwise

import pytest

from outlast.kernel.nth_prime import PrimeCount
from outlast.kernel.nth_prime.gourdon import crossing, d, engine, kept, parts, work
from outlast.kernel.nth_prime.sieve.steps import finish

COUNT = PrimeCount()


@pytest.mark.parametrize("x", [2 * 10**8 + 1, 10**11, 10**15, 10**18, 2**66 - 1])
def test_the_share_rises_from_0_to_1(x: int) -> None:
    """Otherwise parts are cut that have no pieces, or the last one has nearly all."""
    plan = COUNT.plan(COUNT.Params(x=x))
    last = COUNT.pieces(plan)
    firsts = sorted({*range(0, last, max(last // 5000, 1)), *range(min(last, 5000)), last})
    shares = [COUNT.share(plan, first) for first in firsts]
    assert (shares[0], shares[-1]) == (0, 1)
    assert shares == sorted(shares)
    assert shares[1] > 0
    assert COUNT.share(plan, last - 1) < 1


@pytest.mark.parametrize(("name", "tolerance"), [("ac", 0.2), ("d", 0.5)])
@pytest.mark.parametrize("x", [10**15, 10**16])
def test_equal_shares_are_equal_work(
    monkeypatch: pytest.MonkeyPatch, name: str, tolerance: float, x: int
) -> None:
    """Otherwise one part takes as long as all others together.

    Work is what ends a shard: leaves, and in D multiples; it is not quite in proportion to time.
    """
    plan = COUNT.plan(COUNT.Params(x=x))
    term, bounds = engine.TERMS[name], parts.bounds_of(plan.division)
    first, last = 0, 0
    for other, pieces in parts.by_term(plan.division).items():
        first, last = last, last + pieces
        if other == name:
            break
    with kept.tables_of(bounds) as tables:
        t = finish(tables.up_to(bounds.root))
    monkeypatch.setattr(term, "BUDGET", 500_000)
    end = term.pieces(bounds, t)
    width = end // (last - first)
    shards = [0]
    while shards[-1] < end:
        shards.append(term.cut(bounds, t, shards[-1], end))
    low, high = COUNT.share(plan, first), COUNT.share(plan, last)
    cuts = [
        bisect_left(range(last), low + (high - low) * i / 4, key=lambda p: COUNT.share(plan, p))
        for i in (1, 2, 3)
    ]
    works = [bisect_left(shards, width * (cut - first)) for cut in (first, *cuts, last)]
    sizes = [(b - a) * 4 / len(shards) for a, b in pairwise(works)]
    assert all(abs(size - 1) < tolerance for size in sizes)


LARGE = """
import sys
from outlast.kernel.nth_prime import NthPrime, PrimeCount
for kernel, params in (
    (NthPrime(), NthPrime.Params(position=10**18)), (PrimeCount(), PrimeCount.Params(x=2**66 - 1))
):
    plan = kernel.plan(params)
    assert 0 < kernel.share(plan, kernel.pieces(plan) // 2) < 1
print([name for name in ("llvmlite", "numba", "numpy") if name in sys.modules])
"""


def test_a_plan_and_its_shares_need_no_compiler() -> None:
    """Otherwise who submits a job, or looks at it, needs what only workers have."""
    done = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_model_knows_which_rows_have_all_words_counted() -> None:
    """Otherwise parts of D are cut as if their rows were counted in another way."""
    assert (crossing.PATTERN_PRIMES[-1], d._MANY) == (work._LARGEST_PATTERN, work._MANY)

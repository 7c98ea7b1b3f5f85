"""Where the pieces of `nth-prime` and `prime-count` are cut: the model of their time."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import pytest

from outlast.kernel.nth_prime import PrimeCount
from outlast.kernel.nth_prime.gourdon import crossing, parts, row_leaves, work

COUNT = PrimeCount()


@pytest.mark.parametrize("x", [2 * 10**8 + 1, 10**11, 10**15, 10**18, 10**22, 2**80 - 1])
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


@pytest.mark.parametrize("x", [10**12, 10**16, 10**19])
def test_shards_are_of_equal_work(x: int) -> None:
    """Otherwise a worker that must stop waits long, or does little but begin shards."""
    divisions = COUNT.plan(COUNT.Params(x=x)).divisions
    cuts = [0]
    while cuts[-1] < parts.pieces_of(divisions):
        cuts.append(work.shard_end(divisions, cuts[-1]))
    assert cuts == sorted({*cuts})
    works = [b - a for a, b in pairwise(work.share(divisions, cut) for cut in cuts)]
    assert len(works) <= 1.1 * work.SHARDS
    assert max(works[:-1], default=0) < 1.5 * max(1 / len(works), 1 / work.SHARDS)


LARGE = """
import sys
from outlast.kernel.nth_prime import NthPrime, PrimeCount
for kernel, params in (
    (NthPrime(), NthPrime.Params(position=10**18)), (PrimeCount(), PrimeCount.Params(x=2**80 - 1))
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
    assert (crossing.PATTERN_PRIMES[-1], row_leaves._MANY) == (work._LARGEST_PATTERN, work._MANY)

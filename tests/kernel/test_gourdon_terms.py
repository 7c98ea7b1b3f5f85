"""Each term of Gourdon's formula alone, and its shards."""

from __future__ import annotations

from functools import cache, partial
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import primecountpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_gourdon import Slow

from outlast.kernel.nth_prime.gourdon import parts
from outlast.kernel.nth_prime.gourdon.bounds import bounds_of, cube_root, divide
from outlast.kernel.nth_prime.gourdon.engine import TERMS
from outlast.kernel.nth_prime.gourdon.rows import build_rows
from outlast.kernel.nth_prime.gourdon.state import CountingSum
from outlast.kernel.nth_prime.gourdon.term import BEGINNING, Partial, fuse, stored
from outlast.kernel.nth_prime.sieve.steps import finish

if TYPE_CHECKING:
    from outlast.kernel.nth_prime.gourdon.parts import Stretch
    from outlast.kernel.nth_prime.gourdon.state import Division

SMALL = {"ac_words": 512, "b_words": 512, "d_words": 512}


def shard(division: Division, stretch: Stretch, first: int, last: int) -> Partial:
    """What some pieces of a stretch come to."""
    bounds, rows, tables = built(division, stretch.term, stretch.window)
    return finish(TERMS[stretch.term].shard(bounds, rows, tables, first, last))


@cache
def built(division: Division, term: str, window: int) -> tuple[object, object, object]:
    """The bounds, rows and tables of one term."""
    bounds = bounds_of(division)
    rows = finish(build_rows(bounds))
    return bounds, rows, finish(TERMS[term].build(bounds, rows, window))


def beginning(stretch: Stretch) -> list[Partial]:
    """What the first shard of a stretch is fused to, if anything."""
    return [] if stretch.term == "b" else [BEGINNING]


def total(division: Division) -> CountingSum:
    """What all pieces come to, each stretch in one shard."""
    sums = []
    for stretch in parts.whole((division,)):
        done = shard(division, stretch, stretch.first, stretch.last)
        sums.append(
            stored(stretch, fuse(*beginning(stretch), done) if beginning(stretch) else done)
        )
    return CountingSum(first=0, last=parts.pieces_of((division,)), sums=tuple(sums))


def values(division: Division) -> tuple[int, ...]:
    """The value of each term, as a signed number."""
    return tuple((value + 2**63) % 2**64 - 2**63 for value in parts.terms(total(division).sums))


@pytest.mark.parametrize(
    ("x", "y"), [(10**8, None), (123456789, 700), (987654321, 3000), (2**30 - 35, 1200)]
)
@pytest.mark.parametrize("window", [240, 240 << 22])
def test_every_term_is_what_its_definition_says(x: int, y: int | None, window: int) -> None:
    """Otherwise an error of one term could hide behind an opposite one of another."""
    division = divide(x, y=y, window=window, **SMALL)
    found, slow = values(division), Slow(bounds_of(division))
    a, b, c, d, phi0 = slow.a(), slow.b(), slow.c(), slow.d(), slow.phi0()
    sigma = primecountpy.prime_pi(x) - a + b - c - d - phi0
    assert found == (a + c, b, d, phi0, sigma)


CUT = divide(3 * 10**10, window=240 << 5, **SMALL)


@pytest.mark.parametrize("i", range(len(parts.whole((CUT,)))))
@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32))
def test_shards_may_be_cut_anywhere_and_fused_in_any_grouping(i: int, seed: int) -> None:
    """Otherwise a result depends on how a computation was shared out among workers."""
    stretch, random = parts.whole((CUT,))[i], Random(seed)
    some = random.randrange(12)
    cuts = {0, stretch.last, *(random.randrange(stretch.last + 1) for _ in range(some))}
    ranges = list(pairwise(sorted(cuts)))
    random.shuffle(ranges)
    shards = {ends: shard(CUT, stretch, *ends) for ends in ranges}
    row = [*beginning(stretch), *(shards[ends] for ends in sorted(ranges))]
    while len(row) > 1:
        at = random.randrange(len(row) - 1)
        row[at : at + 2] = [fuse(*row[at : at + 2])]
    assert stored(stretch, row[0]) == total_of_cut().sums[i]


@cache
def total_of_cut() -> CountingSum:
    """What the test above cuts up."""
    return total(CUT)


@settings(deadline=None, max_examples=60)
@given(
    x=st.integers(10**8, 10**11),
    alpha=st.floats(1, 20),
    window=st.integers(20, 2000),
    words=st.tuples(st.integers(1, 8), st.integers(1, 8), st.integers(1, 16)),
)
def test_the_sum_does_not_depend_on_how_it_is_split(
    x: int, alpha: float, window: int, words: tuple[int, int, int]
) -> None:
    """Otherwise the answer is right only for the bounds and segments that happen to be usual."""
    division = divide(
        x,
        y=int(alpha * cube_root(x)),
        window=240 * window,
        ac_words=512 * words[0],
        b_words=512 * words[1],
        d_words=512 * words[2],
    )
    built.cache_clear()
    assert parts.counted((division,), total(division)) == primecountpy.prime_pi(x)


def test_fusing_wraps_modulo_2_to_the_64() -> None:
    """Otherwise a sum that passes 2^63 on its way is wrong, or stops the job."""
    before = Partial(2**64 - 1, np.array([3], np.int64), np.array([2**40, -(2**62)], np.int64))
    later = Partial(2**64 - 7, np.array([2**30, 5], np.int64), np.array([1, 2], np.int64))
    done = fuse(before, later)
    assert done.total == (2**64 - 8 + 2**70 - 5 * 2**62) % 2**64
    assert done.counts.tolist() == [2**40 + 1, 2 - 2**62]
    assert done.weights.tolist() == [2**30 + 3, 5]


def test_what_no_later_shard_asks_for_is_dropped() -> None:
    """Otherwise a row that has no leaves left is stored to the end of the job."""
    array = partial(np.array, dtype=np.int64)
    left = Partial(1, array([1, 1, 1]), array([5, 6, 7]))
    right = Partial(2, array([10, 20]), array([100]))
    assert [*map(list, fuse(left, right)[1:])] == [[11, 21, 1], [105]]
    assert fuse(left, right).total == 3 + 50 + 120
    assert [*map(list, fuse(BEGINNING, right)[1:])] == [[], [100]]
    assert fuse(BEGINNING, right).total == 2

"""Each term of Gourdon's formula alone, and its shards."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import primecountpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_gourdon import Slow

from outlast.kernel.nth_prime.gourdon.bounds import begin, bounds_of, cube_root
from outlast.kernel.nth_prime.gourdon.engine import TERMS
from outlast.kernel.nth_prime.gourdon.phase import Partial, fuse, origin
from outlast.kernel.nth_prime.gourdon.tables import build
from outlast.kernel.nth_prime.sieve.steps import finish

if TYPE_CHECKING:
    from outlast.kernel.nth_prime.gourdon.bounds import Bounds
    from outlast.kernel.nth_prime.gourdon.tables import Tables


@cache
def parts(x: int, y: int | None = None, **sizes: int) -> tuple[Bounds, Tables]:
    """The bounds and tables of one x."""
    bounds = bounds_of(begin(x, y=y, **sizes))
    return bounds, finish(build(bounds, bounds.root))


def whole(name: str, bounds: Bounds, t: Tables) -> int:
    """The value of a term, as a signed number."""
    term = TERMS[name]
    cursor, end = 0, term.pieces(bounds, t)
    done = origin(term.carry(bounds, t))
    while cursor < end:
        last = term.cut(bounds, t, cursor, end)
        assert cursor < last <= end
        done = fuse(done, term.shard(bounds, t, cursor, last))
        cursor = last
    return (done.total + 2**63) % 2**64 - 2**63


@pytest.mark.parametrize(
    ("x", "y"), [(10**8, None), (123456789, 700), (987654321, 3000), (2**30 - 35, 1200)]
)
def test_every_term_is_what_its_definition_says(x: int, y: int | None) -> None:
    """Otherwise an error of one term could hide behind an opposite one of another."""
    bounds, t = parts(x, y)
    slow = Slow(bounds)
    assert whole("ac", bounds, t) == slow.a() + slow.c()
    assert whole("b", bounds, t) == -slow.b()
    assert whole("d", bounds, t) == slow.d()
    assert whole("phi0", bounds, t) == slow.phi0()
    sigma = primecountpy.prime_pi(x) - slow.a() + slow.b() - slow.c() - slow.d() - slow.phi0()
    assert whole("sigma", bounds, t) == sigma


@pytest.mark.parametrize("name", ["phi0", "ac", "b", "d"])
@settings(deadline=None, max_examples=150)
@given(seed=st.integers(0, 2**32))
def test_shards_may_be_cut_anywhere_and_fused_in_any_grouping(name: str, seed: int) -> None:
    """Otherwise a result depends on how a computation was shared out among workers."""
    bounds, t = parts(3 * 10**10, ac_span=2**16, b_words=4096, d_words=512)
    random = Random(seed)
    term = TERMS[name]
    end = term.pieces(bounds, t)
    cuts = sorted({0, end, *(random.randrange(end + 1) for _ in range(random.randrange(12)))})
    ranges = list(pairwise(cuts))
    shards = {r: term.shard(bounds, t, *r) for r in random.sample(ranges, len(ranges))}
    row = [origin(term.carry(bounds, t)), *(shards[r] for r in ranges)]
    while len(row) > 1:
        i = random.randrange(len(row) - 1)
        row[i : i + 2] = [fuse(*row[i : i + 2])]
    assert (row[0].total + 2**63) % 2**64 - 2**63 == expected(name)


@cache
def expected(name: str) -> int:
    """The value of the term that the test above cuts up."""
    return whole(name, *parts(3 * 10**10))


@settings(deadline=None, max_examples=60)
@given(
    x=st.integers(10**8, 10**11),
    alpha=st.floats(1, 20),
    ac_span=st.integers(1, 2**14),
    b_words=st.integers(1, 8),
    d_words=st.integers(1, 16),
)
def test_the_sum_does_not_depend_on_how_it_is_split(
    x: int, alpha: float, ac_span: int, b_words: int, d_words: int
) -> None:
    """Otherwise the answer is right only for the bounds and segments that happen to be usual."""
    state = begin(
        x,
        y=int(alpha * cube_root(x)),
        ac_span=64 * ac_span * 16,
        b_words=4096 * b_words,
        d_words=512 * d_words,
    )
    bounds = bounds_of(state)
    t = finish(build(bounds, bounds.root))
    assert sum(whole(name, bounds, t) for name in TERMS) == primecountpy.prime_pi(x)


def test_fusing_wraps_modulo_2_to_the_64() -> None:
    """Otherwise a sum that passes 2^63 on its way is wrong, or stops the job."""
    carry = np.array([2**40, -(2**62)], np.int64)
    weights = np.array([2**30, 5], np.int64)
    shard = Partial(-7, weights, np.array([1, 2], np.int64))
    done = fuse(origin(carry)._replace(total=2**64 - 1), shard)
    assert done.total == (2**64 - 8 + 2**70 - 5 * 2**62) % 2**64
    assert done.counts.tolist() == [2**40 + 1, 2 - 2**62]
    assert done.weights.tolist() == [2**30, 5]

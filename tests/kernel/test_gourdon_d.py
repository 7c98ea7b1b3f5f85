"""D where no whole sum can be checked: its leaves, and single pieces, by slow integers."""

from __future__ import annotations

from itertools import pairwise
from math import isqrt
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.kernel.nth_prime.gourdon import d
from outlast.kernel.nth_prime.gourdon.bounds import RANK, bounds_of, cube_root, divide
from outlast.kernel.nth_prime.gourdon.leaves import THRESHOLDS, list_leaves
from outlast.kernel.nth_prime.gourdon.rows import Rows, build_rows, list_primes
from outlast.kernel.nth_prime.gourdon.term import BEGINNING, fuse
from outlast.kernel.nth_prime.sieve.steps import finish

if TYPE_CHECKING:
    from outlast.kernel.nth_prime.gourdon.bounds import Bounds

PRIMES = finish(list_primes(2 * 10**6))


def factors_of(low: int, high: int) -> list[list[int]]:
    """The prime factors of the numbers from `low` to high - 1, with repetition."""
    rests, factors = list(range(low, high)), [[] for _ in range(low, high)]
    for p in PRIMES[: np.searchsorted(PRIMES, isqrt(high)) + 1].tolist():
        for i in range(-low % p, high - low, p):
            while rests[i] and rests[i] % p == 0:
                rests[i] //= p
                factors[i].append(p)
    return [some + [rest] * (rest > 1) for some, rest in zip(factors, rests, strict=True)]


def leaves_of(low: int, high: int) -> list[tuple[int, int, int]]:
    """(m, -μ(m), least prime factor) of the squarefree m from `low` to high - 1, from 2 on."""
    return [
        (m, -((-1) ** len(some)), some[0])
        for m, some in enumerate(factors_of(low, high), low)
        if m > 1 and len(set(some)) == len(some)
    ]


@settings(deadline=None)
@given(low=st.integers(0, 10**8).map(lambda n: 240 * n), width=st.integers(1, 10**5))
def test_there_is_room_for_all_leaves(low: int, width: int) -> None:
    """Otherwise compiled code writes past the end of an array, or over another list."""
    leaves = finish(list_leaves(PRIMES, low, low + width))
    assert (leaves.ends < [*leaves.starts[1:], len(leaves.composites)]).all()
    assert len(leaves.keys) == len(leaves.composites)
    assert leaves.primes.base is not None
    assert len(leaves.primes) < len(leaves.primes.base)


@pytest.mark.parametrize("low", [0, 10**9 // 240 * 240, 14 * 10**9 // 240 * 240])
@pytest.mark.parametrize("distance", [0, 240 * 4096 - 5_000])
def test_leaves_are_the_squarefree_numbers_without_small_factors(low: int, distance: int) -> None:
    """Otherwise D has a wrong leaf, or lacks one, and nothing but the last check shows it."""
    found = finish(list_leaves(PRIMES, low, low + distance + 10_000))
    slow = leaves_of(low + distance, low + distance + 10_000)
    primes = found.primes[found.primes >= distance] + np.int64(low)
    assert primes.tolist() == [m for m, _, least in slow if least == m > 19]
    for i, threshold in enumerate(THRESHOLDS):
        m, keys = (each[found.starts[i] : found.ends[i]] for each in (found.composites, found.keys))
        some = m >= distance
        expected = [
            (m, sign * int(np.searchsorted(PRIMES, least)))
            for m, sign, least in slow
            if PRIMES[threshold] < least < m
        ]
        assert (
            list(zip((m[some] + np.int64(low)).tolist(), keys[some].tolist(), strict=True))
            == expected
        )


def large(x: int, window: int) -> tuple[Bounds, Rows]:
    """The bounds of a large x, and those rows that D has."""
    division = divide(x, window=window, d_words=512)
    bounds = bounds_of(division)
    primes = PRIMES[
        : max(division.d_rows + RANK, int(np.searchsorted(PRIMES, isqrt(bounds.y))) + 1)
    ]
    n = [x // p for p in primes.tolist()]
    residue = np.array([i % 2**64 for i in n], np.uint64).view(np.int64)
    star = division.d_rows + RANK
    return bounds, Rows(primes, np.array(n, float), residue, easy=0, star=star, middle=star)


@pytest.mark.parametrize("k", [19, 22, 24])
def test_single_pieces_far_beyond_64_bits(k: int) -> None:
    """Otherwise a count that takes hours ends in an error, where an index was too short."""
    random = Random(k)
    x = 10**k + random.randrange(10 ** (k - 1))
    bounds, rows = large(x, window=240 * 10)
    n_leaves = 0
    for _ in range(20):
        row = int((rows.d_rows - 1) * random.random() ** 3)
        p = int(rows.primes[RANK + row])
        least, most = max(p, bounds.y // p), min(bounds.y, x // p**3)
        m = int(least + (most - least) * random.random())
        n_leaves += check_piece(bounds, rows, row, m)
    assert n_leaves > 100
    # A row whose leaves lie so densely that they are counted in another way.
    bounds, rows = large(x, window=240 * 250)
    row = int(np.searchsorted(rows.primes, cube_root(x // bounds.y))) - RANK - 1
    assert check_piece(bounds, rows, row, bounds.y - bounds.window) > 2000


def check_piece(bounds: Bounds, rows: Rows, row: int, m: int) -> int:
    """Compare the piece that the leaf near m belongs to; return how many leaves it has."""
    x, p = bounds.x, int(rows.primes[RANK + row])
    window, span = m // bounds.window, 240 * bounds.d_words
    low = x // (p * m) // span * span
    tables = finish(d.build(bounds, rows, window))
    piece = low // span * rows.d_rows + row
    found = finish(d.shard(bounds, rows, tables, piece, piece + 1))

    is_left = np.ones(span, np.int64)
    for q in PRIMES[: RANK + row].tolist():
        is_left[-low % q :: q] = 0
    if low == 0:
        is_left[0] = 0
    counts = np.cumsum(is_left)
    leaves = [
        (sign, x // (p * m) - low)
        for m, sign, lpf in leaves_of(
            window * bounds.window, min((window + 1) * bounds.window, bounds.y + 1)
        )
        if lpf > p and bounds.y // p < m <= x // p**3 and low <= x // (p * m) < low + span
    ]
    total = sum(sign * int(counts[at]) for sign, at in leaves)
    assert found.total == total % 2**64
    assert found.weights[row] == sum(sign for sign, _ in leaves)
    assert np.count_nonzero(found.weights) <= 1
    if row < len(found.counts):
        assert found.counts[row] == counts[-1]
    return len(leaves)


@pytest.mark.parametrize(("budget", "d_words"), [(300, 16384), (10**5, 32768)])
def test_native_calls_may_end_amid_the_leaves_of_a_row(
    budget: int, d_words: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a stop waits for a row of a hundred million leaves, or they are counted twice."""
    bounds = bounds_of(divide(10**13, y=241_618, d_words=d_words))
    rows = finish(build_rows(bounds))
    tables = finish(d.build(bounds, rows, 0))
    pieces = bounds.d_segments(0) * rows.d_rows
    whole = fuse(BEGINNING, finish(d.shard(bounds, rows, tables, 0, pieces)))
    assert whole.total == 304739017794  # primecount 8.7 has the same, with the same y
    monkeypatch.setattr(d, "BUDGET", budget)
    done = BEGINNING
    for first, last in pairwise([0, 1, 2, 77, rows.d_rows, rows.d_rows + 1, pieces]):
        steps = d.shard(bounds, rows, tables, first, last)
        done = fuse(done, finish(steps))
    assert done.total == whole.total

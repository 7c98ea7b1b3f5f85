"""Where the work lies: a model of the time, by which a computation of π(x) is cut into parts.

It counts what shards go through, as they do: leaves in A + C, leaves, multiples and rows in D,
numbers and queries in B. Where they look at each row, the model looks at one of many; where they
count primes and composites, it knows how dense these are. What each takes, in nanoseconds, is
measured; `bench/prime_parts.py` shows how equal parts become. It imports no numpy.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from outlast.kernel.nth_prime.gourdon.bounds import PHI0_SPAN, RANK, bounds_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from outlast.kernel.nth_prime.gourdon.bounds import Bounds
    from outlast.kernel.nth_prime.gourdon.parts import Divisions
    from outlast.kernel.nth_prime.gourdon.state import Division

# Nanoseconds of one thread.
_PHI0_NUMBER = 4.3
_SIEVED = 0.1
_AC_NUMBER, _AC_ROW, _AC_PRIME = 0.2, 50.0, 0.6
_B_PRIME, _B_QUERY = 35.0, 5.0
_D_ROW, _D_MULTIPLE, _D_LEAF = 150.0, 0.75, 4.5
_D_PATTERN, _D_WORDS, _D_LEAF_BY_WORD = 5600.0, 5000.0, 1.75

# For a row without leaves in a segment: next to nothing, but share must rise.
_DEAD = 1e-3

# By how much more a leaf of A + C takes whose quotient needs a correction.
_AC_LARGE = 1.7

# The lists of D begin behind the primes of these ranks. Of all numbers, 0.5615/ln p are without a
# prime factor up to p: by Mertens' theorem, and a list is about as dense.
_LISTS, _MERTENS = (8, 40, 200), 0.5615

# Rows of D up to this prime, and those with more leaves than this in a segment, have all words
# counted, after which a leaf takes less.
_LARGEST_PATTERN, _MANY = 97, 2000

# A shard takes a thousandth of the time, or what is nearest to it between these. In a small
# computation it takes less than the least: threads must not wait long for the last shard.
SHARDS = 1000
LEAST_SHARD, MOST_SHARD = 20e6, 500e6


class Rows(NamedTuple):
    """Neighbouring rows, and about the prime of the one that stands for them."""

    first: int
    last: int
    p: int


class _Curve(NamedTuple):
    """Pieces, from 0 to their number, and the nanoseconds before each."""

    pieces: list[int]
    before: list[float]


def share(divisions: Divisions, first: int) -> float:
    """Return the share of the time that lies before piece `first`, from 0 to 1."""
    at, before = _curve(divisions)
    return _between(first, at, before) / before[-1]


def shard_end(divisions: Divisions, first: int) -> int:
    """Return where a shard ends that begins with piece `first`."""
    at, before = _curve(divisions)
    least = min(max(before[-1] / 40, 5e6), LEAST_SHARD)
    usual = min(max(before[-1] / SHARDS, least), MOST_SHARD)
    return int(_between(_between(first, at, before) + usual, before, at))


def _between(x: float, xs: Sequence[float], ys: Sequence[float]) -> float:
    """Return y at x, by straight lines between the points; both are ascending."""
    i = bisect_right(xs, x)
    if i == len(xs):
        return ys[-1]
    return ys[i - 1] + (x - xs[i - 1]) / (xs[i] - xs[i - 1]) * (ys[i] - ys[i - 1])


@lru_cache(maxsize=4)
def _curve(divisions: Divisions) -> _Curve:
    curve = _Curve([0], [0.0])
    for pieces, work in chain.from_iterable(map(_ranges, divisions)):
        curve.pieces.append(curve.pieces[-1] + pieces)
        curve.before.append(curve.before[-1] + work)
    return curve


def _ranges(division: Division) -> Iterator[tuple[int, float]]:
    """Yield (how many pieces, their nanoseconds) of ranges that follow each other, of all terms."""
    b = bounds_of(division)
    # Small computations would spend more time here than a better model saves.
    step = 1.05 if 10**17 < b.x < 10**20 else 1.1 if 10**16 < b.x < 10**22 else 1.3
    star = RANK + division.d_rows
    d_rows = [Rows(*ends, _prime(sum(ends) // 2)) for ends in _groups(RANK, star, step)]
    a_rows = [
        Rows(*ends, _prime(sum(ends) // 2)) for ends in _groups(star, RANK + division.ac_rows, step)
    ]
    yield 1, _SIEVED * b.y + 1e5
    yield b.y // PHI0_SPAN + 1, _PHI0_NUMBER * b.y
    for window in range(b.windows):
        for first, last in _groups(0, b.ac_segments, step):
            span = 240 * b.ac_words
            row_works = [
                (rows.last - rows.first, _ac_work(b, window, rows, first * span, last * span))
                for rows in d_rows + a_rows
            ]
            row_works[0] = (row_works[0][0], row_works[0][1] + _AC_NUMBER * span * (last - first))
            yield from _together(row_works, last - first)
    for first, last in _groups(0, b.b_segments, step):
        yield last - first, _b_work(b, first, last)
    for window in range(b.windows):
        for first, last in _groups(0, b.d_segments(window), step):
            row_works = [
                (rows.last - rows.first, _d_work(b, window, rows, first, last)) for rows in d_rows
            ]
            yield from _together(row_works, last - first)


def _together(row_works: list[tuple[int, float]], segments: int) -> Iterator[tuple[int, float]]:
    """Yield (pieces, nanoseconds) of groups of rows, which are one after the other in a segment."""
    if segments == 1:
        yield from row_works
    else:
        yield segments * sum(rows for rows, _ in row_works), sum(work for _, work in row_works)


def _groups(first: int, last: int, step: float) -> Iterator[tuple[int, int]]:
    """Yield the ends of neighbouring ranges from `first` to `last`, each `step` times the other."""
    while first < last:
        end = min(max(int(first * step), first + 1), last)
        yield first, end
        first = end


def _ac_work(b: Bounds, window: int, rows: Rows, low: int, high: int) -> float:
    """Return the time of the rows of A + C for the leaves in [low, high)."""
    p, n = rows.p, b.x // rows.p
    is_c = p <= b.star
    least = max(p, b.y // p, n // (p * p)) if is_c else p
    most = b.y if is_c else math.isqrt(n)
    least = max(least, n // high, window * b.window)
    most = min(most, n // max(low, 1), (window + 1) * b.window)
    if least >= most:
        return _DEAD * (rows.last - rows.first)
    root = min(max(math.isqrt(n), least), most) if is_c else most
    leaves = _primes_to(root) - _primes_to(least)
    if root < most:
        leaves += max(_primes_to(n // root) - _primes_to(n // most), 0.0)
    leaf = _AC_PRIME * leaves
    work = _AC_ROW * max((high - low) / (240 * b.ac_words), 1.0)
    work += leaf if n < 2**50 else _AC_LARGE * leaf
    return (rows.last - rows.first) * work


def _b_work(b: Bounds, first: int, last: int) -> float:
    """Return the time of the segments first to last - 1 of B."""
    span = 240 * b.b_words
    low, high = b.origin + first * span, b.origin + last * span
    queries = _primes_to(min(b.root, b.x // low)) - _primes_to(max(b.y, b.x // high))
    segment = _SIEVED * span + _B_PRIME * _primes_to(math.isqrt(high))
    return (last - first) * segment + _B_QUERY * max(queries, 0.0)


def _d_work(b: Bounds, window: int, rows: Rows, first: int, last: int) -> float:
    """Return the time of the rows of D in the segments first to last - 1."""
    span = 240 * b.d_words
    p, n = rows.p, b.x // rows.p
    most = min(b.y, n // (p * p), n // max(first * span, 1))
    if max(p, window * b.window - 1) >= most:
        return _DEAD * (rows.last - rows.first)
    least = max(p, b.y // p, n // (last * span), window * b.window)
    most = min(most, (window + 1) * b.window)
    leaves = 0.0
    if least < most:
        leaves = _primes_to(most) - _primes_to(least)
        if p * p < most:
            leaves = max(leaves, _MERTENS * (most - least) / math.log(_listed_behind(rows.first)))
    segment = _D_ROW
    if p > _LARGEST_PATTERN:
        segment += _D_MULTIPLE * 64 * b.d_words / p
    leaf = _D_LEAF
    if p <= _LARGEST_PATTERN:
        segment += _D_PATTERN
        leaf = _D_LEAF_BY_WORD
    elif leaves > _MANY * (last - first):
        segment += _D_WORDS
        leaf = _D_LEAF_BY_WORD
    return (rows.last - rows.first) * ((last - first) * segment + leaf * leaves)


def _listed_behind(rank: int) -> int:
    """Return about the prime behind which the list begins that a row of D reads."""
    return _prime(_LISTS[max(bisect_right(_LISTS, rank) - 1, 0)])


def _prime(rank: int) -> int:
    """Return about the prime of a rank, counted from 0, of RANK at least."""
    n = rank + 1
    log = math.log(n)
    return int(n * (log + math.log(log) - 1 + (math.log(log) - 2) / log)) + 1


def _primes_to(v: float) -> float:
    """Return about how many primes there are up to v."""
    return v / (math.log(v) - 1.08) if v > 20 else 8.0

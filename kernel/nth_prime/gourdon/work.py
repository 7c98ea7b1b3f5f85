"""Where the work lies: a model of the time, by which a computation of π(x) is cut into parts.

It counts what shards go through, as they do: leaves in A + C, leaves, multiples and rows in D,
numbers and queries in B. Where they look at each row, the model looks at one of many; where they
count primes and composites, it knows how dense these are. What each takes, in nanoseconds, is
measured; docs/nth-prime.md says how good the model is. It imports no numpy.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from outlast.kernel.nth_prime import plain
from outlast.kernel.nth_prime.gourdon.bounds import RANK, bounds_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.kernel.nth_prime.gourdon.bounds import Bounds
    from outlast.kernel.nth_prime.gourdon.parts import Division

# Nanoseconds of one thread.
_SIGMA = 1e6
_PHI0_LEAF = 25.0
_AC_ROW, _AC_PRIME, _AC_COMPOSITE = 40.0, 0.62, 0.8
_B_NUMBER, _B_PRIME, _B_QUERY = 0.09, 40.0, 8.0
_D_ROW, _D_MULTIPLE, _D_LEAF = 280.0, 1.0, 6.9
_D_WORDS, _D_LEAF_BY_WORD = 3400.0, 1.45

# By how much more a leaf of A + C takes whose quotient needs a correction.
_AC_LARGE = 1.7

# Of all numbers, so many are listed as m: without a prime factor up to 19, and squarefree.
_LISTED = 0.1694

# Rows of D up to this prime, and those with more leaves than this in a segment, have all words
# counted, after which a leaf takes less.
_LARGEST_PATTERN, _MANY = 97, 300

# Rows and segments are looked at in groups, each of which ends this much further than it begins.
_STEP = 1.05


class Rows(NamedTuple):
    """Neighbouring rows, and the prime of the one that stands for them."""

    first: int
    last: int
    p: int


def share(division: Division, first: int) -> float:
    """Return the share of the time that lies before piece `first`, from 0 to 1."""
    at, before = _curve(division)
    i = bisect_right(at, first)
    if i == len(at):
        return 1.0
    within = (first - at[i - 1]) / (at[i] - at[i - 1])
    return before[i - 1] + within * (before[i] - before[i - 1])


@lru_cache(maxsize=4)
def _curve(division: Division) -> tuple[list[int], list[float]]:
    """Return pieces, from 0 to their number, and the share of the time before each."""
    at, before = [0], [0.0]
    for pieces, work in _ranges(division):
        at.append(at[-1] + pieces)
        before.append(before[-1] + work)
    return at, [work / before[-1] for work in before]


def _ranges(division: Division) -> Iterator[tuple[int, float]]:
    """Yield (how many pieces, their nanoseconds) of ranges that follow each other, of all terms."""
    b = bounds_of(division)
    primes = plain.primes(b.cube)
    star = RANK + division.d_rows
    d_rows = [Rows(*ends, primes[sum(ends) // 2]) for ends in _groups(RANK, star)]
    a_rows = [Rows(*ends, primes[sum(ends) // 2]) for ends in _groups(star, len(primes))]
    yield 1, _SIGMA
    yield 1, _PHI0_LEAF * _LISTED * b.y
    for first, last in _groups(0, b.ac_segments):
        row_works = [
            (rows.last - rows.first, _ac_work(b, rows, first * b.ac_span, last * b.ac_span))
            for rows in d_rows + a_rows
        ]
        if last - first == 1:
            yield from row_works
        else:
            yield (last - first) * division.ac_rows, sum(work for _, work in row_works)
    for first, last in _groups(0, b.b_segments):
        yield last - first, _b_work(b, first, last)
    for first, last in _groups(0, b.d_segments):
        yield last - first, sum(_d_work(b, rows, first, last) for rows in d_rows)


def _groups(first: int, last: int) -> Iterator[tuple[int, int]]:
    """Yield the ends of neighbouring ranges from `first` to `last`."""
    while first < last:
        end = min(max(int(first * _STEP), first + 1), last)
        yield first, end
        first = end


def _ac_work(b: Bounds, rows: Rows, low: int, high: int) -> float:
    """Return the time of the rows of A + C for the leaves in [low, high)."""
    p, n = rows.p, b.x // rows.p
    is_c = p <= b.star
    least = max(p, b.y // p, n // (p * p)) if is_c else p
    most = b.y if is_c else math.isqrt(n)
    least, most = max(least, n // high), min(most, n // max(low, 1))
    work = _AC_ROW * max((high - low) / b.ac_span, 1.0)
    if least < most:
        leaf = _AC_PRIME * (_primes_to(most) - _primes_to(least))
        if is_c and p * p < most:
            leaf += _AC_COMPOSITE * (_composites_to(most) - _composites_to(least))
        work += leaf if n < 2**50 else _AC_LARGE * leaf
    return (rows.last - rows.first) * work


def _b_work(b: Bounds, first: int, last: int) -> float:
    """Return the time of the segments first to last - 1 of B."""
    span = 240 * b.b_words
    low, high = b.origin + first * span, b.origin + last * span
    queries = _primes_to(min(b.root, b.x // low)) - _primes_to(max(b.y, b.x // high))
    segment = _B_NUMBER * span + _B_PRIME * _primes_to(math.isqrt(high))
    return (last - first) * segment + _B_QUERY * max(queries, 0.0)


def _d_work(b: Bounds, rows: Rows, first: int, last: int) -> float:
    """Return the time of the rows of D in the segments first to last - 1."""
    span = 240 * b.d_words
    p, n = rows.p, b.x // rows.p
    most = min(b.y, n // (p * p), n // max(first * span, 1))
    if p >= most:
        return 0.0
    least = max(p, b.y // p, n // (last * span))
    leaves = 0.0
    if least < most:
        leaves = _primes_to(most) - _primes_to(least)
        if p * p < most:
            leaves += _composites_to(most) - _composites_to(least)
    segment = _D_ROW
    if p > _LARGEST_PATTERN:
        segment += _D_MULTIPLE * 4 * span / (15 * p)
    leaf = _D_LEAF
    if p <= _LARGEST_PATTERN or leaves > _MANY * (last - first):
        segment += _D_WORDS
        leaf = _D_LEAF_BY_WORD
    return (rows.last - rows.first) * ((last - first) * segment + leaf * leaves)


def _primes_to(v: float) -> float:
    """Return about how many primes there are up to v."""
    return v / (math.log(v) - 1.08) if v > 20 else 8.0


def _composites_to(v: float) -> float:
    """Return about how many composites up to v are listed."""
    return max(_LISTED * v - _primes_to(v), 0.0)

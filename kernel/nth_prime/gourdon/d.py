"""D: the leaves whose value must be counted in a sieve of [0, x/y).

D = -Σ μ(m)·φ(x/(p·m), π(p) - 1) over primes 19 < p <= x* and squarefree m without a prime factor
up to p, y/p < m <= min(y, x/p³).

A row is one p. The pieces are the rows of the first segment of the sieve, then those of the next.
A shard counts from its own beginning; for each row it is missing how many numbers lie before that
no prime below p divides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from outlast.kernel.nth_prime.gourdon.bounds import RANK
from outlast.kernel.nth_prime.gourdon.counted import count_to
from outlast.kernel.nth_prime.gourdon.crossing import (
    PATTERN_END,
    cross_off,
    first_multiples,
    lay,
    set_all,
)
from outlast.kernel.nth_prime.gourdon.division import quotient
from outlast.kernel.nth_prime.gourdon.phase import Partial
from outlast.kernel.nth_prime.gourdon.tables import composites_to
from outlast.kernel.nth_prime.gourdon.unsieved import (
    Unsieved,
    count_blocks,
    count_words,
    cross_off_counting,
    sum_blocks,
    to_block,
    to_word,
    unsieved,
)
from outlast.kernel.nth_prime.jit import inner, int64, jit, uint64

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from outlast.kernel.nth_prime.gourdon.bounds import Bounds
    from outlast.kernel.nth_prime.gourdon.tables import Tables

BUDGET = 7_000_000
"""Leaves and multiples of one shard, a nanosecond or more each."""

# What a row costs beside them.
_ROW = 200

# With more leaves than this in a row, counting all words again is the cheaper way.
_MANY = 300


def pieces(bounds: Bounds, t: Tables) -> int:
    """Return the number of rows in all segments."""
    return bounds.d_segments * t.d_rows


def carry(bounds: Bounds, t: Tables) -> NDArray[np.int64]:  # noqa: ARG001 - x does not matter
    """Return a 0 for each row: no number lies before 0."""
    return np.zeros(t.d_rows, np.int64)


def cut(bounds: Bounds, t: Tables, first: int, last: int) -> int:
    """Return the end of the shard, by the number of leaves and of multiples to cross off."""
    # The work is always less than x/y: small computations need not even compile `_cut`.
    return last if bounds.end <= BUDGET else int(_cut(bounds, t, first, last, BUDGET))


def shard(bounds: Bounds, t: Tables, first: int, last: int) -> Partial:
    """Return the sum over the pieces first to last - 1.

    A shard that begins amid a segment sieves the rows before once more, but ignores their leaves.
    """
    weights, counts = np.zeros(t.d_rows, np.int64), np.zeros(t.d_rows, np.int64)
    ahead = np.empty((max(t.star - PATTERN_END, 0), 8), np.int64)
    total = _sum(bounds, t, unsieved(bounds.d_words), ahead, first, last, weights, counts)
    return Partial(int(total), weights, counts)


@jit
def _sum(
    bounds: Bounds,
    t: Tables,
    v: Unsieved,
    ahead: NDArray[np.int64],
    first: int,
    last: int,
    weights: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> int:
    """Return the sum counted from the shard's beginning; add up weights and counts."""
    span = 240 * bounds.d_words
    segment, begin = divmod(first, t.d_rows)
    for i in range(len(ahead)):
        first_multiples(segment * span, int64(t.primes[PATTERN_END + i]), 1, ahead[i])
    total = int64(0)
    while segment * t.d_rows < last:
        end = min(last - segment * t.d_rows, t.d_rows)
        _start(t, v, segment * span, RANK + begin, ahead)
        total += _segment(
            bounds, t, v, segment * span, RANK + begin, RANK + end, ahead, weights, counts
        )
        segment += 1
        begin = 0
    return total


@inner
def _start(t: Tables, v: Unsieved, low: int, begin: int, ahead: NDArray[np.int64]) -> None:
    """Fill the sieve from `low` on with what the primes of a rank below `begin` leave."""
    set_all(v.words)
    for rank in range(3, min(begin, PATTERN_END)):
        lay(v.words, low, int64(t.primes[rank]), t.patterns[rank - 3])
    for rank in range(PATTERN_END, begin):
        cross_off(v.bytes, int64(t.primes[rank]), ahead[rank - PATTERN_END])


@inner
def _segment(
    bounds: Bounds,
    t: Tables,
    v: Unsieved,
    low: int,
    begin: int,
    end: int,
    ahead: NDArray[np.int64],
    weights: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> int:
    """Do the rows of rank begin to end - 1 of the segment that starts at `low`."""
    high = low + 240 * bounds.d_words
    total = int64(0)
    counted = False
    for rank in range(begin, end):
        least, most = _limits(bounds, t, rank, low, high)
        if int64(t.primes[rank]) >= most:
            # No leaves here, nor in the rows and segments that follow for this row or them.
            break
        primes, composites = _leaves(t, rank, least, most)
        if rank >= PATTERN_END and not counted:
            count_blocks(v)
            counted = True
        n_leaves = primes[1] - primes[0] + composites[1] - composites[0]
        by_word = rank < PATTERN_END or n_leaves > _MANY
        here = count_words(v) if by_word else sum_blocks(v)
        row, weight = _row(t, v, rank, low, primes, composites, by_word)
        total += row + weight * counts[rank - RANK]
        weights[rank - RANK] += weight
        counts[rank - RANK] += here
        if rank < PATTERN_END:
            lay(v.words, low, int64(t.primes[rank]), t.patterns[rank - 3])
        else:
            cross_off_counting(v, int64(t.primes[rank]), ahead[rank - PATTERN_END])
    return total


@inner
def _limits(bounds: Bounds, t: Tables, rank: int, low: int, high: int) -> tuple[int, int]:
    """Return (least, most): the leaves in [low, high) are those with least < m <= most."""
    p = int64(t.primes[rank])
    n = t.quotients[rank]
    most = min(bounds.y, n // (p * p))
    if low > 0:
        most = min(most, n // low)
    return max(p, bounds.y // p, n // high), most


@inner
def _leaves(t: Tables, rank: int, least: int, most: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return from which to before which prime, and composite, the leaves go."""
    if least >= most:
        return (0, 0), (0, 0)
    primes = count_to(t.pi, least), count_to(t.pi, most)
    if int64(t.primes[rank]) ** 2 >= most:
        return primes, (0, 0)
    return primes, (composites_to(t, least), composites_to(t, most))


@inner
def _row(
    t: Tables,
    v: Unsieved,
    rank: int,
    low: int,
    primes: tuple[int, int],
    composites: tuple[int, int],
    by_word: bool,
) -> tuple[int, int]:
    """Return (Σ -μ(m)·count from `low` to n/m, Σ -μ(m)) over the leaves."""
    n = t.quotients[rank]
    total = int64(0)
    weight = primes[1] - primes[0]
    if by_word:
        for i in range(uint64(primes[0]), uint64(primes[1])):
            total += to_word(v, t.masks, quotient(n, t.reciprocals[i]) - low)
        for i in range(uint64(composites[0]), uint64(composites[1])):
            sign = _sign(t.composite_keys[i], rank)
            weight += sign
            position = quotient(n, t.composite_reciprocals[i]) - low
            total += sign * to_word(v, t.masks, position)
    else:
        for i in range(uint64(primes[0]), uint64(primes[1])):
            total += to_block(v, t.masks, quotient(n, t.reciprocals[i]) - low)
        for i in range(uint64(composites[0]), uint64(composites[1])):
            sign = _sign(t.composite_keys[i], rank)
            if sign != 0:
                weight += sign
                position = quotient(n, t.composite_reciprocals[i]) - low
                total += sign * to_block(v, t.masks, position)
    return total, weight


@inner
def _sign(key: int, rank: int) -> int:
    """Return -μ(m), or 0 if m's least prime factor is not above the row's prime."""
    return int64(key > rank) - int64(key < -rank)


@jit
def _cut(bounds: Bounds, t: Tables, first: int, last: int, budget: int) -> int:
    span = 240 * bounds.d_words
    segment, row = divmod(first, t.d_rows)
    work = 0
    while segment * t.d_rows + row < last:
        least, most = _limits(bounds, t, RANK + row, segment * span, (segment + 1) * span)
        p = int64(t.primes[RANK + row])
        if p < most:
            primes, composites = _leaves(t, RANK + row, least, most)
            work += primes[1] - primes[0] + composites[1] - composites[0]
            work += _ROW + 4 * span // (15 * max(p, 100))
            row += 1
        if p >= most or row == t.d_rows:
            segment += 1
            row = 0
        if work > budget:
            break
    return min(segment * t.d_rows + row, last)

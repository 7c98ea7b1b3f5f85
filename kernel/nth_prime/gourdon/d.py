"""D: the leaves whose value must be counted in a sieve of [0, x/y).

D = -Σ μ(m)·φ(x/(p·m), π(p) - 1) over primes 19 < p <= x* and squarefree m without a prime factor
up to p, y/p < m <= min(y, x/p³).

A row is one p. The pieces are the rows of the first segment of the sieve, then those of the next;
each window of m has all of them again. A shard counts from its own beginning; for each row it is
missing how many numbers lie before that no prime below p divides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from outlast.kernel.nth_prime.cursor import NUMBERS_PER_WORD
from outlast.kernel.nth_prime.gourdon import crossing
from outlast.kernel.nth_prime.gourdon.bounds import RANK
from outlast.kernel.nth_prime.gourdon.crossing import (
    PATTERN_END,
    PATTERN_PRIMES,
    cross_off,
    first_multiples,
    lay,
    set_all,
)
from outlast.kernel.nth_prime.gourdon.leaves import THRESHOLDS, Leaves, list_leaves
from outlast.kernel.nth_prime.gourdon.term import Partial
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
from outlast.kernel.nth_prime.gourdon.wide import divide
from outlast.kernel.nth_prime.jit import int64, jit, uint64

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

    from outlast.kernel.nth_prime.gourdon.bounds import Bounds
    from outlast.kernel.nth_prime.gourdon.rows import Rows

BUDGET = 5_000_000
"""Leaves and multiples of one native call, about a nanosecond each."""

# What a row costs beside them.
_ROW = 200

# With more leaves than this in a row, counting all words again is the cheaper way.
_MANY = 2000

# An interval of more m than this is gone through at once, not leaf by leaf.
_WIDE = 300

_NEVER = 2**62
_EXACT = 2.0**50


class Limits(NamedTuple):
    """The leaves of the rows, one entry for each. They are gone through from the last to the first.

    Attributes:
        primes: p.
        approx: n = ⌊x/p⌋, and …
        residue: … modulo 2^64, see `wide`.
        end: all leaves have ⌊n/m⌋ < end. It falls from row to row.
        first_prime: the index of the first of the leaves that are primes, …
        last_prime: … and of the last one.
        first_composite: the index of the first composite that may be a leaf, …
        last_composite: … and of the last one; their keys tell which are leaves.
    """

    primes: npt.NDArray[np.int64]
    approx: npt.NDArray[np.float64]
    residue: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    first_prime: npt.NDArray[np.int64]
    last_prime: npt.NDArray[np.int64]
    first_composite: npt.NDArray[np.int64]
    last_composite: npt.NDArray[np.int64]


class Tables(NamedTuple):
    """What shards look things up in.

    Attributes:
        leaves: the m.
        limits: which of them are leaves of which row.
        pattern_rows: see `crossing.patterns`.
        word_masks: see `crossing.masks`.
    """

    leaves: Leaves
    limits: Limits
    pattern_rows: npt.NDArray[np.uint64]
    word_masks: npt.NDArray[np.uint64]


class Sweep(NamedTuple):
    """Where a shard is, and what it has come to.

    Attributes:
        v: the sieve of the segment.
        ahead: see `crossing`, for the primes without a pattern.
        prime: the index of each row's next leaf among the primes, and …
        composite: … among the composites.
        prime_value: ⌊n/m⌋ of that prime, and …
        composite_value: … of that composite; _NEVER where there is none left.
        weights: Σ -μ(m) over the leaves of each row.
        counts: how many numbers of the shard no smaller prime divides.
    """

    v: Unsieved
    ahead: npt.NDArray[np.int64]
    prime: npt.NDArray[np.int64]
    composite: npt.NDArray[np.int64]
    prime_value: npt.NDArray[np.int64]
    composite_value: npt.NDArray[np.int64]
    weights: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]


def build(bounds: Bounds, rows: Rows, window: int) -> Generator[None, None, Tables]:
    """Return the tables of a window. Yields every few milliseconds."""
    low = window * bounds.window
    high = min(low + bounds.window, bounds.y + 1)
    leaves = yield from list_leaves(rows.primes, low, high)
    return Tables(
        leaves, _limits(bounds, rows, leaves, high), crossing.patterns(), crossing.masks()
    )


def _limits(bounds: Bounds, rows: Rows, leaves: Leaves, high: int) -> Limits:
    """Return the limits of the leaves with m below `high`."""
    some = slice(RANK, rows.star)
    primes = rows.primes[some].astype(np.int64)
    approx, residue = rows.approx[some], rows.residue[some]
    end, least, most = np.empty((3, len(primes)), np.int64)
    _bound(bounds.y, leaves.low, high, primes, approx, residue, end, least, most)
    # Products of larger primes.
    least_composite = np.maximum(least, primes**2)
    lists = np.searchsorted(THRESHOLDS, np.arange(RANK, rows.star), side="right") - 1
    first, last = np.empty((2, len(primes)), np.int64)
    for i, begin in enumerate(leaves.starts):
        here = lists == i
        m = leaves.composites[begin : leaves.ends[i]]
        first[here] = begin + _up_to(m, least_composite[here] - leaves.low)
        last[here] = begin + _up_to(m, most[here] - leaves.low) - 1
    return Limits(
        primes,
        approx,
        residue,
        end,
        _up_to(leaves.primes, least - leaves.low),
        _up_to(leaves.primes, most - leaves.low) - 1,
        first,
        last,
    )


@jit
def _bound(
    y: int,
    low: int,
    high: int,
    primes: npt.NDArray[np.int64],
    approx: npt.NDArray[np.float64],
    residue: npt.NDArray[np.int64],
    end: npt.NDArray[np.int64],
    least: npt.NDArray[np.int64],
    most: npt.NDArray[np.int64],
) -> None:
    """Set `end` as in Limits; the leaves of a row have least < m <= most."""
    for row in range(len(primes)):
        p = primes[row]
        largest = _divide_or(approx[row], residue[row], p * p, y)
        # As x/p³ falls, so does the end, also where p has no leaves at all.
        if largest > p:
            end[row] = _divide_or(approx[row], residue[row], max(p + 1, low), _NEVER - 1) + 1
        else:
            end[row] = 0
        least[row] = max(p, y // p, low - 1)
        most[row] = min(y, largest, high - 1)


@jit
def _divide_or(approx: float, residue: int, m: int, limit: int) -> int:
    """Return ⌊n/m⌋, or `limit` if that is less."""
    if approx / np.float64(m) >= _EXACT:
        return limit
    return min(divide(approx, residue, m), limit)


def _up_to(m: NDArray[np.uint32], distances: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many of the ascending m are at most each of these."""
    beyond = np.clip(distances, -1, 2**32 - 2) + 1
    return np.searchsorted(m, beyond.astype(np.uint32), side="left")


def shard(
    bounds: Bounds, rows: Rows, t: Tables, first: int, last: int
) -> Generator[None, None, Partial]:
    """Return the sum over the pieces first to last - 1. Yields between native calls.

    A shard that begins amid a segment sieves the rows before once more, but ignores their leaves.
    Rows that have no leaves left have no weights in its result, or no counts.
    """
    span = NUMBERS_PER_WORD * bounds.d_words
    segment, row = divmod(first, rows.d_rows)
    sweep = _begin(t, bounds.d_words, segment * span, row)
    yield
    if row:
        _start(t, sweep, segment * span, min(row, _alive(t, segment * span)))
    total, at = 0, first
    while at < last:
        at, part = _advance(t, sweep, at, last, BUDGET)
        total += part
        yield
    weights = sweep.weights[: _alive(t, segment * span)]
    counts = sweep.counts[: _alive(t, last // rows.d_rows * span)]
    return Partial(total % 2**64, weights, counts)


def _alive(t: Tables, low: int) -> int:
    """Return how many rows have leaves left from `low` on, or 1."""
    return max(int(np.count_nonzero(t.limits.end > low)), 1)


def _begin(t: Tables, n_words: int, low: int, row: int) -> Sweep:
    """Return a sweep that begins with a row of the segment that starts at `low`."""
    width = len(t.limits.primes)
    sweep = Sweep(
        unsieved(n_words),
        np.empty((max(width + RANK - PATTERN_END, 0), 8), np.int64),
        *np.empty((4, width), np.int64),
        *np.zeros((2, width), np.int64),
    )
    # The other rows have no leaves left.
    some = slice(_alive(t, low))
    lows = np.full(some.stop, low)
    lows[:row] += NUMBERS_PER_WORD * n_words
    # One more than ⌊n/low⌋ at least, as that is not exact.
    most = np.minimum(t.limits.approx[some] / np.maximum(lows, 1), 2.0**53).astype(np.int64) + 2
    most -= t.leaves.low
    sweep.prime[some] = np.minimum(t.limits.last_prime[some], _up_to(t.leaves.primes, most) - 1)
    composite = sweep.composite[some]
    composite[:] = t.limits.last_composite[some]
    for begin, end in zip(t.leaves.starts, t.leaves.ends, strict=True):
        here = (begin <= composite) & (composite < end)
        index = begin + _up_to(t.leaves.composites[begin:end], most[here]) - 1
        composite[here] = np.minimum(composite[here], index)
    _look_ahead(t, sweep, lows, low)
    return sweep


@jit
def _look_ahead(t: Tables, sweep: Sweep, lows: NDArray[np.int64], low: int) -> None:
    """Go to the first leaf of each row from its low on; begin to cross off from `low` on."""
    for row in range(len(lows)):
        i = sweep.prime[row]
        value = _prime_value(t, row, i)
        while value < lows[row]:
            i -= 1
            value = _prime_value(t, row, i)
        sweep.prime[row], sweep.prime_value[row] = i, value
        i, value = _next_composite(t, row, sweep.composite[row])
        while value < lows[row]:
            i, value = _next_composite(t, row, i - 1)
        sweep.composite[row], sweep.composite_value[row] = i, value
        if RANK + row >= PATTERN_END:
            first_multiples(low, t.limits.primes[row], 1, sweep.ahead[RANK + row - PATTERN_END])


@jit
def _prime_value(t: Tables, row: int, i: int) -> int:
    """Return ⌊n/m⌋ of the prime m with this index."""
    if i < t.limits.first_prime[row]:
        return int64(_NEVER)
    m = t.leaves.low + int64(t.leaves.primes[uint64(i)])
    return divide(t.limits.approx[row], t.limits.residue[row], m)


@jit
def _next_composite(t: Tables, row: int, i: int) -> tuple[int, int]:
    """Return (index, ⌊n/m⌋) of the leaf with the largest m up to index i."""
    first = t.limits.first_composite[row]
    while i >= first and _sign(t.leaves.keys[uint64(i)], RANK + row) == 0:
        i -= 1
    if i < first:
        return i, int64(_NEVER)
    m = t.leaves.low + int64(t.leaves.composites[uint64(i)])
    return i, divide(t.limits.approx[row], t.limits.residue[row], m)


@jit
def _sign(key: int, rank: int) -> int:
    """Return -μ(m), or 0 if m's least prime factor is not above the row's prime."""
    return int64(key > rank) - int64(key < -rank)


@jit
def _start(t: Tables, sweep: Sweep, low: int, end: int) -> None:
    """Fill the sieve from `low` on with what the rows before `end` leave."""
    v = sweep.v
    set_all(v.words)
    for i in range(min(RANK + end, PATTERN_END) - 3):
        lay(v.words, low, PATTERN_PRIMES[i], t.pattern_rows[i])
    for row in range(PATTERN_END - RANK, end):
        cross_off(v.bytes, t.limits.primes[row], sweep.ahead[RANK + row - PATTERN_END])
    count_blocks(v)


@jit
def _advance(t: Tables, sweep: Sweep, at: int, last: int, budget: int) -> tuple[int, int]:
    """Do the pieces from `at` on; return (the first that is not done, the sum of their leaves).

    It ends at `last`, or after some work, and the leaves of a piece may be done in part. The sieve
    holds what the rows before leave.
    """
    width = len(t.limits.primes)
    span = 240 * len(sweep.v.words)
    total = int64(0)
    segment, row = at // width, at % width
    while segment * width + row < last and budget > 0:
        low = segment * span
        if row == 0:
            _start(t, sweep, low, 0)
        end = min(last - segment * width, width)
        # Where a row has no leaves left, the rows and segments that follow have none either.
        while row < end and low < t.limits.end[row] and budget > 0:
            part, work, is_done = _row(t, sweep, row, low, budget)
            total += part
            budget -= work
            row += int64(is_done)
        if row == width or low >= t.limits.end[row]:
            segment += 1
            row = 0
    return min(segment * width + row, last), total


@jit
def _row(t: Tables, sweep: Sweep, row: int, low: int, budget: int) -> tuple[int, int, bool]:
    """Add leaves of a row; return (their sum, the work, whether these were all in the segment).

    Then remove the multiples of the row's prime.
    """
    v, rank = sweep.v, RANK + row
    p, high = t.limits.primes[row], low + 240 * len(v.words)
    here = sum_blocks(v)
    total = leaves = int64(0)
    if min(sweep.prime_value[row], sweep.composite_value[row]) < high:
        if _is_wide(t, sweep, row, high):
            total, weight, leaves = _add_many(t, sweep, row, low, budget)
        else:
            total, weight, leaves = _add_few(t, sweep, row, low)
        total += weight * sweep.counts[row]
        sweep.weights[row] += weight
        if min(sweep.prime_value[row], sweep.composite_value[row]) < high:
            return total, leaves + _ROW, False
    sweep.counts[row] += here
    if rank < PATTERN_END:
        lay(v.words, low, p, t.pattern_rows[rank - 3])
        count_blocks(v)
    else:
        cross_off_counting(v, p, sweep.ahead[rank - PATTERN_END])
    return total, leaves + _ROW + 64 * len(v.words) // max(p, 100), True


@jit
def _is_wide(t: Tables, sweep: Sweep, row: int, high: int) -> bool:
    """Return whether the leaves below `high` go over a wide interval of m."""
    # The interval begins here, give or take one.
    least = int64(t.limits.approx[row] / np.float64(high)) - t.leaves.low + _WIDE
    is_wide = False
    if sweep.prime_value[row] < high:
        is_wide |= int64(t.leaves.primes[uint64(sweep.prime[row])]) > least
    if sweep.composite_value[row] < high:
        is_wide |= int64(t.leaves.composites[uint64(sweep.composite[row])]) > least
    return is_wide


@jit
def _add_few(t: Tables, sweep: Sweep, row: int, low: int) -> tuple[int, int, int]:
    """Return (Σ -μ(m)·count from `low` to n/m, Σ -μ(m), number) over the leaves of the segment.

    Leaf by leaf, which is best for the few that most rows have.
    """
    v = sweep.v
    high = low + 240 * len(v.words)
    total = weight = leaves = int64(0)
    i, value = sweep.prime[row], sweep.prime_value[row]
    while value < high:
        total += to_block(v, t.word_masks, value - low)
        weight += 1
        i -= 1
        value = _prime_value(t, row, i)
    leaves = weight
    sweep.prime[row], sweep.prime_value[row] = i, value
    i, value = sweep.composite[row], sweep.composite_value[row]
    while value < high:
        sign = _sign(t.leaves.keys[uint64(i)], RANK + row)
        total += sign * to_block(v, t.word_masks, value - low)
        weight += sign
        leaves += 1
        i, value = _next_composite(t, row, i - 1)
    sweep.composite[row], sweep.composite_value[row] = i, value
    return total, weight, leaves


@jit
def _add_many(t: Tables, sweep: Sweep, row: int, low: int, budget: int) -> tuple[int, int, int]:
    """Return what `_add_few` does, but over `budget` primes and `budget` composites at most."""
    v = sweep.v
    least = int64(t.limits.approx[row] / np.float64(low + 240 * len(v.words))) - 1 - t.leaves.low
    primes = _primes(t, sweep, row, low, least, budget)
    composites = _composites(t, sweep, row, low, least, budget)
    leaves = primes[1] - primes[0] + composites[1] - composites[0]
    by_word = leaves > _MANY
    if by_word:
        count_words(v)
    residue, rank, m = t.limits.residue[row], RANK + row, t.leaves.low
    total = int64(0)
    weight = primes[1] - primes[0]
    if by_word:
        for i in range(uint64(primes[0]), uint64(primes[1])):
            position = _position(residue, low, m + int64(t.leaves.primes[i]))
            total += to_word(v, t.word_masks, position)
        for i in range(uint64(composites[0]), uint64(composites[1])):
            sign = _sign(t.leaves.keys[i], rank)
            weight += sign
            position = _position(residue, low, m + int64(t.leaves.composites[i]))
            total += sign * to_word(v, t.word_masks, position)
    else:
        for i in range(uint64(primes[0]), uint64(primes[1])):
            position = _position(residue, low, m + int64(t.leaves.primes[i]))
            total += to_block(v, t.word_masks, position)
        for i in range(uint64(composites[0]), uint64(composites[1])):
            sign = _sign(t.leaves.keys[i], rank)
            weight += sign
            position = _position(residue, low, m + int64(t.leaves.composites[i]))
            total += sign * to_block(v, t.word_masks, position)
    return total, weight, leaves


@jit
def _primes(
    t: Tables, sweep: Sweep, row: int, low: int, least: int, budget: int
) -> tuple[int, int]:
    """Return from which to before which prime leaves of a segment go; go beyond them."""
    high = low + 240 * len(sweep.v.words)
    end = sweep.prime[row] + 1
    if sweep.prime_value[row] >= high:
        return end, end
    first = _up(t.leaves.primes, t.limits.first_prime[row], end - 1, least)
    while _prime_value(t, row, first) >= high:
        first += 1
    first = max(first, end - budget)
    sweep.prime[row] = first - 1
    sweep.prime_value[row] = _prime_value(t, row, first - 1)
    return first, end


@jit
def _composites(
    t: Tables, sweep: Sweep, row: int, low: int, least: int, budget: int
) -> tuple[int, int]:
    """Return what `_primes` does, for composites."""
    high = low + 240 * len(sweep.v.words)
    end = sweep.composite[row] + 1
    if sweep.composite_value[row] >= high:
        return end, end
    first = _up(t.leaves.composites, t.limits.first_composite[row], end - 1, least)
    while _composite_value(t, row, first) >= high:
        first += 1
    first = max(first, end - budget)
    sweep.composite[row], sweep.composite_value[row] = _next_composite(t, row, first - 1)
    return first, end


@jit
def _composite_value(t: Tables, row: int, i: int) -> int:
    m = t.leaves.low + int64(t.leaves.composites[uint64(i)])
    return divide(t.limits.approx[row], t.limits.residue[row], m)


@jit
def _position(residue: int, low: int, m: int) -> int:
    """Return ⌊n/m⌋ - low for a leaf of the segment that starts at `low`.

    It is ⌊(n - low·m)/m⌋, and n - low·m is less than m times the segment: no second limb is needed.
    The floating-point quotient is off by one at most, which the remainder tells.
    """
    rest = residue - low * m
    position = int64(np.float64(rest) / np.float64(m))
    rest -= position * m
    return position + int64(rest >= m) - int64(rest < 0)


@jit
def _up(m: NDArray[np.uint32], first: int, last: int, least: int) -> int:
    """Return the first index from `first` to `last` with a value above `least`; there is one."""
    while first < last:
        middle = (first + last) // 2
        if int64(m[uint64(middle)]) > least:
            last = middle
        else:
            first = middle + 1
    return first

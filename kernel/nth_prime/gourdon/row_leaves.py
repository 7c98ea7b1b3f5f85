"""The leaves of one row of D in one segment.

Most rows have a few, which are gone through one by one. Where m is dense, a leaf is a step of a
loop without branches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from outlast.kernel.nth_prime.gourdon.bounds import RANK
from outlast.kernel.nth_prime.gourdon.sweep import next_composite, prime_value_of, sign_for
from outlast.kernel.nth_prime.gourdon.unsieved import count_words, to_block, to_word
from outlast.kernel.nth_prime.gourdon.wide import divide
from outlast.kernel.nth_prime.jit import int64, jit, uint64

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from outlast.kernel.nth_prime.gourdon.sweep import Sweep, Tables
    from outlast.kernel.nth_prime.gourdon.unsieved import Unsieved

# With more leaves than this in a row, counting all words again is the cheaper way.
_MANY = 2000

# An interval of more m than this is gone through at once, not leaf by leaf.
_WIDE = 300


@jit
def add_leaves(t: Tables, sweep: Sweep, row: int, low: int, budget: int) -> tuple[int, int, int]:
    """Return (Σ -μ(m)·count from `low` to n/m, Σ -μ(m), number) over leaves of a row.

    It goes through all of the segment, or about `budget` of them, and the sweep to the next one.
    """
    if _is_wide(t, sweep, row, low + 240 * len(sweep.v.words)):
        return _add_many(t, sweep, row, low, budget)
    return _add_few(t, sweep, row, low)


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
    """Return (Σ -μ(m)·count from `low` to n/m, Σ -μ(m), number) over the leaves of the segment."""
    v = sweep.v
    high = low + 240 * len(v.words)
    total = weight = leaves = int64(0)
    i, value = sweep.prime[row], sweep.prime_value[row]
    while value < high:
        total += to_block(v, t.word_masks, value - low)
        weight += 1
        i -= 1
        value = prime_value_of(t, row, i)
    leaves = weight
    sweep.prime[row], sweep.prime_value[row] = i, value
    i, value = sweep.composite[row], sweep.composite_value[row]
    while value < high:
        sign = sign_for(t.leaves.keys[uint64(i)], RANK + row)
        total += sign * to_block(v, t.word_masks, value - low)
        weight += sign
        leaves += 1
        i, value = next_composite(t, row, i - 1)
    sweep.composite[row], sweep.composite_value[row] = i, value
    return total, weight, leaves


@jit
def _add_many(t: Tables, sweep: Sweep, row: int, low: int, budget: int) -> tuple[int, int, int]:
    """Return what `_add_few` does, but over `budget` primes and `budget` composites at most."""
    v = sweep.v
    least = int64(t.limits.approx[row] / np.float64(low + 240 * len(v.words))) - 1 - t.leaves.low
    primes = _take_primes(t, sweep, row, low, least, budget)
    composites = _take_composites(t, sweep, row, low, least, budget)
    leaves = primes[1] - primes[0] + composites[1] - composites[0]
    if leaves > _MANY:
        total, weight = _sum_by_word(t, v, row, low, primes, composites)
    else:
        total, weight = _sum_by_block(t, v, row, low, primes, composites)
    return total, weight, leaves


@jit
def _sum_by_word(
    t: Tables,
    v: Unsieved,
    row: int,
    low: int,
    primes: tuple[int, int],
    composites: tuple[int, int],
) -> tuple[int, int]:
    """Return (Σ -μ(m)·count from `low` to n/m, Σ -μ(m)); all words are counted anew."""
    count_words(v)
    residue, rank, m = t.limits.residue[row], RANK + row, t.leaves.low
    is_small = t.leaves.high * 240 * len(v.words) < 2**53
    total = int64(0)
    weight = primes[1] - primes[0]
    for i in range(uint64(primes[0]), uint64(primes[1])):
        position = _position(residue, low, is_small, m + int64(t.leaves.primes[i]))
        total += to_word(v, t.word_masks, position)
    for i in range(uint64(composites[0]), uint64(composites[1])):
        sign = sign_for(t.leaves.keys[i], rank)
        weight += sign
        position = _position(residue, low, is_small, m + int64(t.leaves.composites[i]))
        total += sign * to_word(v, t.word_masks, position)
    return total, weight


@jit
def _sum_by_block(
    t: Tables,
    v: Unsieved,
    row: int,
    low: int,
    primes: tuple[int, int],
    composites: tuple[int, int],
) -> tuple[int, int]:
    """Return what `_sum_by_word` does, with the counts of the blocks."""
    residue, rank, m = t.limits.residue[row], RANK + row, t.leaves.low
    is_small = t.leaves.high * 240 * len(v.words) < 2**53
    total = int64(0)
    weight = primes[1] - primes[0]
    for i in range(uint64(primes[0]), uint64(primes[1])):
        position = _position(residue, low, is_small, m + int64(t.leaves.primes[i]))
        total += to_block(v, t.word_masks, position)
    for i in range(uint64(composites[0]), uint64(composites[1])):
        sign = sign_for(t.leaves.keys[i], rank)
        weight += sign
        position = _position(residue, low, is_small, m + int64(t.leaves.composites[i]))
        total += sign * to_block(v, t.word_masks, position)
    return total, weight


@jit
def _take_primes(
    t: Tables, sweep: Sweep, row: int, low: int, least: int, budget: int
) -> tuple[int, int]:
    """Return from which to before which prime leaves of a segment go; go beyond them."""
    high = low + 240 * len(sweep.v.words)
    end = sweep.prime[row] + 1
    if sweep.prime_value[row] >= high:
        return end, end
    first = _up(t.leaves.primes, t.limits.first_prime[row], end - 1, least)
    while prime_value_of(t, row, first) >= high:
        first += 1
    first = max(first, end - budget)
    sweep.prime[row] = first - 1
    sweep.prime_value[row] = prime_value_of(t, row, first - 1)
    return first, end


@jit
def _take_composites(
    t: Tables, sweep: Sweep, row: int, low: int, least: int, budget: int
) -> tuple[int, int]:
    """Return what `_take_primes` does, for composites."""
    high = low + 240 * len(sweep.v.words)
    end = sweep.composite[row] + 1
    if sweep.composite_value[row] >= high:
        return end, end
    first = _up(t.leaves.composites, t.limits.first_composite[row], end - 1, least)
    while _composite_value(t, row, first) >= high:
        first += 1
    first = max(first, end - budget)
    sweep.composite[row], sweep.composite_value[row] = next_composite(t, row, first - 1)
    return first, end


@jit
def _composite_value(t: Tables, row: int, i: int) -> int:
    m = t.leaves.low + int64(t.leaves.composites[uint64(i)])
    return divide(t.limits.approx[row], t.limits.residue[row], m)


@jit
def _position(residue: int, low: int, is_small: bool, m: int) -> int:
    """Return ⌊n/m⌋ - low for a leaf of the segment that starts at `low`.

    It is ⌊(n - low·m)/m⌋, and n - low·m is less than m times the segment: no second limb is needed.
    Where that is below 2^53 the floating-point quotient is right: it is 1/m at least below the next
    integer, which is more than rounding adds. Else it is off by one at most, which the remainder
    tells.
    """
    rest = residue - low * m
    position = int64(np.float64(rest) / np.float64(m))
    if is_small:
        return position
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

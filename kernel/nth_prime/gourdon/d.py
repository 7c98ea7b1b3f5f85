"""D: the leaves whose value must be counted in a sieve of [0, x/y).

D = -Σ μ(m)·φ(x/(p·m), π(p) - 1) over primes 19 < p <= x* and squarefree m without a prime factor
up to p, y/p < m <= min(y, x/p³).

A row is one p. The pieces are the rows of the first segment of the sieve, then those of the next;
each window of m has all of them again. A shard counts from its own beginning; for each row it is
missing how many numbers lie before that no prime below p divides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.kernel.nth_prime.cursor import NUMBERS_PER_WORD
from outlast.kernel.nth_prime.gourdon.bounds import RANK
from outlast.kernel.nth_prime.gourdon.crossing import PATTERN_END, lay, masks, patterns
from outlast.kernel.nth_prime.gourdon.leaves import list_leaves
from outlast.kernel.nth_prime.gourdon.limits import alive, limits_of
from outlast.kernel.nth_prime.gourdon.row_leaves import add_leaves
from outlast.kernel.nth_prime.gourdon.sweep import Sweep, Tables, begin, start_segment
from outlast.kernel.nth_prime.gourdon.term import Partial
from outlast.kernel.nth_prime.gourdon.unsieved import count_blocks, cross_off_counting, sum_blocks
from outlast.kernel.nth_prime.jit import int64, jit

if TYPE_CHECKING:
    from collections.abc import Generator

    from outlast.kernel.nth_prime.gourdon.bounds import Bounds
    from outlast.kernel.nth_prime.gourdon.rows import Rows

BUDGET = 5_000_000
"""Leaves and multiples of one native call, about a nanosecond each."""

# What a row costs beside them.
_ROW = 200


def build(bounds: Bounds, rows: Rows, window: int) -> Generator[None, None, Tables]:
    """Return the tables of a window. Yields every few milliseconds."""
    low = window * bounds.window
    high = min(low + bounds.window, bounds.y + 1)
    leaves = yield from list_leaves(rows.primes, low, high)
    return Tables(leaves, limits_of(bounds, rows, leaves, high), patterns(), masks())


def shard(
    bounds: Bounds, rows: Rows, t: Tables, first: int, last: int
) -> Generator[None, None, Partial]:
    """Return the sum over the pieces first to last - 1. Yields between native calls.

    A shard that begins amid a segment sieves the rows before once more, but ignores their leaves.
    Rows that have no leaves left have no weights in its result, or no counts.
    """
    span = NUMBERS_PER_WORD * bounds.d_words
    segment, row = divmod(first, rows.d_rows)
    sweep = begin(t, bounds.d_words, segment * span, row)
    yield
    if row:
        start_segment(t, sweep, segment * span, min(row, alive(t.limits, segment * span)))
    total, at = 0, first
    while at < last:
        at, part = _advance(t, sweep, at, last, BUDGET)
        total += part
        yield
    weights = sweep.weights[: alive(t.limits, segment * span)]
    counts = sweep.counts[: alive(t.limits, last // rows.d_rows * span)]
    return Partial(total % 2**64, weights, counts)


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
            start_segment(t, sweep, low, 0)
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
        total, weight, leaves = add_leaves(t, sweep, row, low, budget)
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

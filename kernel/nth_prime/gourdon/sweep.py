"""Where a shard of D is: its sieve, and the next leaf of each row.

The leaves of a row are gone through from the largest m down, so that ⌊n/m⌋ rises with the sieve.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from outlast.kernel.nth_prime.cursor import NUMBERS_PER_WORD
from outlast.kernel.nth_prime.gourdon.bounds import RANK
from outlast.kernel.nth_prime.gourdon.crossing import (
    PATTERN_END,
    PATTERN_PRIMES,
    cross_off,
    first_multiples,
    lay,
    set_all,
)
from outlast.kernel.nth_prime.gourdon.limits import Limits, alive, up_to
from outlast.kernel.nth_prime.gourdon.unsieved import Unsieved, count_blocks, unsieved
from outlast.kernel.nth_prime.gourdon.wide import divide
from outlast.kernel.nth_prime.jit import int64, jit, uint64

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from outlast.kernel.nth_prime.gourdon.leaves import Leaves

NEVER = 2**62


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
        composite_value: … of that composite; NEVER where there is none left.
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


def begin(t: Tables, n_words: int, low: int, row: int) -> Sweep:
    """Return a sweep that begins with a row of the segment that starts at `low`."""
    width = len(t.limits.primes)
    sweep = Sweep(
        unsieved(n_words),
        np.empty((max(width + RANK - PATTERN_END, 0), 8), np.int64),
        *np.empty((4, width), np.int64),
        *np.zeros((2, width), np.int64),
    )
    # The other rows have no leaves left.
    some = slice(alive(t.limits, low))
    lows = np.full(some.stop, low)
    lows[:row] += NUMBERS_PER_WORD * n_words
    # One more than ⌊n/low⌋ at least, as that is not exact.
    most = np.minimum(t.limits.approx[some] / np.maximum(lows, 1), 2.0**53).astype(np.int64) + 2
    most -= t.leaves.low
    sweep.prime[some] = np.minimum(t.limits.last_prime[some], up_to(t.leaves.primes, most) - 1)
    composite = sweep.composite[some]
    composite[:] = t.limits.last_composite[some]
    for begin, end in zip(t.leaves.starts, t.leaves.ends, strict=True):
        here = (begin <= composite) & (composite < end)
        index = begin + up_to(t.leaves.composites[begin:end], most[here]) - 1
        composite[here] = np.minimum(composite[here], index)
    _look_ahead(t, sweep, lows, low)
    return sweep


@jit
def _look_ahead(t: Tables, sweep: Sweep, lows: NDArray[np.int64], low: int) -> None:
    """Go to the first leaf of each row from its low on; begin to cross off from `low` on."""
    for row in range(len(lows)):
        i = sweep.prime[row]
        value = prime_value_of(t, row, i)
        while value < lows[row]:
            i -= 1
            value = prime_value_of(t, row, i)
        sweep.prime[row], sweep.prime_value[row] = i, value
        i, value = next_composite(t, row, sweep.composite[row])
        while value < lows[row]:
            i, value = next_composite(t, row, i - 1)
        sweep.composite[row], sweep.composite_value[row] = i, value
        if RANK + row >= PATTERN_END:
            first_multiples(low, t.limits.primes[row], 1, sweep.ahead[RANK + row - PATTERN_END])


@jit
def start_segment(t: Tables, sweep: Sweep, low: int, end: int) -> None:
    """Fill the sieve from `low` on with what the rows before `end` leave."""
    v = sweep.v
    set_all(v.words)
    for i in range(min(RANK + end, PATTERN_END) - 3):
        lay(v.words, low, PATTERN_PRIMES[i], t.pattern_rows[i])
    for row in range(PATTERN_END - RANK, end):
        cross_off(v.bytes, t.limits.primes[row], sweep.ahead[RANK + row - PATTERN_END])
    count_blocks(v)


@jit
def prime_value_of(t: Tables, row: int, i: int) -> int:
    """Return ⌊n/m⌋ of the prime m with this index."""
    if i < t.limits.first_prime[row]:
        return int64(NEVER)
    m = t.leaves.low + int64(t.leaves.primes[uint64(i)])
    return divide(t.limits.approx[row], t.limits.residue[row], m)


@jit
def next_composite(t: Tables, row: int, i: int) -> tuple[int, int]:
    """Return (index, ⌊n/m⌋) of the leaf with the largest m up to index i."""
    first = t.limits.first_composite[row]
    while i >= first and sign_for(t.leaves.keys[uint64(i)], RANK + row) == 0:
        i -= 1
    if i < first:
        return i, int64(NEVER)
    m = t.leaves.low + int64(t.leaves.composites[uint64(i)])
    return i, divide(t.limits.approx[row], t.limits.residue[row], m)


@jit
def sign_for(key: int, rank: int) -> int:
    """Return -μ(m), or 0 if m's least prime factor is not above the row's prime."""
    return int64(key > rank) - int64(key < -rank)

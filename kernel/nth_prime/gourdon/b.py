"""B = Σ π(x/p) over the primes y < p <= √x, by counting primes n from √x to x/y.

The pieces are segments of a sieve of n. The p are found by a second sieve, downward from √x. A
shard counts primes from its own beginning; the one number that it is missing is how many lie
before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from outlast.kernel.nth_prime.cursor import NUMBERS_PER_WORD
from outlast.kernel.nth_prime.gourdon.crossing import CHUNK_WORDS, masks
from outlast.kernel.nth_prime.gourdon.interval import PrimeSieve, list_members
from outlast.kernel.nth_prime.gourdon.term import Partial, no_tables, partial
from outlast.kernel.nth_prime.gourdon.wide import divide, joined
from outlast.kernel.nth_prime.jit import int64, jit, uint64
from outlast.kernel.nth_prime.sieve.bits import ones

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from numpy.typing import NDArray

    from outlast.kernel.nth_prime.gourdon.bounds import Bounds
    from outlast.kernel.nth_prime.gourdon.rows import Rows

# Words of the second sieve, at most: four million numbers, and their primes take 2 MB.
_MOST_WORDS = 16384


build = no_tables


def shard(
    bounds: Bounds,
    rows: Rows,
    tables: None,  # noqa: ARG001 - it has none
    first: int,
    last: int,
) -> Generator[None, None, Partial]:
    """Return the sum over the p with x/p in the segments first to last - 1.

    Yields between native calls.
    """
    span = NUMBERS_PER_WORD * bounds.b_words
    low, end = bounds.origin + first * span, bounds.origin + last * span
    sieve = PrimeSieve(rows.primes, bounds.b_words, low, end)
    before = np.empty(bounds.b_words, np.int32)
    most, least = min(bounds.x // low, bounds.root), max(bounds.x // end, bounds.y)
    downward = _downward(rows, most, least)
    covered, primes = most, np.empty(0, np.int64)
    total, queries, count = 0, 0, 0
    while sieve.low < end:
        low = sieve.advance()
        if low <= bounds.root:
            sieve.words[0] &= ~masks()[bounds.root - low]  # B counts from √x + 1 on
        here = int(_count_before(sieve.words, before))
        yield
        least = max(bounds.x // (low + span), bounds.y)
        while True:
            inside = int(np.searchsorted(primes, least, side="right"))
            local = _sum(
                bounds.x_high, bounds.x_low, primes[inside:], low, sieve.words, before, masks()
            )
            total += int(local) + count * (len(primes) - inside)
            queries += len(primes) - inside
            primes = primes[:inside]
            if covered <= least:
                break
            covered, primes = next(downward)
            yield
        count += here
    return partial(total, [queries], [count])


def _downward(rows: Rows, most: int, least: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield (low, the primes from `low` + 1 on), from `most` down to `least` in portions."""
    while most > least:
        end = most // NUMBERS_PER_WORD + 1
        missing = -(-(end - least // NUMBERS_PER_WORD) // CHUNK_WORDS) * CHUNK_WORDS
        begin = max(end - min(missing, _MOST_WORDS), 0)
        sieve = PrimeSieve(
            rows.primes,
            -(-(end - begin) // CHUNK_WORDS) * CHUNK_WORDS,
            NUMBERS_PER_WORD * begin,
            most,
        )
        primes = list_members(sieve.words, sieve.advance())
        most, last = max(NUMBERS_PER_WORD * begin - 1, least), most
        yield (
            most,
            primes[
                np.searchsorted(primes, most, side="right") : np.searchsorted(
                    primes, last, side="right"
                )
            ],
        )


@jit
def _count_before(words: NDArray[np.uint64], before: NDArray[np.int32]) -> int:
    """Write how many bits are set in all words before each; return how many in all."""
    count = int64(0)
    for k in range(uint64(len(words))):
        before[k] = count
        count += ones(words[k])
    return count


@jit
def _sum(
    x_high: int,
    x_low: int,
    primes: NDArray[np.int64],
    low: int,
    words: NDArray[np.uint64],
    before: NDArray[np.int32],
    masks: NDArray[np.uint64],
) -> int:
    """Return Σ #{primes from `low` to x/p}, where x/p is in the segment for each p."""
    approx, residue = joined(x_high, x_low)
    total = int64(0)
    for i in range(uint64(len(primes))):
        at = uint64(divide(approx, residue, primes[i]) - low)
        word = (at * uint64(2290649225)) >> uint64(39)  # at // 240, for at below 2^32
        total += int64(before[word]) + ones(words[word] & masks[at - word * uint64(240)])
    return total

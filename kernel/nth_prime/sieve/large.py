"""Crossing off the multiples of primes beyond a segment, in a whole block at once.

Such a prime hits a segment rarely, so going through all of them for each segment would cost more
than the hits. Here each prime is gone through once a block; its hits are first sorted by segment,
because clearing bits all over a block means waiting for memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from outlast.kernel.nth_prime.jit import jit
from outlast.kernel.nth_prime.sieve.cross import (
    SEGMENT_BITS,
    Group,
    Place,
    distances,
    rest_of_place,
    start,
)
from outlast.kernel.nth_prime.sieve.wheel import RESIDUES

if TYPE_CHECKING:
    from numpy.typing import NDArray

AT_ONCE = 128
"""Primes between two looks at the room that is left."""

LEAST_ROOM = 8 * AT_ONCE
"""Each prime hits a segment at most 8 times, as it is larger, and as often the bytes behind."""


class Rows(NamedTuple):
    """The hits in each segment of a block, and behind it: bits counted from the block's first.

    Attributes:
        room: a row for the hits in each segment, and one more for those behind, which spares a
            branch that a processor would often guess wrong.
        ends: how many hits are in each row.
        ahead: what is known of AT_ONCE primes, as in `Group`.
    """

    room: NDArray[np.uint32]
    ends: NDArray[np.int64]
    ahead: NDArray[np.int64]


@jit
def cross_large(
    words: NDArray[np.uint64],
    first: Place,
    primes: NDArray[np.int64],
    rows: Rows,
    bits: NDArray[np.int64],
) -> int:
    """Cross off the multiples of as many `primes` as have room; return how many these are.

    `first` is the first byte of `words`. What is in `rows` does not matter. If the last segment is
    not whole, the memory behind `words` is spoiled as far as it would reach.
    """
    room, ends, ahead = rows
    for segment in range(ends.size):
        ends[segment] = 0
    done = 0
    while done < primes.size and room.shape[1] - _most(ends) > LEAST_ROOM:
        some = primes[done : done + AT_ONCE]
        distances(first, some, ahead)
        gather(8 * words.size, Group(some, ahead), rows, bits)
        ends[-1] = 0
        done += some.size
    for segment in range(ends.size - 1):
        for i in range(ends[segment]):
            clear(words, room[segment, i])
    return done


@jit
def _most(ends: NDArray[np.int64]) -> int:
    most = ends[0]
    for end in ends:
        most = max(most, end)
    return most  # type: ignore[no-any-return]


@jit
def gather(size: int, group: Group, rows: Rows, bits: NDArray[np.int64]) -> None:
    """Append the hits of the group's primes in `size` bytes to the rows."""
    room, ends, _ = rows
    behind = np.uint64(ends.size - 1)
    for j in range(group.primes.size):
        p = group.primes[j]
        rounds = size // p
        row = bits[p % 30]
        for i in range(8):
            at = start(group.ahead[j], p, RESIDUES[i])
            for _ in range(rounds + 1):
                segment = min(at >> SEGMENT_BITS, behind)
                room[segment, ends[segment]] = np.uint32(8 * at + np.uint64(row[i]))
                ends[segment] += 1
                at += np.uint64(p)


@jit
def cross_huge(
    words: NDArray[np.uint64],
    first: Place,
    primes: NDArray[np.int64],
    hits: NDArray[np.int64],
    residue_bits: NDArray[np.int64],
) -> None:
    """Cross off the multiples of primes that are larger than the numbers in `words` are many.

    Such a prime has one multiple there at most, and most have none. `hits` is room for as many
    numbers as there are primes.
    """
    for j in range(primes.size):
        # In numbers, not in bytes: how far the next multiple of p itself is.
        ahead = -30 * rest_of_place(first, primes[j])
        hits[j] = ahead - np.int64(np.floor(ahead / primes[j])) * primes[j]
    for at in hits:
        if at < 240 * words.size and residue_bits[at % 30] >= 0:
            clear(words, 8 * (at // 30) + residue_bits[at % 30])


@jit
def clear(words: NDArray[np.uint64], index: int) -> None:
    """Clear the bit `index`, counted through all words."""
    at = np.uint64(index)
    words[at >> np.uint64(6)] &= ~(np.uint64(1) << (at & np.uint64(63)))

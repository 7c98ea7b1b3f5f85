"""Crossing off the multiples of primes beyond a segment, in a whole block at once.

Such a prime hits a segment rarely, so going through all of them for each segment would cost more
than the hits. Here each prime is gone through once a block; its hits are first sorted by the part
of the block they fall in, because clearing bits all over a block means waiting for memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kernel.nth_prime.jit import jit
from kernel.nth_prime.sieve.cross import distance, rest, start
from kernel.nth_prime.sieve.wheel import RESIDUES

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PART_BITS = np.uint64(19)

PART = 1 << 19
"""Bytes of a part of a block. The primes here are larger."""

_AT_ONCE = 128
"""Primes between two looks at the room that is left."""

LEAST_ROOM = 8 * _AT_ONCE
"""Each prime hits a part at most 8 times, as it is larger, and as often the bytes behind."""


class Rows(NamedTuple):
    """The hits in each part of a block, and behind it: bits counted from the block's first one."""

    room: NDArray[np.uint32]
    ends: NDArray[np.int64]


@jit
def cross_large(
    words: NDArray[np.uint64],
    first: int,
    primes: NDArray[np.int64],
    room: NDArray[np.uint32],
    bits: NDArray[np.int64],
) -> int:
    """Cross off the multiples of as many `primes` as have room; return how many these are.

    `first` is the first byte of `words`. `room` has a row for the hits in each part, and one more
    for those behind the words, which spares a branch that a processor would often guess wrong.
    """
    ends = np.zeros(room.shape[0], np.int64)
    done = 0
    while done < primes.size and room.shape[1] - ends.max() > LEAST_ROOM:
        some = primes[done : done + _AT_ONCE]
        gather(8 * words.size, first, some, Rows(room, ends), bits)
        ends[-1] = 0
        done += some.size
    for part in range(ends.size - 1):
        for i in range(ends[part]):
            clear(words, room[part, i])
    return done


@jit
def gather(
    size: int,
    first: int,
    primes: NDArray[np.int64],
    rows: Rows,
    bits: NDArray[np.int64],
) -> None:
    """Append the hits of `primes` in `size` bytes to the rows."""
    room, ends = rows
    behind = np.uint64(ends.size - 1)
    for j in range(primes.size):
        p = primes[j]
        ahead = distance(first, p)
        rounds = size // p
        row = bits[p % 30]
        for i in range(8):
            at = start(ahead, p, RESIDUES[i])
            for _ in range(rounds + 1):
                part = min(at >> _PART_BITS, behind)
                room[part, ends[part]] = np.uint32(8 * at + np.uint64(row[i]))
                ends[part] += 1
                at += np.uint64(p)


@jit
def cross_huge(
    words: NDArray[np.uint64],
    first: int,
    primes: NDArray[np.int64],
    hits: NDArray[np.int64],
    residue_bits: NDArray[np.int64],
) -> None:
    """Cross off the multiples of primes that are larger than the numbers in `words` are many.

    Such a prime has one multiple there at most, and most have none. `hits` is room for as many
    numbers as there are primes.
    """
    size = 240 * words.size
    found = 0
    for j in range(primes.size):
        p = primes[j]
        # In numbers, not in bytes: how far the next multiple of p itself is.
        ahead = -30 * rest(first, p)
        ahead -= np.int64(np.floor(ahead / p)) * p
        hits[found] = ahead
        found += ahead < size
    for h in range(found):
        byte, residue = hits[h] // 30, hits[h] % 30
        if residue_bits[residue] >= 0:
            clear(words, 8 * byte + residue_bits[residue])


@jit
def clear(words: NDArray[np.uint64], index: int) -> None:
    """Clear the bit `index`, counted through all words."""
    at = np.uint64(index)
    words[at >> np.uint64(6)] &= ~(np.uint64(1) << (at & np.uint64(63)))

"""A set of odd numbers as bits together with counts: counting up to n reads memory once.

Entry k of a table is a word. Its high half is the number of members below 64·k; in its low half
bit j + 1 stands for 64·k + 1 + 2·j with j < 31. The last odd number of each 64 has no bit: it is
part of the next entry's count.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from outlast.kernel.nth_prime.jit import int64, jit, uint64
from outlast.kernel.nth_prime.sieve.bits import ones
from outlast.kernel.nth_prime.sieve.wheel import RESIDUES

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUMBERS_PER_ENTRY = 64


@jit
def count_to(table: NDArray[np.uint64], n: int) -> int:
    """Return how many members are at most n >= 0."""
    end = uint64(n + 1)
    entry = table[end >> uint64(6)]
    # Of the low half, the shift leaves the (end mod 64) // 2 bits that stand for numbers below.
    unwanted = ((end >> uint64(1)) & uint64(31)) ^ uint64(63)
    return int64(entry >> uint64(32)) + ones(entry << unwanted)


@jit
def lowest(word: int) -> int:
    """Return the position of the lowest bit that is set; there is one."""
    return ones(np.uint64(~word & (word - uint64(1))))


@cache
def spread() -> NDArray[np.uint64]:
    """Return for each byte of a sieve (30 numbers) its bits over the 15 odd numbers."""
    bytes_ = np.arange(256, dtype=np.uint64)
    odd = np.zeros(256, np.uint64)
    for j, residue in enumerate(RESIDUES):
        odd |= (bytes_ >> uint64(j) & uint64(1)) << uint64(residue // 2)
    return odd


@jit
def pack(
    sieve: NDArray[np.uint8],
    spread: NDArray[np.uint64],
    table: NDArray[np.uint64],
    entry: int,
    count: int,
) -> int:
    """Write a sieve's members to `table` from `entry` on; return `count` and their number.

    The sieve's length is a multiple of 32 bytes, which are 960 numbers and 15 entries. `count` is
    the number of members before it.
    """
    bits = uint64(0)
    held = uint64(0)
    for i in range(len(sieve)):
        bits |= spread[sieve[i]] << held
        held += uint64(15)
        if held >= uint64(32):
            odd = bits & uint64(0xFFFFFFFF)
            low = (odd << uint64(1)) & uint64(0xFFFFFFFF)
            table[entry] = (uint64(count) << uint64(32)) | low
            count += ones(odd)
            entry += 1
            bits >>= uint64(32)
            held -= uint64(32)
    return count

"""A set of odd numbers as bits, with counts, so that counting up to n is one access to memory.

Entry k of the table is one word: its high half counts the members below 64·k, bit j + 1 of its low
half stands for 64·k + 1 + 2·j with j < 31. (The count of the next entry includes 64·k + 63.)
"""

from __future__ import annotations

import numpy as np

from kernel.nth_prime.gourdon.bits import ones
from kernel.nth_prime.jit import jit


@jit
def count_to(table, n):
    """Return how many members are at most n."""
    end = np.uint64(n + 1)
    entry = table[end >> np.uint64(6)]
    # Of the low half, the shift leaves the (end mod 64) // 2 bits that stand for numbers <= n.
    drop = ((end >> np.uint64(1)) & np.uint64(31)) ^ np.uint64(63)
    return np.int64(entry >> np.uint64(32)) + ones(entry << drop)


@jit
def spread_of():
    """Return for each byte of a wheel segment its 15 bits over the odd numbers."""
    spread = np.zeros(256, np.uint64)
    for byte in range(256):
        for r in range(1, 30, 2):
            if r % 3 and r % 5 and byte >> (r * 4 // 15) & 1:
                spread[byte] |= np.uint64(1) << np.uint64(r // 2)
    return spread


@jit
def pack(segment, spread, table, entry, count):
    """Append the members of a wheel segment to `table` from `entry` on; return their count.

    `segment` are the bytes, a multiple of 32 (960 numbers, 15 entries); `count` is the number of
    members before it.
    """
    bits = np.uint64(0)
    held = np.uint64(0)
    for i in range(len(segment)):
        bits |= spread[segment[i]] << held
        held += np.uint64(15)
        if held >= np.uint64(32):
            odd = bits & np.uint64(0xFFFFFFFF)
            table[entry] = (np.uint64(count) << np.uint64(32)) | (
                (odd << np.uint64(1)) & np.uint64(0xFFFFFFFF)
            )
            count += ones(odd)
            entry += 1
            bits >>= np.uint64(32)
            held -= np.uint64(32)
    return count

"""A sieve from which primes are removed one by one, while its numbers are counted in between.

There are two ways to count up to a position. *By word*: all words are counted again after each
prime, and then one access answers. *By block* of 4 words: each block's count is lowered with every
number that goes, only their prefix sums are renewed, and a query counts within one block. The
first suits thousands of queries, the second fewer.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from outlast.kernel.nth_prime.jit import int64, jit, uint64
from outlast.kernel.nth_prime.sieve.bits import ones

MOST_WORDS = 32768
"""The largest sieve: with more, sums of counts would not fit in 16 bits."""


class Unsieved(NamedTuple):
    """The sieve and its counts.

    The blocks make 32 groups: that with index 2^k·g + r is block r of group g, and its count is at
    32·r + g. That makes prefix sums, first over r for all g and then over g, into vector
    instructions.

    Attributes:
        words: bits as in the package `sieve`; at most MOST_WORDS, a multiple of 8.
        bytes: the same memory.
        before: how many bits are set in all words before each; valid after `count_words`.
        blocks: how many bits are set in each block; valid after `count_blocks`.
        sums: how many bits are set in the blocks of the same group before; see `sum_blocks`.
        offsets: how many bits are set in all groups before; see `sum_blocks`.
        shift: a group has 2^shift bytes, shift = k + 5.
    """

    words: npt.NDArray[np.uint64]
    bytes: npt.NDArray[np.uint8]
    before: npt.NDArray[np.int32]
    blocks: npt.NDArray[np.uint16]
    sums: npt.NDArray[np.uint16]
    offsets: npt.NDArray[np.int32]
    shift: int


def unsieved(n_words: int) -> Unsieved:
    """Return a sieve whose contents are undefined."""
    words = np.empty(n_words, np.uint64)
    shift = (n_words - 1).bit_length() - 2
    n_blocks = 1 << shift
    return Unsieved(
        words,
        words.view(np.uint8),
        np.empty(n_words, np.int32),
        np.zeros(n_blocks, np.uint16),
        np.empty(n_blocks, np.uint16),
        np.empty(32, np.int32),
        shift,
    )


@jit
def _block(byte: int, shift: int) -> int:
    """Return where the count of the block that holds a byte is."""
    within = (uint64(1) << uint64(shift)) - uint64(32)
    return (uint64(byte) & within) | (uint64(byte) >> uint64(shift))


@jit
def count_words(v: Unsieved) -> int:
    """Prepare for `to_word`; return how many bits are set."""
    total = int64(0)
    for k in range(uint64(len(v.words))):
        v.before[k] = total
        total += ones(v.words[k])
    return total


@jit
def count_blocks(v: Unsieved) -> None:
    """Count every block. From here on `cross_off_counting` keeps the counts."""
    size, group = uint64(len(v.words)), uint64(1) << uint64(v.shift - 3)
    for g in range(uint64(32)):
        at = g
        for first in range(g * group, min((g + uint64(1)) * group, size), uint64(4)):
            count = ones(v.words[first]) + ones(v.words[first + uint64(1)])
            count += ones(v.words[first + uint64(2)]) + ones(v.words[first + uint64(3)])
            v.blocks[at] = count
            at += uint64(32)


@jit
def sum_blocks(v: Unsieved) -> int:
    """Prepare for `to_block`; return how many bits are set."""
    row = uint64(32)
    for g in range(row):
        v.sums[g] = 0
    for k in range(row, uint64(len(v.blocks))):
        v.sums[k] = v.sums[k - row] + v.blocks[k - row]
    last = uint64(len(v.blocks)) - row
    total = int64(0)
    for g in range(row):
        v.offsets[g] = total
        total += int64(v.sums[last + g]) + int64(v.blocks[last + g])
    return total


@jit
def cross_off_counting(v: Unsieved, p: int, ahead: npt.NDArray[np.int64]) -> None:
    """Clear the multiples of p, and keep the blocks' counts; `ahead` is as in `cross_off`."""
    size = uint64(len(v.bytes))
    step = uint64(p)
    for j in range(8):
        i = uint64(ahead[j])
        while i + step < size:
            # Two at a time: the loop around costs as much as one of them.
            first, second = v.bytes[i], v.bytes[i + step]
            v.bytes[i] = first & np.uint8(255 - (1 << j))
            v.bytes[i + step] = second & np.uint8(255 - (1 << j))
            v.blocks[_block(i, v.shift)] -= np.uint16((first >> np.uint8(j)) & np.uint8(1))
            v.blocks[_block(i + step, v.shift)] -= np.uint16((second >> np.uint8(j)) & np.uint8(1))
            i += uint64(2) * step
        if i < size:
            first = v.bytes[i]
            v.bytes[i] = first & np.uint8(255 - (1 << j))
            v.blocks[_block(i, v.shift)] -= np.uint16((first >> np.uint8(j)) & np.uint8(1))
            i += step
        ahead[j] = i - size


@jit
def _place(position: int) -> tuple[int, int]:
    """Return (word, number within it): the quotient and the rest by 240, below 2^32."""
    word = (uint64(position) * uint64(2290649225)) >> uint64(39)
    return word, uint64(position) - word * uint64(240)


@jit
def to_word(v: Unsieved, masks: npt.NDArray[np.uint64], position: int) -> int:
    """Return how many of the numbers up to `position` are left, after `count_words`."""
    word, rest = _place(position)
    return int64(v.before[word]) + ones(v.words[word] & masks[rest])


@jit
def to_block(v: Unsieved, masks: npt.NDArray[np.uint64], position: int) -> int:
    """Return how many of the numbers up to `position` are left, after `sum_blocks`."""
    word, rest = _place(position)
    last = int64(word & uint64(3))
    base = word & ~uint64(3)
    total = ones(v.words[word] & masks[rest])
    # All, without a branch that a processor would guess wrong.
    for k in range(3):
        total += ones(v.words[base + uint64(k)]) if k < last else 0
    byte = base << uint64(3)
    return total + int64(v.sums[_block(byte, v.shift)]) + int64(v.offsets[byte >> uint64(v.shift)])

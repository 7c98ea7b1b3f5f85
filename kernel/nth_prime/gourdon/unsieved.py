"""A sieve from which primes are removed one by one, while its numbers are counted in between.

There are two ways to count up to a position. *By word*: all words are counted again after each
prime, and then one access answers. *By block* of 8 words: each block's count is lowered with every
number that goes, only their prefix sums are renewed, and a query counts within one block. The
first suits many queries, or small primes, which hit nearly every block; the second suits the rest.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from outlast.kernel.nth_prime.jit import inner, int64, uint64
from outlast.kernel.nth_prime.sieve.bits import ones

MOST_WORDS = 8192
"""The largest sieve: the layout of the blocks' counts leaves room for 1024 of them."""


class Unsieved(NamedTuple):
    """The sieve and its counts.

    The count of block 16·g + r is at 64·r + g. That makes prefix sums, first over r for all g and
    then over g, into vector instructions.

    Attributes:
        words: bits as in the package `sieve`; at most MOST_WORDS, a multiple of 8.
        bytes: the same memory.
        before: how many bits are set in all words before each; valid after `count_words`.
        blocks: how many bits are set in each block; valid after `count_blocks`.
        sums: how many bits are set in the blocks of the same g before each; see `sum_blocks`.
        offsets: how many bits are set in all blocks of a smaller g; see `sum_blocks`.
    """

    words: npt.NDArray[np.uint64]
    bytes: npt.NDArray[np.uint8]
    before: npt.NDArray[np.int32]
    blocks: npt.NDArray[np.int32]
    sums: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int32]


def unsieved(n_words: int) -> Unsieved:
    """Return a sieve whose contents are undefined."""
    words = np.empty(n_words, np.uint64)
    return Unsieved(
        words,
        words.view(np.uint8),
        np.empty(n_words, np.int32),
        np.empty(1024, np.int32),
        np.empty(1024, np.int32),
        np.empty(64, np.int32),
    )


@inner
def _block(byte: int) -> int:
    """Return where the count of the block that holds a byte is."""
    return (uint64(byte) & uint64(960)) | (uint64(byte) >> uint64(10))


@inner
def count_words(v: Unsieved) -> int:
    """Prepare for `to_word`; return how many bits are set."""
    total = int64(0)
    for k in range(uint64(len(v.words))):
        v.before[k] = total
        total += ones(v.words[k])
    return total


@inner
def count_blocks(v: Unsieved) -> None:
    """Count every block. From here on `cross_off_counting` keeps the counts."""
    for k in range(len(v.blocks)):
        v.blocks[k] = 0
    for k in range(uint64(len(v.words))):
        v.blocks[_block(uint64(8) * k)] += ones(v.words[k])


@inner
def sum_blocks(v: Unsieved) -> int:
    """Prepare for `to_block`; return how many bits are set."""
    row = uint64(64)
    for g in range(row):
        v.sums[g] = 0
    for k in range(row, uint64(1024)):
        v.sums[k] = v.sums[k - row] + v.blocks[k - row]
    total = 0
    for g in range(row):
        v.offsets[g] = total
        total += v.sums[uint64(960) + g] + v.blocks[uint64(960) + g]
    return total


@inner
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
            v.blocks[_block(i)] -= np.int32((first >> np.uint8(j)) & np.uint8(1))
            v.blocks[_block(i + step)] -= np.int32((second >> np.uint8(j)) & np.uint8(1))
            i += uint64(2) * step
        if i < size:
            first = v.bytes[i]
            v.bytes[i] = first & np.uint8(255 - (1 << j))
            v.blocks[_block(i)] -= np.int32((first >> np.uint8(j)) & np.uint8(1))
            i += step
        ahead[j] = i - size


@inner
def _place(position: int) -> tuple[int, int]:
    """Return (word, number within it): the quotient and the rest by 240, below 2^32."""
    word = (uint64(position) * uint64(2290649225)) >> uint64(39)
    return word, uint64(position) - word * uint64(240)


@inner
def to_word(v: Unsieved, masks: npt.NDArray[np.uint64], position: int) -> int:
    """Return how many of the numbers up to `position` are left, after `count_words`."""
    word, rest = _place(position)
    return int64(v.before[word]) + ones(v.words[word] & masks[rest])


@inner
def to_block(v: Unsieved, masks: npt.NDArray[np.uint64], position: int) -> int:
    """Return how many of the numbers up to `position` are left, after `sum_blocks`."""
    word, rest = _place(position)
    last = int64(word & uint64(7))
    base = word & ~uint64(7)
    total = ones(v.words[word] & masks[rest])
    # All 8, without a branch that a processor would guess wrong.
    for k in range(8):
        total += ones(v.words[base + uint64(k)]) if k < last else 0
    byte = base << uint64(3)
    return total + int64(v.sums[_block(byte)]) + int64(v.offsets[byte >> uint64(10)])

"""Counting and finding set bits in an array of 64-bit words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from outlast.kernel.nth_prime.jit import jit

if TYPE_CHECKING:
    from numpy.typing import NDArray


@jit
def ones(word: np.uint64) -> int:
    """Return the number of set bits. LLVM knows this form and emits its popcount instruction."""
    word -= (word >> np.uint64(1)) & np.uint64(0x5555555555555555)
    pairs = np.uint64(0x3333333333333333)
    word = (word & pairs) + ((word >> np.uint64(2)) & pairs)
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    # A signed result: compiled code turns a sum of signed and unsigned integers into a float.
    return np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))  # type: ignore[return-value]


@jit
def count(words: NDArray[np.uint64]) -> int:
    """Return the number of set bits in all words."""
    total = 0
    for i in range(words.size):
        total += ones(words[i])
    return total


@jit
def select(words: NDArray[np.uint64], k: int) -> int:
    """Return the index of the k-th set bit, from 1; bit b of word i has the index 64 i + b.

    -1 if there are fewer than k.
    """
    for i in range(words.size):
        word = words[i]
        here = ones(word)
        if k <= here:
            for _ in range(k - 1):
                word &= word - np.uint64(1)
            return 64 * i + ones((word & (~word + np.uint64(1))) - np.uint64(1))
        k -= here
    return -1


@jit
def numbers(
    words: NDArray[np.uint64], base: int, offsets: NDArray[np.int64], out: NDArray[np.int64]
) -> None:
    """Write base + 240 i + offsets[b] for each set bit b of each word i to `out`, ascending.

    The size of `out` is the number of set bits.
    """
    at = 0
    for i in range(words.size):
        word = words[i]
        while word != np.uint64(0):
            low = word & (~word + np.uint64(1))
            out[at] = base + 240 * i + offsets[ones(low - np.uint64(1))]
            at += 1
            word ^= low

"""Which number each bit stands for: 240 numbers a word, 30 a byte, without multiples of 2, 3, 5.

Bit b of byte i stands for 30 i + RESIDUES[b], and bytes 8 w to 8 w + 7 are word w. So a number
is known by its word's index, which stays far below 2^63 where the number itself does not.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from outlast.kernel.nth_prime.cursor import NUMBERS_PER_WORD

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUMBERS_PER_BYTE = 30
RESIDUES = (1, 7, 11, 13, 17, 19, 23, 29)
OFFSETS = tuple(30 * byte + residue for byte in range(8) for residue in RESIDUES)
"""What to add to 240 w for each bit of word w."""

ALL = (1 << 64) - 1
"""A word with all bits set."""


def number(first: int, index: int) -> int:
    """Return the number of bit `index` in an array of words that begins with word `first`."""
    word, bit = divmod(index, 64)
    return NUMBERS_PER_WORD * (first + word) + OFFSETS[bit]


def index(first: int, value: int) -> int:
    """Return the index of the first bit that stands for `value` or more, in the same array."""
    word, offset = divmod(value, NUMBERS_PER_WORD)
    return 64 * (word - first) + bisect_left(OFFSETS, offset)


@cache
def bits() -> NDArray[np.int64]:
    """Return a table of 30 rows and 8 columns: the bit of row times RESIDUES[column], modulo 30.

    The row is a prime modulo 30; rows that share a factor with 30 are not used.
    """
    table = np.zeros((30, 8), np.int64)
    for row in RESIDUES:
        table[row] = [RESIDUES.index(row * residue % 30) for residue in RESIDUES]
    return table


@cache
def masks() -> NDArray[np.uint8]:
    """Return for each entry of `bits` the byte with all other bits set."""
    return (0xFF ^ (1 << bits())).astype(np.uint8)


@cache
def residue_bits() -> NDArray[np.int64]:
    """Return the bit of each residue modulo 30; -1 for those that no bit stands for."""
    return np.array([RESIDUES.index(r) if r in RESIDUES else -1 for r in range(30)], np.int64)

"""The squarefree composite m <= y that no prime up to 19 divides: the leaves that are no primes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kernel.nth_prime.gourdon.counted import lowest
from kernel.nth_prime.gourdon.crossing import CHUNK_WORDS, first_multiples, lay, patterns, set_all
from kernel.nth_prime.jit import inner, int64, jit, uint64
from kernel.nth_prime.sieve.wheel import RESIDUES

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

SPAN = 240 * CHUNK_WORDS
"""Numbers that are factored in one native call: about a millisecond of work."""


def list_composites(
    y: int, primes: NDArray[np.int32], room: int
) -> Generator[None, None, tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.int32]]]:
    """Return (reciprocals, keys, starts) of all m, ascending; there are at most `room`.

    reciprocals[i] is 1/m. keys[i] is -μ(m) times the rank, from 0, of m's least prime factor.
    starts[v] is the number of m below 64·v.
    """
    reciprocals = np.empty(room, np.float64)
    keys = np.empty(room, np.int32)
    starts = np.zeros(y // 64 + 2, np.int32)
    found = 0
    for low in range(0, y + 1, SPAN):
        found = _append(low, y, primes, patterns(), reciprocals, keys, starts, found)
        yield
    starts[-1] = found
    return reciprocals[:found], keys[:found], starts


@jit
def _append(
    low: int,
    y: int,
    primes: NDArray[np.int32],
    patterns: NDArray[np.uint64],
    reciprocals: NDArray[np.float64],
    keys: NDArray[np.int32],
    starts: NDArray[np.int32],
    found: int,
) -> int:
    """Append the m of [low, low + SPAN) up to y."""
    words = np.empty(CHUNK_WORDS, np.uint64)
    set_all(words)
    for i in range(5):
        lay(words, low, int64(primes[3 + i]), patterns[i])
    product = np.empty(64 * CHUNK_WORDS, np.int64)
    least = np.empty(64 * CHUNK_WORDS, np.int32)
    _factor(low, primes, product, least)
    filled = low // 64
    for w in range(CHUNK_WORDS):
        bits = words[w]
        while bits != uint64(0):
            j = lowest(bits)
            bits &= bits - uint64(1)
            n = low + 240 * w + 30 * (j >> 3) + RESIDUES[j & 7]
            rank = least[64 * w + j]
            parts = product[64 * w + j]
            if n > y or parts == 0 or rank == 0 or n == int64(primes[rank]):
                continue
            while filled * 64 <= n:
                starts[filled] = found
                filled += 1
            # `parts` changes its sign with each prime factor up to √n; one more may be missing.
            key = int64(rank) if parts < 0 else -int64(rank)
            keys[found] = key if abs(parts) == n else -key
            reciprocals[found] = 1.0 / np.float64(n)
            found += 1
    for v in range(filled, min((low + SPAN) // 64, y // 64 + 1)):
        starts[v] = found
    return found


@inner
def _factor(
    low: int, primes: NDArray[np.int32], product: NDArray[np.int64], least: NDArray[np.int32]
) -> None:
    """Set `product` to that of -p for the p from 23 to √(low + SPAN), `least` to the least's rank.

    Both arrays have an element for each bit of the segment. Not squarefree gives the product 0.
    """
    for k in range(len(product)):
        product[k] = 1
        least[k] = 0
    ahead = np.empty(8, np.int64)
    i = 8
    while i < len(primes) and int64(primes[i]) ** 2 < low + SPAN:
        p = int64(primes[i])
        first_multiples(low, p, 1, ahead)
        for j in range(8):
            for k in range(8 * ahead[j] + j, len(product), 8 * p):
                product[k] *= -p
                if least[k] == 0:
                    least[k] = i
        first_multiples(low, p * p, 1, ahead)
        for j in range(8):
            for k in range(8 * ahead[j] + j, len(product), 8 * p * p):
                product[k] = 0
        i += 1

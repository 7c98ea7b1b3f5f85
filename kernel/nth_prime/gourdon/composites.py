"""The squarefree composite m <= y that no prime up to 19 divides: the leaves that are no primes.

All products of different primes are formed, and each leaves its key in the slot of its value; the
slots are then read in order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from outlast.kernel.nth_prime.jit import inner, int64, jit
from outlast.kernel.nth_prime.sieve.wheel import RESIDUES

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

SPAN = 240 << 14
"""Numbers that are looked at in one native call: a few milliseconds of work."""

_LEAST = 8
"""The rank, from 0, of 23, …"""

_MOST_FACTORS = 8
"""… and no number up to y has as many prime factors from there on."""


def list_composites(
    y: int, primes: NDArray[np.int32], room: int
) -> Generator[None, None, tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.int32]]]:
    """Return (reciprocals, keys, starts) of all m, ascending; there are at most `room`.

    reciprocals[i] is 1/m. keys[i] is -μ(m) times the rank, from 0, of m's least prime factor.
    starts[v] is the number of m below 64·v, for each v up to y // 64 + 1.
    """
    # One more, as each slot is written down, and overwritten by the next one if it is empty.
    reciprocals = np.empty(room + 1, np.float64)
    keys = np.empty(room + 1, np.int32)
    starts = np.zeros(y // 64 + 3, np.int32)
    key_of = np.empty(SPAN // 30 * 8, np.int16)
    product, last = np.empty(_MOST_FACTORS, np.int64), np.empty(_MOST_FACTORS, np.int64)
    found = 0
    for low in range(0, y + 1, SPAN):
        high = min(low + SPAN, y + 1)
        _multiply(low, high, primes, key_of, product, last)
        yield
        found = _append(low, high, key_of, reciprocals, keys, starts, found)
        yield
    return reciprocals[:found], keys[:found], starts


@jit
def _multiply(
    low: int,
    high: int,
    primes: NDArray[np.int32],
    key_of: NDArray[np.int16],
    product: NDArray[np.int64],
    last: NDArray[np.int64],
) -> None:
    """Set the slots of [low, high) to the keys of the m there, the others to 0.

    It goes through all products v of different primes that have a multiple by a larger prime
    below `high`, depth first: product[d] has d + 1 primes, the largest of rank last[d].
    """
    for slot in range(len(key_of)):
        key_of[slot] = 0
    first = _LEAST
    while _is_low(int64(primes[first]), first + 1, primes, high):
        product[0], last[0] = int64(primes[first]), first
        depth = 0
        while depth >= 0:
            v, i = product[depth], last[depth] + 1
            _set_multiples(low, high, v, i, primes, -first if depth % 2 == 0 else first, key_of)
            deeper = v * int64(primes[i])
            if _is_low(deeper, i + 1, primes, high):
                depth += 1
                product[depth], last[depth] = deeper, i
                continue
            # Else to the next prime in the place of the last one, or of the one before it, …
            while depth > 0:
                i = last[depth] + 1
                v = product[depth - 1] * int64(primes[i])
                if _is_low(v, i + 1, primes, high):
                    product[depth], last[depth] = v, i
                    break
                depth -= 1
            else:
                depth = -1
        first += 1


@inner
def _is_low(v: int, i: int, primes: NDArray[np.int32], high: int) -> bool:
    """Whether there is a prime of rank i, and v times that is below `high`."""
    return i < len(primes) and v * int64(primes[i]) < high


@inner
def _set_multiples(
    low: int,
    high: int,
    v: int,
    i: int,
    primes: NDArray[np.int32],
    key: int,
    key_of: NDArray[np.int16],
) -> None:
    """Set the slots of v·p in [low, high) to `key`, for the primes p of rank i and beyond."""
    if v * int64(primes[i]) < low:
        above = int64(len(primes))
        while i < above:
            middle = (i + above) // 2
            if v * int64(primes[middle]) < low:
                i = middle + 1
            else:
                above = middle
    while i < len(primes):
        n = v * int64(primes[i])  # Read once: as in `_is_low` and again, it takes thrice as long.
        if n >= high:
            break
        n -= low
        key_of[n // 30 * 8 + n % 30 * 4 // 15] = key
        i += 1


@jit
def _append(
    low: int,
    high: int,
    key_of: NDArray[np.int16],
    reciprocals: NDArray[np.float64],
    keys: NDArray[np.int32],
    starts: NDArray[np.int32],
    found: int,
) -> int:
    """Append the m of [low, high), of which there are `found` below; return how many then."""
    # Without a branch, which could not be foreseen and would cost more than all the rest.
    for slot in range((high - low + 29) // 30 * 8):
        n = low + 30 * (slot >> 3) + RESIDUES[slot & 7]
        key = key_of[slot]
        keys[found] = key
        reciprocals[found] = 1.0 / np.float64(n)
        found += int64(key != 0)
        starts[(n >> 6) + 1] = found
    return found

"""Which m of a window are leaves of which row of D."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from outlast.kernel.nth_prime.gourdon.bounds import RANK
from outlast.kernel.nth_prime.gourdon.leaves import THRESHOLDS
from outlast.kernel.nth_prime.gourdon.wide import divide
from outlast.kernel.nth_prime.jit import jit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from outlast.kernel.nth_prime.gourdon.bounds import Bounds
    from outlast.kernel.nth_prime.gourdon.leaves import Leaves
    from outlast.kernel.nth_prime.gourdon.rows import Rows

_MOST = 2**62
_EXACT = 2.0**50


class Limits(NamedTuple):
    """The leaves of the rows, one entry for each. They are gone through from the last to the first.

    Attributes:
        primes: p.
        approx: n = ⌊x/p⌋, and …
        residue: … modulo 2^64, see `wide`.
        end: all leaves have ⌊n/m⌋ < end. It falls from row to row.
        first_prime: the index of the first of the leaves that are primes, …
        last_prime: … and of the last one.
        first_composite: the index of the first composite that may be a leaf, …
        last_composite: … and of the last one; their keys tell which are leaves.
    """

    primes: npt.NDArray[np.int64]
    approx: npt.NDArray[np.float64]
    residue: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    first_prime: npt.NDArray[np.int64]
    last_prime: npt.NDArray[np.int64]
    first_composite: npt.NDArray[np.int64]
    last_composite: npt.NDArray[np.int64]


def limits_of(bounds: Bounds, rows: Rows, leaves: Leaves, high: int) -> Limits:
    """Return the limits of the leaves with m below `high`."""
    some = slice(RANK, rows.star)
    primes = rows.primes[some].astype(np.int64)
    approx, residue = rows.approx[some], rows.residue[some]
    end, least, most = np.empty((3, len(primes)), np.int64)
    _bound(bounds.y, leaves.low, high, primes, approx, residue, end, least, most)
    # Products of larger primes.
    least_composite = np.maximum(least, primes**2)
    lists = np.searchsorted(THRESHOLDS, np.arange(RANK, rows.star), side="right") - 1
    first, last = np.empty((2, len(primes)), np.int64)
    for i, begin in enumerate(leaves.starts):
        here = lists == i
        m = leaves.composites[begin : leaves.ends[i]]
        first[here] = begin + up_to(m, least_composite[here] - leaves.low)
        last[here] = begin + up_to(m, most[here] - leaves.low) - 1
    return Limits(
        primes,
        approx,
        residue,
        end,
        up_to(leaves.primes, least - leaves.low),
        up_to(leaves.primes, most - leaves.low) - 1,
        first,
        last,
    )


@jit
def _bound(
    y: int,
    low: int,
    high: int,
    primes: npt.NDArray[np.int64],
    approx: npt.NDArray[np.float64],
    residue: npt.NDArray[np.int64],
    end: npt.NDArray[np.int64],
    least: npt.NDArray[np.int64],
    most: npt.NDArray[np.int64],
) -> None:
    """Set `end` as in Limits; the leaves of a row have least < m <= most."""
    for row in range(len(primes)):
        p = primes[row]
        largest = _divide_or(approx[row], residue[row], p * p, y)
        # As x/p³ falls, so does the end, also where p has no leaves at all.
        if largest > p:
            end[row] = _divide_or(approx[row], residue[row], max(p + 1, low), _MOST) + 1
        else:
            end[row] = 0
        least[row] = max(p, y // p, low - 1)
        most[row] = min(y, largest, high - 1)


@jit
def _divide_or(approx: float, residue: int, m: int, limit: int) -> int:
    """Return ⌊n/m⌋, or `limit` if that is less."""
    if approx / np.float64(m) >= _EXACT:
        return limit
    return min(divide(approx, residue, m), limit)


def up_to(m: NDArray[np.uint32], distances: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many of the ascending m are at most each of these."""
    beyond = np.clip(distances, -1, 2**32 - 2) + 1
    return np.searchsorted(m, beyond.astype(np.uint32), side="left")


def alive(limits: Limits, low: int) -> int:
    """Return how many rows have leaves left from `low` on, or 1: none of those that follow has."""
    return max(int(np.count_nonzero(limits.end > low)), 1)

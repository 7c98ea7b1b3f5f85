"""The primes that every term works with: a row for each up to x^(1/3). They sieve, too."""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from outlast.kernel.nth_prime import plain
from outlast.kernel.nth_prime.gourdon.bounds import RANK, cube_root
from outlast.kernel.nth_prime.gourdon.crossing import PATTERN_PRIMES, words_for
from outlast.kernel.nth_prime.gourdon.interval import PrimeSieve, list_members, pi
from outlast.kernel.nth_prime.gourdon.wide import divide_x, joined
from outlast.kernel.nth_prime.jit import int64, jit

if TYPE_CHECKING:
    from collections.abc import Generator

    from outlast.kernel.nth_prime.gourdon.bounds import Bounds


class Rows(NamedTuple):
    """One row for each prime p up to x^(1/3), ascending; ranks count from 0.

    The square roots of y, of x/y and of √x are all smaller: the rows have all primes that any
    sieve needs.

    Attributes:
        primes: p.
        approx: ⌊x/p⌋ as a float, and …
        residue: … modulo 2^64, see `wide`.
        easy: how many p have p³ <= x/y: these have no leaves in C.
        star: how many are at most x*: the last of C and D.
        middle: how many are at most √(x/y).
    """

    primes: npt.NDArray[np.int32]
    approx: npt.NDArray[np.float64]
    residue: npt.NDArray[np.int64]
    easy: int
    star: int
    middle: int

    @property
    def ac_rows(self) -> int:
        """Return how many rows A and C have."""
        return len(self.primes) - RANK

    @property
    def d_rows(self) -> int:
        """Return how many rows D has."""
        return self.star - RANK


_WORDS = 16384
_QUOTIENTS = 1 << 16


def build_rows(bounds: Bounds) -> Generator[None, None, Rows]:
    """Return the rows. Yields every few milliseconds."""
    primes = yield from list_primes(bounds.cube)
    approx, residue = np.empty(len(primes), np.float64), np.empty(len(primes), np.int64)
    for first in range(0, len(primes), _QUOTIENTS):
        some = slice(first, first + _QUOTIENTS)
        _divide_by_all(bounds.x_high, bounds.x_low, primes[some], approx[some], residue[some])
        yield
    return Rows(
        primes,
        approx,
        residue,
        easy=pi(primes, cube_root(bounds.end)),
        star=pi(primes, bounds.star),
        middle=pi(primes, bounds.middle),
    )


def list_primes(limit: int) -> Generator[None, None, npt.NDArray[np.int32]]:
    """Return the primes up to `limit`, which is at least 97. Yields every few milliseconds."""
    seeds = np.array(plain.primes(max(isqrt(limit) + 1, PATTERN_PRIMES[-1])), np.int32)
    sieve = PrimeSieve(seeds, words_for(limit, _WORDS), 0, limit + 1)
    portions = []
    while sieve.low <= limit:
        low = sieve.advance()
        portions.append(list_members(sieve.words, low).astype(np.int32))
        yield
    primes = np.concatenate(portions)
    return primes[: pi(primes, limit)]


@jit
def _divide_by_all(
    x_high: int,
    x_low: int,
    primes: npt.NDArray[np.int32],
    approx: npt.NDArray[np.float64],
    residue: npt.NDArray[np.int64],
) -> None:
    for i in range(len(primes)):
        high, low = divide_x(x_high, x_low, int64(primes[i]))
        approx[i], residue[i] = joined(high, low)

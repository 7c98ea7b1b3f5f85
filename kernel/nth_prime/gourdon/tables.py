"""What the shards look things up in: cheap to rebuild, so never part of a state."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from outlast.kernel.nth_prime.gourdon.bounds import RANK
from outlast.kernel.nth_prime.gourdon.composites import list_composites
from outlast.kernel.nth_prime.gourdon.counted import count_to, pack, spread
from outlast.kernel.nth_prime.gourdon.crossing import lay, masks, patterns, set_all
from outlast.kernel.nth_prime.gourdon.division import divide
from outlast.kernel.nth_prime.gourdon.primes import list_primes, pi_table
from outlast.kernel.nth_prime.jit import inner, int64, jit

if TYPE_CHECKING:
    from collections.abc import Generator

    from outlast.kernel.nth_prime.gourdon.bounds import Bounds

PERIOD = 2 * 3 * 5 * 7 * 11 * 13 * 17
"""The numbers that none of the first 7 primes divides repeat with this period, …"""

PER_PERIOD = 1 * 2 * 4 * 6 * 10 * 12 * 16
"""… in which so many of them lie."""


class Tables(NamedTuple):
    """All tables. Compiled code takes them as they are. Ranks of primes count from 0.

    Attributes:
        pi: π up to √x, for `count_to`; up to y is enough for D.
        coprime: the numbers up to PERIOD that no prime up to 17 divides, for `count_to`.
        primes: those up to y.
        reciprocals: 1/p for each of them.
        quotients: ⌊x/p⌋ for the primes up to x^(1/3); 0 for the first RANK.
        composite_reciprocals: 1/m, see `list_composites`.
        composite_keys: see `list_composites`.
        composite_starts: see `list_composites`.
        patterns: see `crossing`.
        masks: see `crossing`.
        star: π(x*); the primes of C and D are those of rank RANK to star - 1.
        ac_rows: the number of primes of A and C.
        d_rows: the number of primes of D.
    """

    pi: npt.NDArray[np.uint64]
    coprime: npt.NDArray[np.uint64]
    primes: npt.NDArray[np.int32]
    reciprocals: npt.NDArray[np.float64]
    quotients: npt.NDArray[np.int64]
    composite_reciprocals: npt.NDArray[np.float64]
    composite_keys: npt.NDArray[np.int32]
    composite_starts: npt.NDArray[np.int32]
    patterns: npt.NDArray[np.uint64]
    masks: npt.NDArray[np.uint64]
    star: int
    ac_rows: int
    d_rows: int


def build(
    bounds: Bounds, pi_limit: int, smaller: Tables | None = None
) -> Generator[None, None, Tables]:
    """Return the tables, that of π up to `pi_limit`. Yields every few milliseconds of work.

    Those that do not depend on the limit are taken from `smaller` ones.
    """
    pi = yield from pi_table(pi_limit)
    if smaller is not None:
        return smaller._replace(pi=pi)
    y = bounds.y
    n_primes = int(count_to(pi, y))
    primes, reciprocals = yield from list_primes(pi, y, n_primes)
    coprime = np.empty(_COPRIME_WORDS * 240 // 64, np.uint64)
    words = np.empty(_COPRIME_WORDS, np.uint64)
    _fill_coprime(coprime, primes, patterns(), spread(), words)
    room = y // PERIOD * PER_PERIOD + int(count_to(coprime, y % PERIOD))
    reciprocals_m, keys, starts = yield from list_composites(y, primes, room)
    quotients = np.zeros(int(count_to(pi, bounds.cube)), np.int64)
    _divide_by_all(bounds, primes, quotients)
    yield
    star = int(count_to(pi, bounds.star))
    return Tables(
        pi=pi,
        coprime=coprime,
        primes=primes,
        reciprocals=reciprocals,
        quotients=quotients,
        composite_reciprocals=reciprocals_m,
        composite_keys=keys,
        composite_starts=starts,
        patterns=patterns(),
        masks=masks(),
        star=star,
        ac_rows=len(quotients) - RANK,
        d_rows=star - RANK,
    )


# Whole chunks of the sieve that hold the period.
_COPRIME_WORDS = 2560


@jit
def _fill_coprime(
    table: npt.NDArray[np.uint64],
    primes: npt.NDArray[np.int32],
    patterns: npt.NDArray[np.uint64],
    spread: npt.NDArray[np.uint64],
    words: npt.NDArray[np.uint64],
) -> None:
    set_all(words)
    for i in range(4):
        lay(words, 0, int64(primes[3 + i]), patterns[i])
    pack(words.view(np.uint8), spread, table, 0, 0)


@jit
def _divide_by_all(
    bounds: Bounds, primes: npt.NDArray[np.int32], quotients: npt.NDArray[np.int64]
) -> None:
    for i in range(RANK, len(quotients)):
        quotients[i] = divide(bounds.x_high, bounds.x_low, int64(primes[i]))


@inner
def composites_to(t: Tables, v: int) -> int:
    """Return how many of the listed composites are at most v <= y, v > 0."""
    found = int64(t.composite_starts[v >> 6])
    least = 1.0 / np.float64(v)
    while found < len(t.composite_reciprocals) and t.composite_reciprocals[found] >= least:
        found += 1
    return found

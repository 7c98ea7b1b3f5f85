"""Φ0: the ordinary leaves, Σ μ(m)·φ(x/m, 8) over m <= y, squarefree, without a prime up to 19.

The pieces are m = 1, then the primes from 23 on, then the composites.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.kernel.nth_prime.gourdon.bounds import RANK
from outlast.kernel.nth_prime.gourdon.counted import count_to
from outlast.kernel.nth_prime.gourdon.division import divide
from outlast.kernel.nth_prime.gourdon.phase import NOTHING, Partial
from outlast.kernel.nth_prime.gourdon.tables import PER_PERIOD, PERIOD
from outlast.kernel.nth_prime.jit import inner, int64, jit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from outlast.kernel.nth_prime.gourdon.bounds import Bounds
    from outlast.kernel.nth_prime.gourdon.tables import Tables

BUDGET = 400_000
"""Leaves of one shard, 25 nanoseconds each."""


def pieces(bounds: Bounds, t: Tables) -> int:  # noqa: ARG001
    """Return the number of m."""
    return 1 + len(t.primes) - RANK + len(t.composite_keys)


def carry(bounds: Bounds, t: Tables) -> NDArray[np.int64]:  # noqa: ARG001 - nothing is missing
    """Return nothing."""
    return NOTHING


def cut(bounds: Bounds, t: Tables, first: int, last: int) -> int:  # noqa: ARG001
    """Return the end of the shard: all pieces cost the same."""
    return min(first + BUDGET, last)


def shard(bounds: Bounds, t: Tables, first: int, last: int) -> Partial:
    """Return the sum over the pieces first to last - 1."""
    total = int(_sum(bounds, t, max(first, 1), last))
    return Partial(total + (_phi_x(bounds, t) if first == 0 else 0))


def _phi_x(bounds: Bounds, t: Tables) -> int:
    """Return φ(x, 8), whose x need not fit in an int64."""
    x = bounds.x
    return _phi_7_of_any(t, x) - _phi_7_of_any(t, x // 19)


def _phi_7_of_any(t: Tables, n: int) -> int:
    return n // PERIOD * PER_PERIOD + int(count_to(t.coprime, n % PERIOD))


@jit
def _sum(bounds: Bounds, t: Tables, first: int, last: int) -> int:
    """Return the sum over the pieces first to last - 1 without piece 0."""
    total = int64(0)
    composites = 1 + len(t.primes) - RANK
    for i in range(first, min(last, composites)):
        m = int64(t.primes[RANK + i - 1])
        total -= _phi_8(t, divide(bounds.x_high, bounds.x_low, m))
    for i in range(max(first - composites, 0), last - composites):
        m = int64(1.0 / t.composite_reciprocals[i] + 0.5)
        value = _phi_8(t, divide(bounds.x_high, bounds.x_low, m))
        total += -value if t.composite_keys[i] > 0 else value
    return total


@inner
def _phi_8(t: Tables, n: int) -> int:
    """Return how many numbers from 1 to n no prime up to 19 divides."""
    return _phi_7(t, n) - _phi_7(t, n // 19)


@inner
def _phi_7(t: Tables, n: int) -> int:
    return n // PERIOD * PER_PERIOD + count_to(t.coprime, n % PERIOD)

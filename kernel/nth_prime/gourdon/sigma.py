"""Σ: what is a polynomial in counts of primes, and three short sums over the primes in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.kernel.nth_prime.gourdon.counted import count_to
from outlast.kernel.nth_prime.gourdon.division import square_root
from outlast.kernel.nth_prime.gourdon.phase import NOTHING, Partial
from outlast.kernel.nth_prime.jit import jit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from outlast.kernel.nth_prime.gourdon.bounds import Bounds
    from outlast.kernel.nth_prime.gourdon.tables import Tables


def pieces(bounds: Bounds, t: Tables) -> int:  # noqa: ARG001 - the same for every x
    """Return 1: the whole term."""
    return 1


def carry(bounds: Bounds, t: Tables) -> NDArray[np.int64]:  # noqa: ARG001 - nothing is missing
    """Return nothing."""
    return NOTHING


def cut(bounds: Bounds, t: Tables, first: int, last: int) -> int:  # noqa: ARG001
    """Return the end: the sums take a few milliseconds at most."""
    return last


def shard(bounds: Bounds, t: Tables, first: int, last: int) -> Partial:  # noqa: ARG001
    """Return Σ."""
    a = len(t.primes)
    b = len(t.quotients)
    c = int(count_to(t.pi, bounds.middle))
    d = t.star
    s = int(count_to(t.pi, bounds.root))
    sigma_0 = a - 1 + s * (s - 1) // 2 - a * (a - 1) // 2
    sigma_1 = (a - b) * (a - b - 1) // 2
    sigma_2 = a * (b - c - c * (c - 3) // 2 + d * (d - 3) // 2)
    sigma_3 = b * (b - 1) * (2 * b - 1) // 6 - b - d * (d - 1) * (2 * d - 1) // 6 + d
    return Partial(sigma_0 + sigma_1 + sigma_2 + sigma_3 + int(_sums(bounds, t, c)))


@jit
def _sums(bounds: Bounds, t: Tables, c: int) -> int:
    """Return Σ_4 + Σ_5 + Σ_6, the sums over x* < p <= x^(1/3)."""
    total = 0
    for i in range(t.star, len(t.quotients)):
        n = t.quotients[i]
        if i < c:
            total += len(t.primes) * count_to(t.pi, n // bounds.y)
        else:
            total += count_to(t.pi, n // t.primes[i])
        total -= count_to(t.pi, square_root(n)) ** 2
    return total

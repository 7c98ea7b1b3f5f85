"""Riemann's R(x), which is near π(x), and with zeta zeros an estimate of the n-th prime."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

from outlast.kernel.errors import NonRetryable
from outlast.kernel.nth_prime.gourdon.zeros import ZEROS

if TYPE_CHECKING:
    from collections.abc import Sequence

FAR = 2.0**66
"""From here on more zeros of ζ cost less than the search that they shorten."""

HEIGHT = 1e5
"""How high these zeros are at most: 138,000 of them."""

TERMS = 400
"""Gram's series has all its weight in the first ln x terms or so; far more are summed."""


class WrongSum(NonRetryable):
    """It cannot be that so many primes lie below: memory or the processor failed, or a bug did.

    Nothing of the computation is trustworthy, and which part of it is wrong cannot be told.
    """


def check(count: int, x: int) -> None:
    """Do nothing if π(x) may be `count`, x >= 2.

    |π(x) - R(x)| < √x for every x for which both are known, mostly by far: the difference is about
    √x / ln x at most.

    Raises:
        WrongSum: it cannot.
    """
    distance = abs(count - round(prime_count(x)))
    if distance**2 >= x:
        raise WrongSum(
            f"{count} primes up to {x} are {distance} away from Riemann's R(x): more than √x, so "
            "it is wrong, and so is its checkpoint; submit it again as another job"
        )


def lift(total: int, x: int) -> int:
    """Return the integer that is `total` modulo 2^64 and nearest to R(x), where π(x) must be.

    Raises:
        WrongSum: it is not within √x of R(x).
    """
    near = round(prime_count(x))
    found = near + (total - near + 2**63) % 2**64 - 2**63
    check(found, x)
    return found


def prime_count(x: float) -> float:
    """Return R(x) for 2 <= x <= 2^80, with a relative error of 1e-14: far below √x.

    Gram's series: R(x) = 1 + Σ (ln x)^k / (k·k!·ζ(k + 1)), all of whose terms are positive.
    """
    log = math.log(x)
    total, power = 1.0, 1.0
    for k in range(1, TERMS):
        power *= log / k
        total += power / (k * _zeta(k + 1))
        if power < 1e-17 * total:
            break
    return total


def near_prime(n: int) -> float:
    """Return x with R(x) = n, n >= 10^5: the n-th prime is within √x or so."""
    x = n * math.log(n)
    for _ in range(6):
        x -= (prime_count(x) - n) * math.log(x)
    return x


def nth_prime(n: int) -> int:
    """Return about the n-th prime p, n >= 10^5: 0.05·√p away, as a root mean square.

    From FAR on it is 0.006·√p, takes two seconds and needs numpy.

    R(ψ(x)) = n with ψ(x) = x - 2√x·Σ (½cos(g ln x) + g sin(g ln x))/(¼ + g²) - ln 2π, where
    1/2 + gi are the zeros of ζ: Riemann's explicit formula, cut off.
    """
    smooth = near_prime(n)
    zeros = ZEROS if smooth < FAR else _many_zeros()
    x = smooth
    # ψ differs from x so slowly that it is fitted by repetition.
    for _ in range(3):
        x = smooth + _waves(x, zeros)
    return int(x)


def _many_zeros() -> Sequence[float]:
    from outlast.kernel.nth_prime.gourdon.more_zeros import zeros_up_to  # imports numpy

    zeros: list[float] = zeros_up_to(HEIGHT).tolist()
    return zeros


def _waves(x: float, zeros: Sequence[float]) -> float:
    """Return x - ψ(x)."""
    log = math.log(x)
    total = sum(
        (0.5 * math.cos(gamma * log) + gamma * math.sin(gamma * log)) / (0.25 + gamma * gamma)
        for gamma in zeros
    )
    return 2 * math.sqrt(x) * total + math.log(2 * math.pi)


@cache
def _zeta(s: int) -> float:
    """Return ζ(s) for an integer s >= 2, by the Euler-Maclaurin formula."""
    n = 50.0  # the terms before are summed one by one
    tail = n ** (1 - s) / (s - 1) + n**-s / 2 + s * n ** (-s - 1) / 12
    tail -= s * (s + 1) * (s + 2) * n ** (-s - 3) / 720
    tail += s * (s + 1) * (s + 2) * (s + 3) * (s + 4) * n ** (-s - 5) / 30240
    return float(sum(i**-s for i in range(1, 50)) + tail)

"""The terms of Gourdon's formula straight from their definitions, for small x."""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from outlast.kernel.nth_prime.gourdon.bounds import Bounds


class Slow:
    """All terms for one x, by nothing but the definitions of π, φ and μ."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.x, self.y, self.star = bounds.x, bounds.y, bounds.star
        limit = self.x // self.y + 1
        flags = np.ones(limit + 1, bool)
        flags[:2] = False
        for n in range(2, isqrt(limit) + 1):
            if flags[n]:
                flags[n * n :: n] = False
        self.pi = np.cumsum(flags)
        self.primes = [int(p) for p in np.flatnonzero(flags)]
        self.m = self.leaves()

    def leaves(self) -> list[tuple[int, int, int]]:
        """(m, μ(m), least prime factor) of the squarefree m up to y, from 2 on."""
        found = []
        for m in range(2, self.y + 1):
            rest, factors = m, []
            for p in self.primes:
                if p * p > rest:
                    break
                while rest % p == 0:
                    factors.append(p)
                    rest //= p
            if rest > 1:
                factors.append(rest)
            if len(set(factors)) == len(factors):
                found.append((m, (-1) ** len(factors), factors[0]))
        return found

    def between(self, low: int, high: int) -> list[int]:
        """The primes p with low < p <= high."""
        return self.primes[int(self.pi[low]) : int(self.pi[high])]

    def a(self) -> int:
        """A."""
        total = 0
        for p in self.between(self.star, self.bounds.cube):
            for q in self.between(p, isqrt(self.x // p)):
                weight = 1 if q <= self.x // (p * self.y) else 2
                total += weight * int(self.pi[self.x // (p * q)])
        return total

    def b(self) -> int:
        """B, without its sign in the formula."""
        return sum(int(self.pi[self.x // p]) for p in self.between(self.y, isqrt(self.x)))

    def c(self) -> int:
        """C."""
        return -sum(
            mu * (int(self.pi[self.x // (p * m)]) - int(self.pi[p]) + 2)
            for p in self.between(19, self.star)
            for m, mu, least in self.m
            if least > p and m * p > self.y and m * p**3 > self.x
        )

    def d(self) -> int:
        """D: the numbers are sieved by one prime after the other."""
        left = np.ones(len(self.pi), np.int64)
        left[0] = 0
        total = 0
        for p in self.primes:
            if p > self.star:
                break
            if p > 19:
                phi = np.cumsum(left)
                total -= sum(
                    mu * int(phi[self.x // (p * m)])
                    for m, mu, least in self.m
                    if least > p and m * p > self.y and m * p**3 <= self.x
                )
            left[p::p] = 0
        return total

    def phi0(self) -> int:
        """Φ0."""
        total = phi(self.x, 8)
        return total + sum(mu * phi(self.x // m, 8) for m, mu, least in self.m if least > 19)


def phi(n: int, k: int) -> int:
    """How many numbers from 1 to n none of the first k primes divides."""
    if k == 0:
        return n
    return phi(n, k - 1) - phi(n // (2, 3, 5, 7, 11, 13, 17, 19)[k - 1], k - 1)

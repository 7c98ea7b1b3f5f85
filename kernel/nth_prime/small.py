"""Primes of up to seven digits in pure Python, where importing a compiler would cost far more."""

from __future__ import annotations

from bisect import bisect_right
from itertools import compress
from math import isqrt, log

LARGEST_POSITION = 100_000


def primes(limit: int) -> list[int]:
    """Return all primes up to `limit`, ascending; none below 2.

    Sieve of Eratosthenes over the odd numbers, one byte each: byte i stands for 2 i + 1, and
    byte 0 for 2 in place of 1.
    """
    if limit < 2:
        return []
    odd = bytearray([1]) * ((limit + 1) // 2)
    for p in range(3, isqrt(limit) + 1, 2):
        if odd[p // 2]:
            composites = range(p * p // 2, len(odd), p)
            odd[composites.start :: p] = bytes(len(composites))
    return [2, *compress(range(3, limit + 1, 2), odd[1:])]


def nth_prime(n: int) -> int:
    """Return the n-th prime for n from 1 to LARGEST_POSITION; 2 is the first."""
    # Rosser and Schoenfeld, 1962: p_n < n (ln n + ln ln n) from n = 6 on.
    return primes(13 if n < 6 else int(n * (log(n) + log(log(n)))))[n - 1]


def prime_count(x: int) -> int:
    """Return how many primes are at most `x`, in time and memory in proportion to `x`."""
    return bisect_right(primes(x), x)

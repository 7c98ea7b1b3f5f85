"""Where a sieve is. Both sieves, the plain one and the compiled one, go on from such a cursor."""

from __future__ import annotations

from dataclasses import dataclass

NUMBERS_PER_WORD = 240

SMALLEST = (2, 3, 5)
"""The primes that count as if they lay below the origin: the compiled sieve has no bit for them."""


@dataclass(frozen=True)
class Cursor:
    """How far a search has come: `count` primes lie below the number 240 `word`."""

    word: int
    count: int


START = Cursor(0, len(SMALLEST))
"""The origin."""

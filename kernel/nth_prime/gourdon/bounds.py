"""The numbers that fix one computation of π(x): x, y, x* and the sizes of the segments."""

from __future__ import annotations

import math
from typing import NamedTuple

# The table of π up to √x would pass 1 GiB from here on, and x // 23 must fit in an int64.
X_LIMIT = 2**66

# Gourdon's formula needs p_8 < y and a few other distances that tiny x do not leave.
X_LEAST = 10**8


class Bounds(NamedTuple):
    """All bounds of summation that do not depend on a prime. Compiled code takes it as it is.

    Attributes:
        x_high: x // 2**32.
        x_low: x mod 2**32.
        y: the limit of the leaves; x^(1/3) < y < √x.
        star: x*, the largest prime that C and D may remove.
        cube: ⌊x^(1/3)⌋.
        middle: ⌊√(x/y)⌋.
        root: ⌊√x⌋.
        end: ⌊x/y⌋, where the sieves of B and D end.
        ac_span: numbers in one segment of A + C, a multiple of 64.
        b_words: words in one segment of B.
        d_words: words in one segment of D.
    """

    x_high: int
    x_low: int
    y: int
    star: int
    cube: int
    middle: int
    root: int
    end: int
    ac_span: int
    b_words: int
    d_words: int

    @property
    def x(self) -> int:
        """Return x itself, which may not fit in an int64."""
        return (self.x_high << 32) + self.x_low


def choose_y(x: int) -> int:
    """Return the y that takes the least time."""
    log = math.log(x)
    if x <= 10**11:
        alpha = 0.078173 * log + 1
    else:
        alpha = (
            0.007888745747017503 * log**3
            - 0.7610431057184933 * log**2
            + 25.74106177417062 * log
            - 288.9823576050215
        )
    alpha = min(max(alpha, 1.0), x ** (1 / 6))
    cube = cube_root(x)
    return min(max(int(alpha * cube), cube + 1), math.isqrt(x) - 1)


def bounds_of(x: int, y: int, *, ac_span: int, b_words: int, d_words: int) -> Bounds:
    """Return the bounds for x and y."""
    middle = math.isqrt(x // y)
    fourth = math.isqrt(math.isqrt(x))
    star = min(max(fourth, -(-x // (y * y))), y, middle)
    return Bounds(
        x_high=x >> 32,
        x_low=x & 0xFFFFFFFF,
        y=y,
        star=star,
        cube=cube_root(x),
        middle=middle,
        root=math.isqrt(x),
        end=x // y,
        ac_span=ac_span,
        b_words=b_words,
        d_words=d_words,
    )


def cube_root(n: int) -> int:
    """Return ⌊n^(1/3)⌋."""
    root = round(n ** (1 / 3))
    while root**3 > n:
        root -= 1
    while (root + 1) ** 3 <= n:
        root += 1
    return root

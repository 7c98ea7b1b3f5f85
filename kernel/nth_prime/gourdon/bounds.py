"""The numbers that fix one computation of π(x): x, y, x* and the sizes of segments."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from outlast.kernel.errors import DoesNotFit
from outlast.kernel.nth_prime import plain
from outlast.kernel.nth_prime.gourdon.state import Division, WrongState

if TYPE_CHECKING:
    from outlast.kernel.contract import Resources

X_LIMIT = 2**80
"""x must be below: quotients of x by two numbers stay below 2^51."""

AC_WORDS_LIMIT, B_WORDS_LIMIT = 2**20, 2**20
"""No division has larger segments, …"""

WINDOW_LIMIT = 2**32
"""… nor larger windows."""

Y_LIMIT = 10**11
"""No y is larger: ranks of the primes up to √y have 16 bits."""

X_LEAST = 10**8
"""From here on the formula holds with room to spare; below, a plain sieve is as fast."""

RANK = 8
"""The rank, from 0, of the least prime of C and D: all of them work on φ(·, 8) and beyond."""

PHI0_SPAN = 240 << 12
"""Numbers m in one piece of Φ0: some milliseconds of work."""

THREAD_BYTES = 12 << 20
"""What a thread takes: its stack, and its sieve and counters."""


class Bounds(NamedTuple):
    """All bounds of summation that depend on no prime. Compiled code takes them as they are.

    Attributes:
        x_high: x // 2^32.
        x_low: x mod 2^32.
        y: the limit of the leaves, x^(1/3) < y < √x.
        star: x*, up to which C and D take their primes.
        cube: ⌊x^(1/3)⌋.
        middle: ⌊√(x/y)⌋.
        root: ⌊√x⌋.
        end: ⌊x/y⌋, where the sieves of B and D end.
        origin: where the sieve of B starts: the multiple of 240 at or below √x.
        window: numbers in one window of the m of A + C and D.
        ac_words: words in one segment of A + C.
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
    origin: int
    window: int
    ac_words: int
    b_words: int
    d_words: int

    @property
    def x(self) -> int:
        """Return x itself, which may not fit in an int64."""
        return (self.x_high << 32) + self.x_low

    @property
    def windows(self) -> int:
        """Return how many windows A + C and D have."""
        return self.y // self.window + 1

    @property
    def ac_segments(self) -> int:
        """Return how many segments A + C has."""
        return self.root // (240 * self.ac_words) + 1

    @property
    def b_segments(self) -> int:
        """Return how many segments B has."""
        return (self.end - self.origin) // (240 * self.b_words) + 1

    def d_segments(self, window: int) -> int:
        """Return how many segments a window of D has: m is at least low there, p at least 23."""
        end = min(self.end, self.x // (23 * max(window * self.window, 1)))
        return end // (240 * self.d_words) + 1


def divide(
    x: int,
    *,
    y: int | None = None,
    window: int = 240 << 20,
    ac_words: int | None = None,
    b_words: int | None = None,
    d_words: int = 16384,
) -> Division:
    """Return how π(x) is counted, and how that is divided, in milliseconds.

    The answer does not depend on the other arguments, the time does. None chooses the best.

    Raises:
        ValueError: x is not between X_LEAST and X_LIMIT.
    """
    if not X_LEAST <= x < X_LIMIT:
        raise ValueError(f"Gourdon's algorithm counts up to x from {X_LEAST} to 2^80 - 1, not {x}")
    cube, root = cube_root(x), math.isqrt(x)
    y = min(max(int(_alpha(x) * cube) if y is None else y, cube + 1), root - 1)
    return Division(
        x=x,
        y=y,
        window=window,
        ac_words=ac_words or (8192 if x < 10**18 else 16384 if x < 10**20 else 32768),
        b_words=b_words or (32768 if x < 10**17 else 65536),
        d_words=d_words,
        ac_rows=plain.pi(cube) - RANK,
        d_rows=plain.pi(_star(x, y)) - RANK,
    )


def _star(x: int, y: int) -> int:
    """Return x*."""
    # Rounded up: every p <= x* must have its leaves in C or D, and none beyond may.
    star = max(math.isqrt(math.isqrt(x)), -(-x // (y * y)))
    return min(star, y, math.isqrt(x // y))


def bounds_of(division: Division) -> Bounds:
    """Return the bounds of a computation.

    Raises:
        WrongState: it is damaged. Compiled code does not check what it is given.
    """
    x, y = division.x, division.y
    fits = X_LEAST <= x < X_LIMIT and cube_root(x) < y < min(math.isqrt(x), Y_LIMIT)
    words = division.ac_words <= AC_WORDS_LIMIT and division.b_words <= B_WORDS_LIMIT
    if not fits or not words or division.window > WINDOW_LIMIT:
        raise WrongState(f"a division of π({x}) with bounds that it cannot have")
    return Bounds(
        x_high=x >> 32,
        x_low=x & 0xFFFFFFFF,
        y=y,
        star=_star(x, y),
        cube=cube_root(x),
        middle=math.isqrt(x // y),
        root=math.isqrt(x),
        end=x // y,
        origin=math.isqrt(x) // 240 * 240,
        window=division.window,
        ac_words=division.ac_words,
        b_words=division.b_words,
        d_words=division.d_words,
    )


def bytes_needed(division: Division, threads: int) -> int:
    """Return how much memory a computation takes at most, beyond what importing it has taken."""
    # docs/nth-prime.md has the sum.
    tables = 5 * min(division.y, division.window) // 2 + 20 * (division.ac_rows + RANK)
    return tables + threads * _thread_bytes(division)


def _thread_bytes(division: Division) -> int:
    # Its stack, its sieve and counters; and for each prime that B sieves with, 64 bytes.
    root = math.isqrt(division.x // division.y)
    return THREAD_BYTES + 64 * round(1.1 * root / math.log(root))


def fitting_threads(divisions: tuple[Division, ...], resources: Resources) -> int:
    """Return how many of the threads that are granted the memory suffices for, at least 1.

    Raises:
        DoesNotFit: it does not suffice for one.
    """
    memory = resources.memory_bytes
    if memory is None:
        return resources.threads
    division = max(divisions, key=lambda one: one.y)
    if (needed := bytes_needed(division, 1)) > memory:
        raise DoesNotFit(
            f"counting the primes up to {division.x} takes {needed >> 20} MiB of memory, and this "
            f"worker grants {memory >> 20} MiB: give it more, or use another one"
        )
    fitting = 1 + (memory - needed) // _thread_bytes(division)
    return min(resources.threads, fitting)


def _alpha(x: int) -> float:
    """Return the y that takes the least time over x^(1/3): a fit to measurements."""
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
        # It was fitted to another program; here a larger y takes less time.
        alpha *= min(max(1 + 0.1 * (log - 29), 1.0), 1.6)
    return min(max(alpha, 1.0), math.exp(log / 6))


def cube_root(n: int) -> int:
    """Return ⌊n^(1/3)⌋ for n >= 0."""
    root = round(math.cbrt(n))
    while root**3 > n:
        root -= 1
    while (root + 1) ** 3 <= n:
        root += 1
    return root

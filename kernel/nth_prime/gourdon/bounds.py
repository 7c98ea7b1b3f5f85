"""The numbers that fix one computation of π(x): x, y, x* and the sizes of segments."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from outlast.kernel.nth_prime.gourdon.state import Counting, WrongState

if TYPE_CHECKING:
    from outlast.kernel.contract import Resources
    from outlast.kernel.nth_prime.gourdon.state import Problem

X_LIMIT = 2**80
"""x must be below: quotients by two numbers stay below 2^51."""

AC_SPAN_LIMIT, B_WORDS_LIMIT = 2**26, 2**20
"""No state has larger segments."""

X_LEAST = 10**8
"""From here on the formula holds with room to spare; below, a plain sieve is as fast."""

RANK = 8
"""The rank, from 0, of the least prime of C and D: all of them work on φ(·, 8) and beyond."""

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
        ac_span: numbers in one segment of A + C.
        ac_words: words in one segment of A + C.
        window: numbers in one window of A + C.
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
    ac_span: int
    ac_words: int
    window: int
    b_words: int
    d_words: int

    @property
    def x(self) -> int:
        """Return x itself, which may not fit in an int64."""
        return (self.x_high << 32) + self.x_low

    @property
    def ac_segments(self) -> int:
        """Return how many segments A + C has."""
        return self.root // self.ac_span + 1

    @property
    def b_segments(self) -> int:
        """Return how many segments B has."""
        return (self.end - self.origin) // (240 * self.b_words) + 1

    @property
    def d_segments(self) -> int:
        """Return how many segments D has."""
        return self.end // (240 * self.d_words) + 1


def begin(
    x: int,
    *,
    y: int | None = None,
    ac_span: int = 2**23,
    ac_words: int = 32768,
    window: int = 240 << 22,
    b_words: int = 16384,
    d_words: int = 8192,
) -> Counting:
    """Return the state in which the computation of π(x) begins.

    The answer does not depend on the other arguments, the time does. None chooses the best y.

    Raises:
        ValueError: x is not between X_LEAST and X_LIMIT.
    """
    if not X_LEAST <= x < X_LIMIT:
        raise ValueError(f"Gourdon's algorithm counts up to x from {X_LEAST} to 2^66 - 1, not {x}")
    cube, root = cube_root(x), math.isqrt(x)
    y = min(max(int(_alpha(x) * cube) if y is None else y, cube + 1), root - 1)
    return Counting(x=x, y=y, ac_span=ac_span, ac_words=ac_words, window=window, b_words=b_words, d_words=d_words)


def bounds_of(problem: Problem) -> Bounds:
    """Return the bounds of a computation.

    Raises:
        WrongState: the state is damaged. Compiled code does not check what it is given.
    """
    x, y = problem.x, problem.y
    fits = X_LEAST <= x < X_LIMIT and cube_root(x) < y < math.isqrt(x)
    if not fits or problem.ac_span > AC_SPAN_LIMIT or problem.b_words > B_WORDS_LIMIT:
        raise WrongState(f"a state of π({x}) with bounds that it cannot have")
    middle = math.isqrt(x // y)
    # Rounded up: every p <= x* must have its leaves in C or D, and none beyond may.
    star = max(math.isqrt(math.isqrt(x)), -(-x // (y * y)))
    return Bounds(
        x_high=x >> 32,
        x_low=x & 0xFFFFFFFF,
        y=y,
        star=min(star, y, middle),
        cube=cube_root(x),
        middle=middle,
        root=math.isqrt(x),
        end=x // y,
        origin=math.isqrt(x) // 240 * 240,
        ac_span=problem.ac_span,
        ac_words=problem.ac_words,
        window=problem.window,
        b_words=problem.b_words,
        d_words=problem.d_words,
    )


def bytes_needed(problem: Problem, threads: int) -> int:
    """Return how much memory a computation takes at most, beyond what importing it has taken."""
    # docs/nth-prime.md has the sum; while they are built the tables take up to a sixth more.
    tables = math.isqrt(problem.x) // 8 + 2 * problem.y
    return 5 * tables // 4 + threads * THREAD_BYTES


def fitting_threads(problem: Problem, resources: Resources) -> int:
    """Return how many of the threads that are granted the memory suffices for, at least 1.

    Raises:
        MemoryError: it does not suffice for one.
    """
    memory = resources.memory_bytes
    if memory is None:
        return resources.threads
    if (needed := bytes_needed(problem, 1)) > memory:
        raise MemoryError(
            f"counting the primes up to {problem.x} takes {needed >> 20} MiB of memory, and this "
            f"worker grants {memory >> 20} MiB: give it more, or use another one"
        )
    fitting = 1 + (memory - needed) // THREAD_BYTES
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
    return min(max(alpha, 1.0), math.exp(log / 6))


def cube_root(n: int) -> int:
    """Return ⌊n^(1/3)⌋ for n >= 0."""
    root = round(math.cbrt(n))
    while root**3 > n:
        root -= 1
    while (root + 1) ** 3 <= n:
        root += 1
    return root

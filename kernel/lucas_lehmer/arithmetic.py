"""Long integers: GMP's if gmpy2 is installed, else Python's own. The results are the same."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from outlast.kernel.errors import UnknownKernel
from outlast.kernel.extras import how_to_install
from outlast.kernel.lucas_lehmer.jacobi import jacobi

if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST_PLAIN_EXPONENT = 50_000
"""Above, Python's own integers take too long: one Jacobi symbol alone takes 0.2 s here."""


class Arithmetic(NamedTuple):
    """What the test needs of a library.

    Attributes:
        integer: its type of integers, with the operators and methods of int.
        jacobi: the Jacobi symbol of two such integers.
        stretch: for an exponent, how many squarings take some 10 ms; at least 1.
    """

    integer: Any
    jacobi: Callable[[Any, Any], int]
    stretch: Callable[[int], int]


# Both from measured times of one squaring: 2.5 ms for GMP at p = 10^6, growing hardly faster than
# p; 35 µs for Python at p = 10^4, growing with p^1.6.
def _gmp_stretch(exponent: int) -> int:
    return max(1, 4 * 10**6 // exponent)


def _plain_stretch(exponent: int) -> int:
    return max(1, 3 * 10**10 // exponent**2)


PLAIN = Arithmetic(int, jacobi, _plain_stretch)


@cache
def gmp() -> Arithmetic | None:
    """Return GMP's arithmetic; None where gmpy2 is not installed."""
    try:
        import gmpy2
    except ImportError:
        return None
    return Arithmetic(gmpy2.mpz, gmpy2.jacobi, _gmp_stretch)


def arithmetic_for(exponent: int) -> Arithmetic:
    """Return the fastest arithmetic for an exponent.

    Raises:
        UnknownKernel: the exponent needs gmpy2, which is not installed.
    """
    if (arithmetic := gmp()) is not None:
        return arithmetic
    if exponent > LARGEST_PLAIN_EXPONENT:
        raise UnknownKernel(
            f"lucas-lehmer: an exponent above {LARGEST_PLAIN_EXPONENT:,} needs gmpy2, which is not "
            f"installed here: {how_to_install('gmp')}"
        )
    return PLAIN

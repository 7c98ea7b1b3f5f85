"""The Jacobi symbol of two integers."""

from __future__ import annotations


def jacobi(a: int, n: int) -> int:
    """Return the Jacobi symbol (a | n): -1, 0 or 1.

    `n` is odd and positive. By quadratic reciprocity, as in H. Cohen, *A Course in Computational
    Algebraic Number Theory*, algorithm 1.4.10; its time grows with the square of the length of n.
    """
    a %= n
    sign = 1
    while a:
        twos = (a & -a).bit_length() - 1
        a >>= twos
        # (2 | n) is -1 where n is 3 or 5 modulo 8.
        if twos & 1 and n & 7 in {3, 5}:
            sign = -sign
        if a & n & 2:  # both are 3 modulo 4
            sign = -sign
        a, n = n % a, a
    return sign if n == 1 else 0

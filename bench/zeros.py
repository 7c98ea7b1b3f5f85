"""Print kernel/nth_prime/gourdon/zeros.py: the first zeros of ζ, computed by mpmath.

Takes some minutes:

    python bench/zeros.py > kernel/nth_prime/gourdon/zeros.py
"""

from __future__ import annotations

import textwrap

from mpmath import mp, zetazero

COUNT = 512

mp.dps = 20
zeros = " ".join(repr(float(zetazero(k).imag)) for k in range(1, COUNT + 1))
print(f'''"""The zeros of Riemann's ζ nearest to the real line; by mpmath, see bench/zeros.py."""

ZEROS = tuple(
    map(
        float,
        """
{textwrap.fill(zeros, 90, initial_indent="        ", subsequent_indent="        ")}
        """.split(),
    )
)
"""The imaginary parts of the first {COUNT} with a positive one; the real parts are 1/2."""''')

"""The cost of `lucas-lehmer`: a model fitted to measured squarings.

The reference core is one of an Intel Xeon, with gmpy2 2.3 on GMP 6.3. docs/lucas-lehmer.md says how
good the model is.
"""

from __future__ import annotations

import math

from outlast.kernel.contract import Estimate
from outlast.kernel.power_law import power_law

# The exponent, and the CPU seconds of one squaring with its reduction.
_SQUARING = (
    (1e3, 3.2e-7),
    (3e3, 1.14e-6),
    (1e4, 6.4e-6),
    (3e4, 3.0e-5),
    (1e5, 1.53e-4),
    (3e5, 5.3e-4),
    (1e6, 2.29e-3),
    (3e6, 7.44e-3),
    (1e7, 4.3e-2),
    (3e7, 0.167),
    (1e8, 0.53),
)
_CHECK_SQUARINGS = 40  # A Jacobi check takes as long as so many squarings.
_MIN_SECONDS = 0.001  # The model does not reach below it.

_PROCESS_BYTES = 40 << 20  # the interpreter with pydantic and gmpy2
_BYTES_A_BIT = 1.7  # squares, both terms, and the state as JSON


def estimate_test(exponent: int, *, check_terms: int) -> Estimate:
    """Return what the test of 2^exponent - 1 takes, with a check every `check_terms` terms."""
    checks = math.ceil((exponent - 2) / check_terms)
    squarings = exponent - 2 + _CHECK_SQUARINGS * checks
    seconds = max(squarings * power_law(_SQUARING, exponent), _MIN_SECONDS)
    return Estimate(
        seconds=seconds,
        serial_seconds=seconds,  # one long chain
        resume_seconds=0.0,
        memory_bytes=_PROCESS_BYTES + round(_BYTES_A_BIT * exponent),
        state_bytes=100 + exponent // 3,  # two terms in base64
    )

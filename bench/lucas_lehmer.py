"""What the kernel `lucas-lehmer` costs beside a plain loop of gmpy2, whole and cut into slices."""

from __future__ import annotations

import statistics
import time

import gmpy2

from bench.cutting import cpu_seconds
from bench.table import print_table

EXPONENT = 86_243
SLICE_SECONDS = 1.0
ROUNDS = 3


def main() -> None:
    """Print the CPU time of all three, in turn, and the ratios round by round."""
    params = {"exponent": EXPONENT}
    rounds = [
        (
            (plain_loop(EXPONENT), 0),
            cpu_seconds("lucas-lehmer", params, None),
            cpu_seconds("lucas-lehmer", params, SLICE_SECONDS),
        )
        for _ in range(ROUNDS)
    ]
    rows = []
    for i, name in enumerate(("plain loop", "whole", f"slices of {SLICE_SECONDS:g} s")):
        seconds = statistics.median(r[i][0] for r in rounds)
        ratio = statistics.median(r[i][0] / r[0][0] for r in rounds)
        rows.append((name, str(rounds[0][i][1] or "-"), f"{seconds:.2f}", f"{ratio:.3f}"))
    print_table(
        f"lucas-lehmer exponent={EXPONENT:,}: median of {ROUNDS} rounds",
        ("", "slices", "CPU s", "ratio"),
        rows,
    )


def plain_loop(exponent: int) -> float:
    """Return the CPU time of the test as a loop that does nothing else."""
    begun = time.process_time()
    modulus, value = (gmpy2.mpz(1) << exponent) - 1, gmpy2.mpz(4)
    for _ in range(exponent - 2):
        value = value * value - 2
        value = (value & modulus) + (value >> exponent)
        if value >= modulus:
            value -= modulus
    assert value == 0
    return time.process_time() - begun


if __name__ == "__main__":
    main()

"""How good the estimates of the kernels' cost models are: predicted and measured CPU time.

The machine's factor is measured by the kernel's calibration job, as `outlast estimate --calibrate`
does; none of the sizes here is one that the model was fitted to.
"""

from __future__ import annotations

import time

from bench.table import print_table
from outlast.kernel import Resources
from outlast.kernel.registry import load
from outlast.worker.costs.calibration import estimate_of, factor_of

SIZES = {
    "prime-count": ("x", (3 * 10**13, 5 * 10**14, 4 * 10**15, 3 * 10**16, 2 * 10**17)),
    "nth-prime": ("position", (3 * 10**12, 2 * 10**13, 3 * 10**14, 2 * 10**15, 5 * 10**15)),
}
ROUNDS = 3
LONG_SECONDS = 2.0


def main() -> None:
    """Print predicted and measured times."""
    rows = []
    for name, (key, values) in SIZES.items():
        factor = factor_of(name)
        for value in values:
            predicted = factor * estimate_of(name, {key: value}).seconds
            measured = min(_seconds(name, key, value) for _ in range(_rounds(predicted)))
            ratio = f"{predicted / measured:.2f}"
            job = f"`{name} {key}={value:.0e}`"
            rows.append((job, f"{factor:.2f}", f"{predicted:.3f}", f"{measured:.3f}", ratio))
    print_table(
        "Estimates, one thread",
        ("job", "factor of this machine", "predicted CPU s", "measured CPU s", "ratio"),
        rows,
    )


def _rounds(predicted: float) -> int:
    return 1 if predicted > LONG_SECONDS else ROUNDS


def _seconds(name: str, key: str, value: int) -> float:
    kernel = load(name)
    params = kernel.Params(**{key: value})
    kernel.prepare(params)
    begun = time.process_time()
    for _ in kernel.run(params, None, Resources()):
        pass
    return time.process_time() - begun


if __name__ == "__main__":
    main()

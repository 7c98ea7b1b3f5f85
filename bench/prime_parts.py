"""What dividing a count of primes costs, and how equal the parts are that are cut to be equal.

All parts run one after the other in this process, which keeps their tables, as a worker does. The
ratio is near 1, so each figure is the least of its ROUNDS: what else a machine does only adds.
"""

from __future__ import annotations

import statistics
import time
from bisect import bisect_left
from functools import partial, reduce
from itertools import pairwise

from bench.table import print_table
from outlast.kernel import Resources
from outlast.kernel.nth_prime import PrimeCount
from outlast.kernel.nth_prime.sieve.steps import finish

ROUNDS = 3
KERNEL = PrimeCount()


def main() -> None:
    """Print the table."""
    KERNEL.prepare(None)
    rows = []
    for k, parts in ((15, 8), (16, 8), (17, 2), (17, 20), (18, 8)):
        alone, together, spread = [], [], []
        for _ in range(ROUNDS):
            count, seconds = _alone(10**k)
            alone.append(seconds)
            found, seconds, each = _parts(10**k, parts)
            together.append(seconds)
            spread.append([min(each) / statistics.mean(each), max(each) / statistics.mean(each)])
            assert found == count
        least, most = spread[together.index(min(together))]
        values = (min(alone), min(together))
        row = (*values, values[1] / values[0], least, most)
        rows.append([str(k), str(parts), *(f"{v:.2f}" for v in row)])
    print_table(
        "CPU seconds of one thread, alone and all parts; the extreme parts over the mean one",
        ["k of 10^k", "parts", "alone", "parts", "ratio", "shortest", "longest"],
        rows,
    )


def _alone(x: int) -> tuple[int, float]:
    """Return π(x) and the CPU seconds of `run`."""
    began = time.process_time()
    count = finish(PrimeCount().run(KERNEL.Params(x=x), None, Resources())).count
    return count, time.process_time() - began


def _parts(x: int, parts: int) -> tuple[int, float, list[float]]:
    """Return π(x), the CPU seconds of all that divides the job, and of each part."""
    began = time.process_time()
    kernel, params = PrimeCount(), KERNEL.Params(x=x)  # with no tables yet
    plan = KERNEL.plan(params)
    pieces = range(KERNEL.pieces(plan))
    cuts = [bisect_left(pieces, i / parts, key=partial(KERNEL.share, plan)) for i in range(parts)]
    partials, each = [], []
    for first, last in pairwise([*cuts, len(pieces)]):
        started = time.process_time()
        partials.append(finish(kernel.part(plan, first, last, None, Resources())))
        each.append(time.process_time() - started)
    total = reduce(partial(KERNEL.combine, plan), partials)
    count = KERNEL.conclude(params, plan, total).count
    return count, time.process_time() - began, each

"""Runs seeds: `python -m tests.simulation SEED` shows one, `FIRST LAST` looks for failures."""

# ruff: noqa: T201 - its output is what it is for

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

from tests.simulation.outcome import report, run

if TYPE_CHECKING:
    from collections.abc import Callable


def main(arguments: list[str]) -> int:
    """Run the seeds and print what a person wants to know."""
    numbers = [int(argument) for argument in arguments]
    if len(numbers) == 1:
        return _show(numbers[0])
    if len(numbers) == 2:
        return search(run, range(numbers[0], numbers[1] + 1))
    print(__doc__, file=sys.stderr)
    return 2


def _show(seed: int) -> int:
    outcome = run(seed, traced=True)
    if outcome.complaint:
        print(report(seed))
        return 1
    print("\n".join(outcome.trace))
    print(f"seed {seed}: every promise was kept")
    return 0


def search(run: Callable[[int], Any], seeds: range) -> int:
    """Print what fails in the worlds of these seeds, then how often each thing happened.

    `run` returns the outcome of a seed. Returns the exit status.
    """
    figures: Counter[str] = Counter()
    failed = []
    for seed in seeds:
        outcome = run(seed)
        figures += outcome.figures
        if outcome.complaint:
            failed.append(seed)
            print(f"seed {seed}: {outcome.complaint}", flush=True)
    for name, number in sorted(figures.items()):
        print(f"{number:>10,}  {name}")
    print(f"{len(seeds):>10,}  seeds, {len(failed)} of them failed")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

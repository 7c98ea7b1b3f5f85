"""Runs worlds; see the package."""

# ruff: noqa: T201 - its output is what it is for

from __future__ import annotations

import sys
from collections import Counter

import tests.fleet
from tests.fleet.explore import LARGER, SMALL, explore
from tests.fleet.outcome import report, run


def main(arguments: list[str]) -> int:
    """Run what is asked for, and print what a person wants to know."""
    numbers = [int(argument) for argument in arguments if argument.isdigit()]
    if len(numbers) == 1:
        print(report(numbers[0]))
        return int(bool(run(numbers[0]).complaint))
    if arguments == ["every"]:
        return _explore()
    if len(numbers) == 2:
        return _search(range(numbers[0], numbers[1] + 1))
    print(tests.fleet.__doc__, file=sys.stderr)
    return 2


def _explore() -> int:
    failed = 0
    for name, small in (SMALL | LARGER).items():
        outcome = explore(small)
        failed += bool(outcome.complaint)
        print(f"{outcome.figures['worlds']:>10,}  {name}  {outcome.complaint}", flush=True)
    return int(bool(failed))


def _search(seeds: range) -> int:
    figures: Counter[str] = Counter()
    failed = 0
    for seed in seeds:
        outcome = run(seed)
        figures += outcome.figures
        if outcome.complaint:
            failed += 1
            print(f"seed {seed}: {outcome.complaint}", flush=True)
    for name, number in sorted(figures.items()):
        print(f"{number:>10,}  {name}")
    print(f"{len(seeds):>10,}  seeds, {failed} of them failed")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Runs worlds; see the package."""

# ruff: noqa: T201 - its output is what it is for

from __future__ import annotations

import sys

import tests.fleet
from tests.fleet.explore import LARGER, SMALL, explore
from tests.fleet.outcome import report, run
from tests.simulation.__main__ import search


def main(arguments: list[str]) -> int:
    """Run what is asked for, and print what a person wants to know."""
    numbers = [int(argument) for argument in arguments if argument.isdigit()]
    if len(numbers) == 1:
        print(report(numbers[0]))
        return int(bool(run(numbers[0]).complaint))
    if arguments == ["every"]:
        return _explore()
    if len(numbers) == 2:
        return search(run, range(numbers[0], numbers[1] + 1))
    print(tests.fleet.__doc__, file=sys.stderr)
    return 2


def _explore() -> int:
    failed = 0
    for name, small in (SMALL | LARGER).items():
        outcome = explore(small)
        failed += bool(outcome.complaint)
        print(f"{outcome.figures['worlds']:>10,}  {name}  {outcome.complaint}", flush=True)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

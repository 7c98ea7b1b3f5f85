"""The kernel `my-name`: the longest Collatz walk from below a limit.

From an even number a walk goes to its half, from an odd one to three times it and 1 more, until it
is at 1. Put your own computation in place of this one; what each part is for stands beside it.
"""

from __future__ import annotations

from collections.abc import Generator
from functools import cache
from typing import Annotated

from outlast import Kernel, Model, Resources
from pydantic import Field

KNOWN = 2**16
"""Walks from below here are looked up."""

NUMBERS_A_STEP = 2_000
"""Some 10 ms of work: between two yields nothing can stop the kernel."""


class CollatzParams(Model):
    """A job's parameters. `outlast kernels` shows the bounds and the descriptions."""

    limit: Annotated[int, Field(ge=2, le=10**12, description="look at the numbers below this")]


class CollatzState(Model):
    """All that another machine needs to go on, and nothing that it can quickly compute again.

    Attributes:
        number: the next one to look at.
        start: where the longest walk so far begins.
        steps: how many steps it takes.
    """

    number: int = 1
    start: int = 1
    steps: int = 0


class CollatzResult(Model):
    """A job's result: where the longest walk begins, the lowest of equals, and its steps."""

    start: int
    steps: int


class MyNameKernel(Kernel[CollatzParams, CollatzState, CollatzResult]):
    """The longest Collatz walk from a number below a limit."""

    name = "my-name"
    version = 1  # Raise it when old states do not fit any more, and say in `migrate` how they do.
    Params = CollatzParams
    State = CollatzState
    Result = CollatzResult

    def run(
        self, params: CollatzParams, state: CollatzState | None, resources: Resources
    ) -> Generator[CollatzState, None, CollatzResult]:
        """Yield the state every few milliseconds; go on from any that was yielded."""
        state = state or CollatzState()
        known = known_steps()
        while state.number < params.limit:
            end = min(state.number + NUMBERS_A_STEP, params.limit)
            start = max(range(state.number, end), key=lambda number: steps_from(number, known))
            steps = steps_from(start, known)
            if steps <= state.steps:
                start, steps = state.start, state.steps
            state = CollatzState(number=end, start=start, steps=steps)
            yield state
        return CollatzResult(start=state.start, steps=state.steps)

    def progress(self, params: CollatzParams, state: CollatzState) -> float:
        """Return the share of the work that is done, 0 to 1; the ETA comes from it."""
        return state.number / params.limit

    def prepare(self, params: CollatzParams | None) -> None:
        """Do what a process needs once, before it takes a job: no slice pays for it."""
        known_steps()


@cache
def known_steps() -> list[int]:
    """Return how many steps each number below KNOWN takes: costly to store, quick to compute."""
    known = [0, 0]
    for start in range(2, KNOWN):
        known.append(steps_from(start, known))
    return known


def steps_from(start: int, known: list[int]) -> int:
    """Return the steps from `start` to 1, with the steps of all numbers up to some."""
    number, steps = start, 0
    while number >= len(known):
        number = 3 * number + 1 if number & 1 else number >> 1
        steps += 1
    return steps + known[number]

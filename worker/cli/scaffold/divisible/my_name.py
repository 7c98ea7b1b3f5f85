"""The kernel `my-name`: the longest Collatz walk from below a limit.

From an even number a walk goes to its half, from an odd one to three times it and 1 more, until it
is at 1. Many workers can share one job of it. Put your own computation in place of this one; what
each thing is for stands beside it.
"""

from __future__ import annotations

from collections.abc import Generator
from functools import cache
from typing import Annotated

from outlast import Divisible, Model, Resources
from pydantic import Field

KNOWN = 2**16
"""Walks from below here are looked up."""

NUMBERS_A_PIECE = 2_000
"""Some 10 ms of work: a step, and the smallest part that a worker can have."""


class CollatzParams(Model):
    """A job's parameters. `outlast kernels` shows the bounds and the descriptions."""

    limit: Annotated[int, Field(ge=2, le=10**12, description="look at the numbers below this")]


class CollatzPlan(Model):
    """What fixes the pieces: every machine has it as it was stored, whatever its own code says."""

    limit: int
    numbers_a_piece: int


class Longest(Model):
    """What some numbers come to: where the longest walk begins, the lowest of equals, its steps."""

    start: int
    steps: int


class CollatzState(Model):
    """All that another machine needs to go on, and nothing that it can quickly compute again.

    Attributes:
        piece: the next one to look at.
        longest: the longest walk so far. It begins with that of 1, than which all are longer.
    """

    piece: int
    longest: Longest = Longest(start=1, steps=0)


class MyNameKernel(
    Divisible[CollatzParams, CollatzState, Longest, CollatzPlan, CollatzState, Longest],
):
    """The longest Collatz walk from a number below a limit."""

    name = "my-name"
    version = 1  # Raise it when old states do not fit any more, and say in `migrate` how they do.
    Params = CollatzParams
    State = CollatzState
    Result = Longest
    Plan = CollatzPlan
    PartState = CollatzState
    Partial = Longest

    def run(
        self, params: CollatzParams, state: CollatzState | None, resources: Resources
    ) -> Generator[CollatzState, None, Longest]:
        """Do all of it on one worker: it is one part, of all pieces."""
        plan = self.plan(params)
        return (yield from self.part(plan, 0, self.pieces(plan), state, resources))

    def progress(self, params: CollatzParams, state: CollatzState) -> float:
        """Return the share of the work that is done, 0 to 1; the ETA comes from it."""
        return self.share(self.plan(params), state.piece)

    def plan(self, params: CollatzParams) -> CollatzPlan:
        """Return what fixes the pieces; it is made once for a job."""
        return CollatzPlan(limit=params.limit, numbers_a_piece=NUMBERS_A_PIECE)

    def pieces(self, plan: CollatzPlan) -> int:
        """Return how many pieces there are."""
        return -(-plan.limit // plan.numbers_a_piece)

    def share(self, plan: CollatzPlan, first: int) -> float:
        """Return the share of the work before a piece: by it the work is cut into parts."""
        return first / self.pieces(plan)

    def part(
        self,
        plan: CollatzPlan,
        first: int,
        last: int,
        state: CollatzState | None,
        resources: Resources,
    ) -> Generator[CollatzState, None, Longest]:
        """Do the pieces first to last - 1; go on from any state that was yielded."""
        state = state or CollatzState(piece=first)
        while state.piece < last:
            longest = self.combine(plan, state.longest, longest_in(plan, state.piece))
            state = CollatzState(piece=state.piece + 1, longest=longest)
            yield state
        return state.longest

    def next_piece(self, plan: CollatzPlan, state: CollatzState) -> int:
        """Return the first piece that a part has yet to do: people see by it how far it is."""
        return state.piece

    def combine(self, plan: CollatzPlan, a: Longest, b: Longest) -> Longest:
        """Return what two neighbouring rows of pieces come to together."""
        return b if b.steps > a.steps else a

    def conclude(self, params: CollatzParams, plan: CollatzPlan, total: Longest) -> Longest:
        """Return the result, from what all pieces come to."""
        return total

    def prepare(self, params: CollatzParams | None) -> None:
        """Do what a process needs once, before it takes a job: no slice pays for it."""
        known_steps()


def longest_in(plan: CollatzPlan, piece: int) -> Longest:
    """Return the longest walk from a number of this piece; 0 is none."""
    known = known_steps()
    begin = piece * plan.numbers_a_piece
    numbers = range(max(begin, 1), min(begin + plan.numbers_a_piece, plan.limit))
    start = max(numbers, key=lambda number: steps_from(number, known))
    return Longest(start=start, steps=steps_from(start, known))


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

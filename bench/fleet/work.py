"""A divisible computation that does nothing but let simulated time pass."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from outlast.kernel import Divisible, Resources
from outlast.kernel.contract import Estimate, Model

if TYPE_CHECKING:
    from collections.abc import Generator

    from bench.fleet.worker import Worker

PIECE_SECONDS = 0.01
STEP_PIECES = 500

# The simulated worker that runs in this thread.
here = threading.local()


class Size(Model):
    """How many pieces there are, of a hundredth of a second each."""

    pieces: int


class Reached(Model):
    """Up to which piece all is done."""

    at: int


class Range(Model):
    """The pieces that are done: the first one, and the one after the last."""

    first: int
    last: int


class Work(Divisible[Size, Reached, Range, Size, Reached, Range]):
    """Works through its pieces, five seconds a step; a partial tells which ones it has."""

    name = "work"
    Params, State, Result = Size, Reached, Range
    Plan, PartState, Partial = Size, Reached, Range

    def run(
        self,
        params: Size,
        state: Reached | None,
        resources: Resources,
    ) -> Generator[Reached, None, Range]:
        """Work through all pieces."""
        return (yield from self.part(params, 0, params.pieces, state, resources))

    def progress(self, params: Size, state: Reached) -> float:
        """Return the share of the pieces."""
        return state.at / params.pieces

    def estimate(self, params: Size) -> Estimate:
        """Return what a worker of ordinary speed takes."""
        return Estimate(
            seconds=params.pieces * PIECE_SECONDS,
            serial_seconds=0,
            resume_seconds=0,
            memory_bytes=0,
            state_bytes=0,
        )

    def plan(self, params: Size) -> Size:
        """Return the same."""
        return params

    def pieces(self, plan: Size) -> int:
        """Return how many there are."""
        return plan.pieces

    def share(self, plan: Size, first: int) -> float:
        """All pieces take equally long."""
        return first / plan.pieces

    def part(
        self,
        plan: Size,  # noqa: ARG002 - the contract's
        first: int,
        last: int,
        state: Reached | None,
        resources: Resources,  # noqa: ARG002 - the contract's
    ) -> Generator[Reached, None, Range]:
        """Let the worker of this thread be busy."""
        worker: Worker = here.worker
        at = state.at if state else first
        while at < last:
            pieces = min(STEP_PIECES, last - at)
            worker.compute(pieces * PIECE_SECONDS)
            at += pieces
            yield Reached(at=at)
        return Range(first=first, last=last)

    def combine(self, plan: Size, a: Range, b: Range) -> Range:  # noqa: ARG002 - the contract's
        """Join two ranges.

        Raises:
            ValueError: something is missing in between, or there twice.
        """
        if a.last != b.first:
            raise ValueError(f"{a} and {b} are no neighbours")
        return Range(first=a.first, last=b.last)

    def conclude(self, params: Size, plan: Size, total: Range) -> Range:  # noqa: ARG002
        """Return the range of all pieces."""
        return total

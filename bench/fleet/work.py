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


class Params(Model):
    """How many pieces there are, of a hundredth of a second each."""

    pieces: int


class State(Model):
    """Up to which piece all is done."""

    at: int


class Range(Model):
    """The pieces that are done: the first one, and the one after the last."""

    first: int
    last: int


class Work(Divisible[Params, State, Range, Params, State, Range]):
    """Works through its pieces, five seconds a step; a partial tells which ones it has."""

    name = "work"
    Params, State, Result = Params, State, Range
    Plan, PartState, Partial = Params, State, Range

    def run(
        self,
        params: Params,
        state: State | None,
        resources: Resources,
    ) -> Generator[State, None, Range]:
        """Work through all pieces."""
        return (yield from self.part(params, 0, params.pieces, state, resources))

    def progress(self, params: Params, state: State) -> float:
        """Return the share of the pieces."""
        return state.at / params.pieces

    def estimate(self, params: Params) -> Estimate:
        """Return what a worker of ordinary speed takes."""
        return Estimate(
            seconds=params.pieces * PIECE_SECONDS,
            serial_seconds=0,
            resume_seconds=0,
            memory_bytes=0,
            state_bytes=0,
        )

    def plan(self, params: Params) -> Params:
        """Return the same."""
        return params

    def pieces(self, plan: Params) -> int:
        """Return how many there are."""
        return plan.pieces

    def share(self, plan: Params, first: int) -> float:
        """All pieces take equally long."""
        return first / plan.pieces

    def part(
        self,
        plan: Params,  # noqa: ARG002 - the contract's
        first: int,
        last: int,
        state: State | None,
        resources: Resources,  # noqa: ARG002 - the contract's
    ) -> Generator[State, None, Range]:
        """Let the worker of this thread be busy."""
        worker: Worker = here.worker
        at = state.at if state else first
        while at < last:
            pieces = min(STEP_PIECES, last - at)
            worker.compute(pieces * PIECE_SECONDS)
            at += pieces
            yield State(at=at)
        return Range(first=first, last=last)

    def combine(self, plan: Params, a: Range, b: Range) -> Range:  # noqa: ARG002 - the contract's
        """Join two ranges.

        Raises:
            ValueError: something is missing in between, or there twice.
        """
        if a.last != b.first:
            raise ValueError(f"{a} and {b} are no neighbours")
        return Range(first=a.first, last=b.last)

    def conclude(self, params: Params, plan: Params, total: Range) -> Range:  # noqa: ARG002
        """Return the range of all pieces."""
        return total

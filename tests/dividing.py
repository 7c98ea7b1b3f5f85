"""A divisible kernel whose pieces have several steps, to try `assert_divisible` and parts with."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tests import kernels
from tests.kernels import Params, PartState, Pieces, Result, State, Stretch

if TYPE_CHECKING:
    from collections.abc import Generator

    from outlast.kernel import Resources

STEPS_A_PIECE = 3

# For `assert_divisible`: seven pieces, less than it does by default, and what its messages say.
STEPS = Params(steps=20)
LESS: dict[str, Any] = {"interruptions": 4, "forks": False}
SUM = "its result is .* instead of "
EXACT = "to the last bit, which sums of floats do not: add whole numbers, or keep the summands"


class Dividing(kernels.Dividing):
    """Its pieces have three steps each, the last one fewer; the share grows as their square."""

    def __init__(self) -> None:
        pass  # A function of its own would keep it from being pickled for another process.

    def step(self, number: int) -> None:
        """Do nothing before this step."""

    def pieces(self, plan: Pieces) -> int:
        """Return how many there are."""
        return max(-(-plan.steps // STEPS_A_PIECE), 1)

    def share(self, plan: Pieces, first: int) -> float:
        """Return a share that grows as its square."""
        return (first / self.pieces(plan)) ** 2

    def part(
        self, plan: Pieces, first: int, last: int, state: PartState | None, resources: Resources
    ) -> Generator[PartState, None, Stretch]:
        """Take the steps of these pieces."""
        end = min(last * STEPS_A_PIECE, plan.steps)
        return super().part(plan, first * STEPS_A_PIECE, end, state, resources)


class Rest(Dividing):
    """Leaves its last steps to `run`, up to five of them."""

    def plan(self, params: Params) -> Pieces:
        """Leave some out."""
        return Pieces(steps=max(params.steps - 5, 0))

    def conclude(self, params: Params, plan: Pieces, total: Stretch) -> State | Result:  # noqa: ARG002
        """Return the state from which `run` goes on."""
        return State(at=plan.steps, total=total.more)


class Telling(Dividing):
    """Its partial tells in which process it was computed; a step may raise."""

    may_not_return = True

    def part(self, *arguments: Any) -> Generator[PartState, None, Stretch]:
        """Note the process in place of the factor."""
        partial = yield from super().part(*arguments)
        return partial.model_copy(update={"factor": os.getpid()})

    def step(self, number: int) -> None:
        """Raise at step 7."""
        if number == 7:
            raise ValueError("seven")

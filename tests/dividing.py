"""A small divisible kernel for tests: `Counting` of tests/kernels.py, which many can share."""

# ruff: noqa: ARG002 - a kernel's methods have the parameters of the contract
from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from outlast.kernel import Divisible, Model, Resources
from tests.kernels import MODULUS, Params, Result, State, advance

if TYPE_CHECKING:
    from collections.abc import Generator

STEPS_A_PIECE = 3

# For `assert_divisible`: seven pieces, less than it does by default, and what its messages say.
STEPS = Params(steps=20)
LESS: dict[str, Any] = {"interruptions": 4, "forks": False}
SUM = "its result is .* instead of "
EXACT = "to the last bit, which sums of floats do not: add whole numbers, or keep the summands"


class Plan(Model):
    """How many steps there are, and how many a piece has."""

    steps: int
    steps_a_piece: int = STEPS_A_PIECE


class Partial(Model):
    """What some steps make of the total before them: its multiple by `factor`, plus `offset`."""

    factor: int = 1
    offset: int = 0


class PartState(Partial):
    """The next step, and what those before it come to."""

    at: int


class Dividing(Divisible[Params, State, Result, Plan, PartState, Partial]):
    """Counts up to `steps`; the order of the steps matters."""

    name = "dividing"
    Params, State, Result = Params, State, Result
    Plan, PartState, Partial = Plan, PartState, Partial

    def run(
        self, params: Params, state: State | None, resources: Resources
    ) -> Generator[State, None, Result]:
        """Take one step after another."""
        state = state or State(at=0, total=0)
        while state.at < params.steps:
            state = State(at=state.at + 1, total=advance(state.at, state.total))
            yield state
        return Result(total=state.total)

    def progress(self, params: Params, state: State) -> float:
        """Return the share of the steps done."""
        return state.at / params.steps

    def plan(self, params: Params) -> Plan:
        """Return what `part` needs."""
        return self.Plan(steps=params.steps)

    def pieces(self, plan: Plan) -> int:
        """Return how many there are."""
        return max(-(-plan.steps // plan.steps_a_piece), 1)

    def share(self, plan: Plan, first: int) -> float:
        """Return a share that grows as its square."""
        return (first / self.pieces(plan)) ** 2

    def part(
        self, plan: Plan, first: int, last: int, state: PartState | None, resources: Resources
    ) -> Generator[PartState, None, Partial]:
        """Take some steps."""
        state = state or self.PartState(at=first * plan.steps_a_piece)
        while state.at < min(last * plan.steps_a_piece, plan.steps):
            self.step(state.at)
            state = self.PartState(
                at=state.at + 1,
                factor=31 * state.factor % MODULUS,
                offset=advance(state.at, state.offset),
            )
            yield state
        return self.Partial(factor=state.factor, offset=state.offset)

    def step(self, number: int) -> None:
        """Do what a test wants before this step of a part."""

    def combine(self, plan: Plan, a: Partial, b: Partial) -> Partial:
        """Return what two rows of steps make of a total."""
        return self.Partial(
            factor=a.factor * b.factor % MODULUS, offset=(a.offset * b.factor + b.offset) % MODULUS
        )

    def conclude(self, params: Params, plan: Plan, total: Partial) -> State | Result:
        """Return what all steps make of 0."""
        return Result(total=total.offset)


class Rest(Dividing):
    """Leaves its last steps to `run`, up to five of them."""

    def plan(self, params: Params) -> Plan:
        """Leave some out."""
        return Plan(steps=max(params.steps - 5, 0))

    def conclude(self, params: Params, plan: Plan, total: Partial) -> State | Result:
        """Return the state from which `run` goes on."""
        return State(at=plan.steps, total=total.offset)


class Telling(Dividing):
    """Its partial tells in which process it was computed; a step may raise."""

    may_not_return = True

    def part(self, *arguments: Any) -> Generator[PartState, None, Partial]:
        """Note the process in place of the factor."""
        partial = yield from super().part(*arguments)
        return partial.model_copy(update={"factor": os.getpid()})

    def step(self, number: int) -> None:
        """Raise at step 7."""
        if number == 7:
            raise ValueError("seven")

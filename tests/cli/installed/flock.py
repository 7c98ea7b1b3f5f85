"""A kernel whose work can be divided, installed beside Outlast; it is as slow as it is told."""

import os
import time
from pathlib import Path

from pydantic import Field

from outlast.kernel import Divisible, Estimate
from outlast.kernel.contract import Model


class FlockParams(Model):
    """How many there are to count, and how slowly."""

    steps: int = Field(ge=1)
    step_seconds: float = 0.0
    fails_while: str | None = Field(default=None, description="a file: fails while it is there")
    dies_at: int | None = Field(default=None, description="kills its process once, at this one")


class Stretch(Model):
    """Neighbours that were counted: from one to before another, with the sum of their numbers."""

    first: int
    last: int
    total: int


class FlockResult(Model):
    """The sum of all numbers."""

    total: int


class Flock(Divisible[FlockParams, Stretch, FlockResult, FlockParams, Stretch, Stretch]):
    """Counts numbers in any order, and notices one that is missing or counted twice."""

    name = "flock"
    Params = Plan = FlockParams
    State = PartState = Partial = Stretch
    Result = FlockResult

    def run(self, params, state, resources):
        """Count all of them."""
        total = yield from self.part(params, 0, params.steps, state, resources)
        return self.conclude(params, params, total)

    def progress(self, params, state):
        """Return the share that was counted."""
        return state.last / params.steps

    def estimate(self, params):
        """Return the time of all steps."""
        seconds = max(params.steps * params.step_seconds, 0.001)
        return Estimate(
            seconds=seconds,
            serial_seconds=seconds / 10,
            undivided_seconds=seconds / 10,
            resume_seconds=0.0,
            memory_bytes=50 << 20,
            state_bytes=100,
        )

    def plan(self, params):
        """All is in the parameters."""
        return params

    def pieces(self, plan):
        """Each number is one."""
        return plan.steps

    def share(self, plan, first):
        """Each takes as long as the others."""
        return first / plan.steps

    def part(self, plan, first, last, state, resources):  # noqa: ARG002 - needs nothing of them
        """Count those from first to before last."""
        state = state or Stretch(first=first, last=first, total=0)
        for number in range(state.last, last):
            if plan.fails_while and Path(plan.fails_while).exists():
                raise RuntimeError("told to fail")
            if number == plan.dies_at and not Path("died").exists():
                Path("died").touch()
                os._exit(9)
            time.sleep(plan.step_seconds)
            state = Stretch(first=first, last=number + 1, total=state.total + number)
            yield state
        return state

    def combine(self, plan, a, b):  # noqa: ARG002 - the contract's
        """Add up two neighbours."""
        if a.last != b.first:
            raise ValueError(f"{a} and {b} are no neighbours")
        return Stretch(first=a.first, last=b.last, total=a.total + b.total)

    def conclude(self, params, plan, total):  # noqa: ARG002 - the contract's
        """Return the sum of all."""
        if (total.first, total.last) != (0, params.steps):
            raise ValueError(f"not all of them: {total}")
        return FlockResult(total=total.total)

"""Kernels whose steps take a known time, installed like anybody's for the programs under test."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.kernels import Counting, Dividing, Params, Pieces, Result, State

if TYPE_CHECKING:
    from collections.abc import Generator

    from outlast.kernel import Resources
    from tests.kernels import PartState, Stretch


class AdderParams(Params):
    """Add 1 + 2 + … + `steps`, each for `step_seconds` of CPU; sleep once, at `sleeps_at`.

    The file `slept` is made before that sleep, which does not end; where it is, nothing sleeps.
    The file `stepped` is made once the first step is done: a signal before it finds none to save.
    What it `says` is printed at the start of each slice.
    """

    step_seconds: float = 0.0
    sleeps_at: int | None = None
    slept: str = ""
    stepped: str = ""
    says: str = ""


class Adder(Counting):
    """A sum of whole numbers, slowly."""

    name = "adder"
    Params = AdderParams

    def run(
        self,
        params: AdderParams,
        state: State | None,
        resources: Resources,  # noqa: ARG002 - it needs none
    ) -> Generator[State, None, Result]:
        """Add one number a step."""
        state = state or State(at=0, total=0)
        if params.says:
            print(params.says)  # noqa: T201 - which is what it is for
        while state.at < params.steps:
            if params.sleeps_at == state.at and not Path(params.slept).exists():
                Path(params.slept).touch()
                time.sleep(10_000)  # in C: signal handlers run, the step does not end
            work(params.step_seconds)
            state = State(at=state.at + 1, total=state.total + state.at + 1)
            yield state
            if params.stepped:
                Path(params.stepped).touch()
        return Result(total=state.total)


class SharerParams(Params):
    """Count `steps` steps, each for `step_seconds` of CPU, on `workers` at the same time.

    Each process leaves a file in the folder `meeting`, and begins no step before there are as many
    as workers: so a job that is advanced by fewer at a time stands still.
    """

    step_seconds: float = 0.0
    workers: int = 1
    meeting: str = ""


class SharerPlan(SharerParams, Pieces):
    """The same: all that a part has to know."""


class Sharer(Dividing):
    """Counts as `Dividing` does, slowly and in company."""

    name = "sharer"
    Params = SharerParams
    Plan = SharerPlan

    def plan(self, params: SharerParams) -> SharerPlan:  # type: ignore[override]
        """Let each step be a piece."""
        return SharerPlan.model_validate(params.model_dump())

    def part(  # type: ignore[override]
        self,
        plan: SharerPlan,
        first: int,
        last: int,
        state: PartState | None,
        resources: Resources,
    ) -> Generator[PartState, None, Stretch]:
        """Take one step after another, once all have come."""
        meet(Path(plan.meeting), plan.workers)
        return Dividing(lambda _: work(plan.step_seconds)).part(plan, first, last, state, resources)


def meet(meeting: Path, workers: int) -> None:
    """Wait until so many processes have come."""
    (meeting / str(os.getpid())).touch()
    while len(list(meeting.iterdir())) < workers:
        time.sleep(0.01)  # A folder has no event for that.


def work(seconds: float) -> None:
    """Take so much CPU time."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass

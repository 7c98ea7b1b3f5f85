"""A kernel whose steps take a known time, installed like anybody's for the programs under test."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.kernels import Counting, Params, Result, State

if TYPE_CHECKING:
    from collections.abc import Generator

    from outlast.kernel import Resources


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
            end = time.process_time() + params.step_seconds
            while time.process_time() < end:
                pass
            state = State(at=state.at + 1, total=state.total + state.at + 1)
            yield state
            if params.stepped:
                Path(params.stepped).touch()
        return Result(total=state.total)

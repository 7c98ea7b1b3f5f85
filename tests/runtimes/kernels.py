"""A kernel whose steps take a known time, installed like anybody's for the programs under test."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from outlast.kernel import Kernel
from outlast.kernel.contract import Model

if TYPE_CHECKING:
    from collections.abc import Generator

    from outlast.kernel import Resources

ROOT = Path(__file__).parents[2]


class Params(Model):
    """Add 1 + 2 + … + `steps`, each for `step_seconds` of CPU; sleep once, at `sleeps_at`.

    The file `slept` is made before that sleep, which does not end; where it is, nothing sleeps.
    The file `stepped` is made once the first step is done: a signal before it finds none to save.
    """

    steps: int
    step_seconds: float = 0.0
    sleeps_at: int | None = None
    slept: str = ""
    stepped: str = ""


class State(Model):
    """The sum so far."""

    done: int
    total: int


class Result(Model):
    """The sum, and some text if it is to be a long result."""

    total: int


class Adder(Kernel[Params, State, Result]):
    """A sum of whole numbers, slowly."""

    name = "adder"
    Params = Params
    State = State
    Result = Result

    def run(
        self,
        params: Params,
        state: State | None,
        resources: Resources,  # noqa: ARG002 - it needs none
    ) -> Generator[State, None, Result]:
        """Add one number a step."""
        done, total = (state.done, state.total) if state else (0, 0)
        while done < params.steps:
            if params.sleeps_at == done and not Path(params.slept).exists():
                Path(params.slept).touch()
                time.sleep(10_000)  # in C: signal handlers run, the step does not end
            end = time.process_time() + params.step_seconds
            while time.process_time() < end:
                pass
            done += 1
            total += done
            yield State(done=done, total=total)
            if params.stepped:
                Path(params.stepped).touch()
        return Result(total=total)

    def progress(self, params: Params, state: State) -> float:
        """Return the share of the steps that is done."""
        return state.done / params.steps


def install(folder: Path) -> str:
    """Make a package of the kernel in `folder`; return the PYTHONPATH with which it is found."""
    package = folder / "adder-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: adder\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(
        "[outlast.kernels]\nadder = tests.runtimes.kernels:Adder\n"
    )
    return f"{ROOT}:{folder}"

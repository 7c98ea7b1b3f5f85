"""A kernel that is installed beside Outlast, and takes as long as its parameters say."""

import os
import time
from typing import Annotated

from pydantic import Field

from outlast.kernel import Kernel
from outlast.kernel.contract import Model


class TallyParams(Model):
    """How much to count, and how slowly."""

    steps: int = Field(ge=1, description="how far to count")
    step_seconds: float = 0.0
    prepare_seconds: float = 0.0
    fails_at: int | None = None
    label: Annotated[str, Field(max_length=9)] | None = None


class TallyState(Model):
    """How far it got."""

    done: int


class TallyResult(Model):
    """All that was counted."""

    total: int


class Tally(Kernel[TallyParams, TallyState, TallyResult]):
    """Counts, one step after the other."""

    name = "tally"
    Params = TallyParams
    State = TallyState
    Result = TallyResult

    def run(self, params, state, resources):  # noqa: ARG002 - needs nothing of them
        """Yield after each step; say first that it is at work, if the environment wants that."""
        if "TALLY_TELLS" in os.environ:
            print("at work", flush=True)  # noqa: T201 - for who waits for it
        for done in range(state.done if state else 0, params.steps):
            if done == params.fails_at:
                raise RuntimeError("told to fail")
            time.sleep(params.step_seconds)
            yield TallyState(done=done + 1)
        return TallyResult(total=params.steps)

    def progress(self, params, state):
        """Return the share of the steps."""
        return state.done / params.steps

    def prepare(self, params):
        """Take as long as a compiler."""
        time.sleep(params.prepare_seconds if params else 0.0)

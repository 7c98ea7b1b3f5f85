"""Kernels that do next to nothing, to measure what is around them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from outlast.kernel import Kernel, Resources
from outlast.kernel.contract import Model

if TYPE_CHECKING:
    from collections.abc import Generator


class CountParams(Model):
    """How far to count, and how long each step is to last, in seconds."""

    steps: int
    step_seconds: float = 0.0


class CountState(Model):
    """How far it has counted."""

    count: int


class CountTo(Kernel[CountParams, CountState, CountState]):
    """Counts, with a step of a given length of busy work."""

    name = "count-to"
    Params = CountParams
    State = CountState
    Result = CountState

    def run(
        self,
        params: CountParams,
        state: CountState | None,
        resources: Resources,  # noqa: ARG002 - needs none
    ) -> Generator[CountState, None, CountState]:
        """Yield each number up to `params.steps`."""
        for count in range(state.count + 1 if state else 1, params.steps + 1):
            end = time.perf_counter() + params.step_seconds
            while time.perf_counter() < end:
                pass
            yield CountState(count=count)
        return CountState(count=params.steps)

    def progress(self, params: CountParams, state: CountState) -> float:
        """Return the share of the numbers."""
        return state.count / params.steps

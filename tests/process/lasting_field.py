"""A kernel with arrays that computes until it is told to end, installed for real workers."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.field import Field, Params, Result, State, result_of

if TYPE_CHECKING:
    from collections.abc import Generator

    from outlast.kernel import Resources


class LastingParams(Params):
    """Larger arrays than a test's own, and how long a step waits."""

    step_seconds: float


class LastingField(Field):
    """A field that ends at its next step once there is the file that FIELD_ENDS names."""

    name = "lasting-field"
    Params = LastingParams

    def run(
        self, params: LastingParams, state: State | None, resources: Resources
    ) -> Generator[State, None, Result]:
        """Take one step after another."""
        self.step = lambda _: time.sleep(params.step_seconds)
        for newest in super().run(params, state, resources):
            yield newest
            if Path(os.environ["FIELD_ENDS"]).exists():
                return result_of(newest)
        raise AssertionError("it was never told to end")

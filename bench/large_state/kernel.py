"""A kernel with a large state of noise, which changes a little everywhere at each step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from outlast import Array, Kernel, Model, Resources

if TYPE_CHECKING:
    from collections.abc import Generator

MIB = 1 << 20
ARRAYS = 50
NUMBERS_APART = MIB // 16  # of four bytes: of those that change, so that each chunk has some
# A step takes about 50 ms on an idle core.
TURNS, TURN_NUMBERS = 1200, 1 << 16


class DriftingParams(Model):
    """How large the state is, and how many of its arrays change."""

    mib: int
    changing: int = ARRAYS


class DriftingState(Model):
    """The steps done, and arrays of noise."""

    at: int
    noise: dict[str, Array]


class Drifting(Kernel[DriftingParams, DriftingState, DriftingState]):
    """Computes for ever; the work of a step is always the same."""

    name = "drifting"
    Params = DriftingParams
    State = DriftingState
    Result = DriftingState

    def run(
        self,
        params: DriftingParams,
        state: DriftingState | None,
        resources: Resources,  # noqa: ARG002 - needs none
    ) -> Generator[DriftingState, None, DriftingState]:
        """Yield the same arrays again and again, changed in place."""
        noise = state.noise if state else _noise(params.mib * MIB // ARRAYS // 4)
        at = state.at if state else 0
        angles = np.linspace(0, 1, TURN_NUMBERS, dtype="f4")
        sines = np.empty_like(angles)
        while True:
            for _ in range(TURNS):
                np.sin(angles, out=sines)
            for array in list(noise.values())[: params.changing]:
                array[::NUMBERS_APART] += sines[-1]
            at += 1
            yield DriftingState(at=at, noise=noise)

    def progress(self, params: DriftingParams, state: DriftingState) -> float:  # noqa: ARG002
        """Return 0: it has no end."""
        return 0.0


def _noise(numbers: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    return {f"a{number}": random.random(numbers, dtype="f4") for number in range(ARRAYS)}

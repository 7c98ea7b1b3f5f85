"""A kernel that tells of each step it does, installed for the workers of the chaos tests."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from tests.kernels import Counting, Params, Result, State

if TYPE_CHECKING:
    from collections.abc import Generator

    from outlast.kernel import Resources

STEP_SECONDS = 0.01


class ChainParams(Params):
    """How long the chain is, and where it begins."""

    seed: int


class Chain(Counting):
    """Counts, and writes one byte for each step into the FIFO that CHAIN_STEPS names."""

    name = "chain"
    Params = ChainParams

    def run(
        self, params: ChainParams, state: State | None, resources: Resources
    ) -> Generator[State, None, Result]:
        """Count from `seed` on."""
        state = state or State(at=0, total=params.seed)
        with open(os.environ["CHAIN_STEPS"], "wb", buffering=0) as fifo:  # noqa: PTH123 - unbuffered
            self.step = lambda _: (time.sleep(STEP_SECONDS), fifo.write(b"."))
            return (yield from super().run(params, state, resources))

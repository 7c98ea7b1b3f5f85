"""A kernel that tells of each step it does, installed for the workers of the chaos tests."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.kernels import Counting, Dividing, Params, Result, State

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from outlast.kernel import Resources
    from tests.kernels import PartState, Pieces, Stretch

STEP_SECONDS = 0.01


class ChainParams(Params):
    """How long the chain is, and where it begins."""

    seed: int


@contextmanager
def telling() -> Iterator[Callable[[int], None]]:
    """Give a step that takes its time, and tells of itself once that is over."""
    with open(os.environ["CHAIN_STEPS"], "wb", buffering=0) as fifo:  # noqa: PTH123 - unbuffered

        def step(_: int) -> None:
            time.sleep(STEP_SECONDS)
            fifo.write(b".")

        yield step


class Chain(Counting):
    """Counts, and writes one byte for each step into the FIFO that CHAIN_STEPS names."""

    name = "chain"
    Params = ChainParams

    def run(
        self, params: ChainParams, state: State | None, resources: Resources
    ) -> Generator[State, None, Result]:
        """Count from `seed` on."""
        state = state or State(at=0, total=params.seed)
        with telling() as self.step:
            return (yield from super().run(params, state, resources))


class SharedChain(Dividing):
    """The same from 0 on, in parts that many workers do."""

    name = "shared-chain"

    def part(
        self, plan: Pieces, first: int, last: int, state: PartState | None, resources: Resources
    ) -> Generator[PartState, None, Stretch]:
        """Count the steps of this part."""
        with telling() as step:
            return (yield from Dividing(step).part(plan, first, last, state, resources))

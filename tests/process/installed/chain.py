"""A kernel whose result shows a step left out or done twice, and that tells of each step it does.

It writes one byte a step into the FIFO that CHAIN_STEPS names.
"""

import os
import time

from outlast.kernel import Kernel, Model

STEP_SECONDS = 0.01
MODULUS = 1_000_003


class ChainParams(Model):
    """How long the chain is, and where it begins."""

    steps: int
    seed: int


class ChainState(Model):
    """How far it is."""

    at: int
    total: int


class ChainResult(Model):
    """What the last link is."""

    total: int


def link(at: int, total: int) -> int:
    """Return the total after step `at`."""
    return (31 * total + at + 1) % MODULUS


def expected(steps: int, seed: int) -> dict[str, int]:
    """Return the result, worked out in one go."""
    total = seed
    for at in range(steps):
        total = link(at, total)
    return {"total": total}


class Chain(Kernel[ChainParams, ChainState, ChainResult]):
    """Each link follows from the one before."""

    name = "chain"
    Params = ChainParams
    State = ChainState
    Result = ChainResult

    def run(self, params, state, resources):  # noqa: ARG002 - needs nothing of them
        """Yield after each link."""
        told = os.open(os.environ["CHAIN_STEPS"], os.O_WRONLY)
        state = state or ChainState(at=0, total=params.seed)
        try:
            while state.at < params.steps:
                time.sleep(STEP_SECONDS)
                os.write(told, b".")
                state = ChainState(at=state.at + 1, total=link(state.at, state.total))
                yield state
        finally:
            os.close(told)
        return ChainResult(total=state.total)

    def progress(self, params, state):
        """Return the share of the links."""
        return state.at / params.steps

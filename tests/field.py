"""A kernel with arrays for tests: it changes them in place, as a simulation does."""

# ruff: noqa: ARG002 - a kernel's methods have the parameters of the contract
from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from outlast import Array, Blob, Kernel, Model, Resources

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


class Params(Model):
    """How many steps, and how many arrays of how many numbers; `seed` may begin them."""

    steps: int
    arrays: int = 3
    numbers: int = 1000
    seed: Array | None = None


class State(Model):
    """The steps done, the arrays, and what they have been so far."""

    at: int
    field: dict[str, Array]
    trail: Blob


class Result(Model):
    """The arrays at the end, and a digest of all that they have been."""

    digest: str
    field: dict[str, Array]
    trail: Blob


class Field(Kernel[Params, State, Result]):
    """Changes one array a step, in place, and notes what it was.

    `step`, called before each step with its number, is where a test makes time pass, or trouble.
    """

    name = "field"
    Params, State, Result = Params, State, Result

    def __init__(self, step: Callable[[int], None] = lambda _: None, **others: Any) -> None:
        self.step = step
        vars(self).update(others)

    def run(
        self, params: Params, state: State | None, resources: Resources
    ) -> Generator[State, None, Result]:
        """Take one step after another."""
        if state is None:
            start = np.arange(params.numbers, dtype="f4") if params.seed is None else params.seed
            field = {f"a{number}": start + number for number in range(params.arrays)}
            at, trail = 0, b""
        else:
            field, at, trail = state.field, state.at, state.trail
        while at < params.steps:
            self.step(at)
            array = field[f"a{at % params.arrays}"]
            array *= 0.99
            array += at
            trail += hashlib.blake2b(array.tobytes(), digest_size=8).digest()
            at += 1
            yield State(at=at, field=field, trail=trail)
        return result_of(State(at=at, field=field, trail=trail))

    def progress(self, params: Params, state: State) -> float:
        """Return the share of the steps done."""
        return state.at / params.steps


def result_of(state: State) -> Result:
    """Return the result of a run that ends in this state."""
    digest = hashlib.sha256(state.trail).hexdigest()
    return Result(digest=digest, field=state.field, trail=state.trail)


def expected(**params: Any) -> Result:
    """Return the result of a run that nothing stops."""
    steps = Field().run(Params(**params), None, Resources())
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result

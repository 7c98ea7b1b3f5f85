"""A kernel with arrays: some that never change, some that change in place, and what is right."""

# ruff: noqa: ARG002 - a kernel's methods have the parameters of the contract
from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from outlast import Array, Blob, Kernel, Model, Resources
from outlast.checkpoint.blobs.sending import listed
from outlast.kernel.bulk import dumped
from outlast.worker.slices.kernel_output import stored_result
from tests.kernels import advance

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from outlast.kernel.bulk import Bulk

    Digests = tuple[str, ...]


class PaintParams(Model):
    """How many steps; `seed` may begin the arrays; whether the result is to have them."""

    steps: int
    seed: Array | None
    returns: bool


class PaintState(Model):
    """The steps done, what they add up to, the arrays, and the last totals."""

    at: int
    total: int
    field: dict[str, Array]
    trail: Blob


class NewerPaintState(Model):
    """The state after a field was renamed."""

    done: int
    total: int
    field: dict[str, Array]
    trail: Blob


class PaintResult(Model):
    """What all steps add up to, and the arrays in the end, if they are wanted."""

    total: int
    field: dict[str, Array]


class Painting(Kernel[PaintParams, PaintState, PaintResult]):
    """Changes an array at the begin and at the end of each step, and once more after the last.

    So arrays that are read at any other moment than at a yield are no state's. `step` is as that of
    `Counting`.
    """

    name = "painting"
    Params, State, Result = PaintParams, PaintState, PaintResult
    counter = "at"

    def __init__(self, step: Callable[[int], None] = lambda _: None) -> None:
        self.step = step

    def run(
        self, params: PaintParams, state: Any, resources: Resources
    ) -> Generator[Any, None, PaintResult]:
        """Take one step after another."""
        at, total, field, trail = 0, 0, _blank(params.seed), b""
        if state is not None:
            at, total = getattr(state, self.counter), state.total
            field, trail = state.field, state.trail
        while at < params.steps:
            array = field[f"a{1 + at % 2}"]
            array += at + 1
            self.step(at)
            array *= 3
            total = advance(at, total)
            trail = trail[-20:] + total.to_bytes(4)
            at += 1
            yield self.State(**{self.counter: at}, total=total, field=field, trail=trail)
        field["a1"] ^= 1
        return PaintResult(total=total, field=field if params.returns else {})

    def progress(self, params: PaintParams, state: Any) -> float:
        """Return the share of the steps done."""
        share: float = getattr(state, self.counter) / params.steps
        return share


class NewerPainting(Painting):
    """`Painting` after its author renamed a field of the state, with a migration."""

    version = 2
    State = NewerPaintState  # type: ignore[assignment]
    counter = "done"

    def migrate(self, state: dict[str, Any], version: int) -> dict[str, Any]:
        """Rename the field."""
        if version != 1:
            return super().migrate(state, version)
        return {"done": state.pop("at"), **state}


def _blank(seed: Any) -> dict[str, Any]:
    return {
        "a0": np.arange(32, dtype="u4"),
        "a1": np.ones(16, dtype="u4"),
        "a2": np.arange(16, dtype="u4") if seed is None else seed + 1,
    }


class Paint(NamedTuple):
    """What a job's parameters have of arrays, and whether its result has some."""

    is_seeded: bool
    returns: bool

    def params(self, steps: int) -> PaintParams:
        """Return the parameters of such a job."""
        seed = np.arange(16, dtype="u4") * 7 if self.is_seeded else None
        return PaintParams(steps=steps, seed=seed, returns=self.returns)


class Picture(NamedTuple):
    """All that is right of such a job.

    Attributes:
        params, states, result: the digests of the chunks that each has, in order; those of the
            states by the number of steps.
        value: the result as a JSON value.
    """

    params: Digests
    states: tuple[Digests, ...]
    result: Digests
    value: Any


@cache
def picture(paint: Paint, steps: int) -> Picture:
    """Return it, from a run that nothing stops."""
    kernel, params = Painting(), paint.params(steps)
    run = kernel.run(params, None, Resources())
    states: list[Digests] = [()]
    while True:
        try:
            states.append(_digests(dumped(next(run)).bulk))
        except StopIteration as end:
            value, bulk = stored_result(kernel, end.value)
            return Picture(_digests(dumped(params).bulk), tuple(states), _digests(bulk), value)


def _digests(bulk: Bulk) -> Digests:
    return tuple(chunk.digest for chunk in listed(bulk))

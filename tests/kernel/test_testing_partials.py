"""`assert_divisible` compares exactly: floats to the last bit, arrays by their bytes."""

# ruff: noqa: ARG002, D102 - a kernel's methods have the parameters of the contract
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from outlast import Array, Divisible, Model, Resources
from outlast.testing import assert_divisible
from tests.dividing import EXACT, LESS, STEPS, STEPS_A_PIECE, SUM, Dividing
from tests.kernels import Params, Pieces

if TYPE_CHECKING:
    from collections.abc import Generator


class FloatPartial(Model):
    """A sum that depends on the order in which it was added."""

    total: float = 0.0


class FloatState(FloatPartial):
    """The same, and how far it is."""

    at: int


class Harmonic(Divisible[Params, FloatState, FloatPartial, Pieces, FloatState, FloatPartial]):
    """Adds 1, 1/2, 1/3 and so on."""

    name = "harmonic"
    Params, State, Result = Params, FloatState, FloatPartial
    Plan, PartState, Partial = Pieces, FloatState, FloatPartial
    plan, pieces, share = Dividing.plan, Dividing.pieces, Dividing.share

    def run(self, params: Params, state: FloatState | None, resources: Resources) -> Any:
        plan = self.plan(params)
        return self.part(plan, 0, self.pieces(plan), state, resources)

    def part(
        self, plan: Pieces, first: int, last: int, state: FloatState | None, resources: Resources
    ) -> Generator[FloatState, None, FloatPartial]:
        state = state or FloatState(at=STEPS_A_PIECE * first)
        while state.at < min(STEPS_A_PIECE * last, plan.steps):
            state = FloatState(at=state.at + 1, total=state.total + 1 / (state.at + 1))
            yield state
        return FloatPartial(total=state.total)

    def progress(self, params: Params, state: FloatState) -> float:
        return state.at / params.steps

    def combine(self, plan: Pieces, a: FloatPartial, b: FloatPartial) -> FloatPartial:
        return FloatPartial(total=a.total + b.total)

    def conclude(self, params: Params, plan: Pieces, total: FloatPartial) -> FloatPartial:
        return total


@pytest.mark.usefixtures("_no_interpreter")
def test_floats_are_compared_to_the_last_bit() -> None:
    """The result of a job would depend, in its last digit, on how many workers share it."""
    with pytest.raises(AssertionError, match=rf"^7 pieces, cut at .*: {SUM}.*, {EXACT}"):
        assert_divisible(Harmonic(), STEPS, **LESS)


class Counts(Model):
    """How often each remainder was there."""

    counts: Array


class CountState(Counts):
    """The same, and how far it is."""

    at: int


class Tallying(Divisible[Params, CountState, Counts, Pieces, CountState, Counts]):
    """Counts the remainders modulo 5 of the squares up to a limit."""

    name = "tallying"
    Params, State, Result = Params, CountState, Counts
    Plan, PartState, Partial = Pieces, CountState, Counts
    plan, pieces, share = Dividing.plan, Dividing.pieces, Dividing.share
    run, progress, conclude = Harmonic.run, Harmonic.progress, Harmonic.conclude

    def part(
        self, plan: Pieces, first: int, last: int, state: CountState | None, resources: Resources
    ) -> Generator[CountState, None, Counts]:
        counts = state.counts if state else np.zeros(5, "i4")
        for at in range(
            state.at if state else STEPS_A_PIECE * first, min(STEPS_A_PIECE * last, plan.steps)
        ):
            counts[at * at % 5] += 1
            yield CountState(at=at + 1, counts=counts)
        return Counts(counts=counts)

    def combine(self, plan: Pieces, a: Counts, b: Counts) -> Counts:
        return Counts(counts=a.counts + b.counts)


class InPlace(Tallying):
    """Adds to the array of the first partial."""

    def combine(self, plan: Pieces, a: Counts, b: Counts) -> Counts:
        np.add(a.counts, b.counts, out=a.counts)
        return a


class Widening(Tallying):
    """Combines to an array of another type."""

    def combine(self, plan: Pieces, a: Counts, b: Counts) -> Counts:
        return Counts(counts=a.counts.astype("i8") + b.counts)


class Swapping(Tallying):
    """Mixes up two counts where two parts are combined."""

    def combine(self, plan: Pieces, a: Counts, b: Counts) -> Counts:
        return Counts(counts=a.counts + b.counts[::-1])


def test_partials_may_have_arrays() -> None:
    """A histogram over a million items could not be shared, or an author find no fault in it."""
    result = assert_divisible(Tallying(), STEPS, **LESS)
    assert result.counts.tolist() == [4, 8, 0, 0, 8]


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (InPlace(), r"combine changes its first partial, the bytes of counts in .*int32\[5\]"),
        (Widening(), r"cut at \d: its result is .*int64\[5\].* instead of .*int32\[5\]"),
        (Swapping(), r"cut at \d: its result has other bytes in counts"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Divisible) else "",
)
@pytest.mark.usefixtures("_no_interpreter")
def test_arrays_are_compared_by_type_and_bytes(kernel: Tallying, message: str) -> None:
    """Its jobs would end in other arrays when they are shared."""
    with pytest.raises(AssertionError, match=message):
        assert_divisible(kernel, STEPS, **LESS)

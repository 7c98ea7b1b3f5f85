"""The kernel `lucas-lehmer`: a long chain of squarings, each of the result of the one before."""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING, Annotated

from pydantic import ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from outlast.kernel.contract import Estimate, Kernel, Model, Resources
from outlast.kernel.lucas_lehmer.arithmetic import arithmetic_for
from outlast.kernel.lucas_lehmer.cost import estimate_test
from outlast.kernel.lucas_lehmer.sequence import Sequence, Term

if TYPE_CHECKING:
    from collections.abc import Generator

LARGEST_EXPONENT = 10**8
"""Its state is 34 MB as JSON; a squaring takes about a second, and the process some 200 MB."""

CHECK_TERMS = 10_000
"""Terms between two Jacobi checks, so many an error costs. A check takes as long as 40 terms."""

CALIBRATION_EXPONENT = 31_607
"""Its test takes about a second."""

MAX_ERRORS = 10
"""A machine that errs more often cannot be trusted."""


class LucasLehmerParams(Model):
    """Which Mersenne number to test."""

    exponent: Annotated[
        int,
        Field(ge=3, le=LARGEST_EXPONENT, description="test whether 2^exponent - 1 is prime"),
    ]

    @field_validator("exponent")
    @classmethod
    def _check_prime(cls, exponent: int) -> int:
        for divisor in range(2, isqrt(exponent) + 1):
            if exponent % divisor == 0:
                raise PydanticCustomError(
                    "composite_exponent",
                    "2^{exponent} - 1 is divisible by 2^{divisor} - 1; give a prime exponent",
                    {"exponent": exponent, "divisor": divisor},
                )
        return exponent


class LucasLehmerState(Model):
    """How far the test is.

    Attributes:
        newest: the last term.
        checked: the last term that passed the Jacobi check, or the first. After an error the test
            goes back to it.
        errors: how often the test went back.
    """

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    newest: Term
    checked: Term
    errors: Annotated[int, Field(ge=0)] = 0


class LucasLehmerResult(Model):
    """Whether 2^exponent - 1 is prime.

    Attributes:
        residue: the lowest 64 bits of the last term, as 16 hexadecimal digits: two correct tests of
            a number have the same. All are 0 for a prime.
        errors: how many errors of the machine the test has found, and corrected by going back.
    """

    exponent: int
    is_prime: bool
    residue: str
    errors: int


class LucasLehmer(Kernel[LucasLehmerParams, LucasLehmerState, LucasLehmerResult]):
    """Whether the Mersenne number 2^exponent - 1 is prime."""

    name = "lucas-lehmer"
    version = 1
    Params = LucasLehmerParams
    State = LucasLehmerState
    Result = LucasLehmerResult

    def require(self, params: LucasLehmerParams) -> None:
        """Ask for gmpy2 where the exponent needs it."""
        arithmetic_for(params.exponent)

    def run(
        self,
        params: LucasLehmerParams,
        state: LucasLehmerState | None,
        resources: Resources,  # noqa: ARG002 - one thread, and memory that follows from the exponent
    ) -> Generator[LucasLehmerState, None, LucasLehmerResult]:
        """Yield after each stretch of squarings, which takes some 10 ms, and after each check.

        Raises:
            ArithmeticError: the Jacobi check failed for the eleventh time.
        """
        sequence, last = Sequence(params.exponent), params.exponent - 2
        if state is None:
            state = LucasLehmerState(newest=sequence.first, checked=sequence.first)
        while state.checked.index < last:
            state = _next(sequence, state, last)
            yield state
        low = int.from_bytes(state.checked.residue[:8], "little")
        return LucasLehmerResult(
            exponent=params.exponent,
            is_prime=not any(state.checked.residue),
            residue=f"{low:016X}",
            errors=state.errors,
        )

    def progress(self, params: LucasLehmerParams, state: LucasLehmerState) -> float:
        """Return the share of the squarings that are done."""
        return state.newest.index / (params.exponent - 2)

    def prepare(self, params: LucasLehmerParams | None) -> None:
        """Import gmpy2 where it is installed."""
        arithmetic_for(params.exponent if params else 3)

    def estimate(self, params: LucasLehmerParams) -> Estimate:
        """Return what the test takes where gmpy2 is installed."""
        return estimate_test(params.exponent, check_terms=CHECK_TERMS)

    def calibration(self) -> LucasLehmerParams:
        """Return a test of about a second; without gmpy2 it takes several."""
        return LucasLehmerParams(exponent=CALIBRATION_EXPONENT)


def _next(sequence: Sequence, state: LucasLehmerState, last: int) -> LucasLehmerState:
    """Return the state after another stretch, or after a check where one is due."""
    newest, checked = state.newest, state.checked
    due = min(checked.index + CHECK_TERMS, last)
    if newest.index < due:
        count = min(sequence.stretch, due - newest.index)
        return state.model_copy(update={"newest": sequence.after(newest, count)})
    if sequence.is_sound(newest):
        return state.model_copy(update={"checked": newest})
    if state.errors == MAX_ERRORS:
        raise ArithmeticError(
            f"the Jacobi check failed {MAX_ERRORS + 1} times: this machine cannot be trusted"
        )
    return LucasLehmerState(newest=checked, checked=checked, errors=state.errors + 1)

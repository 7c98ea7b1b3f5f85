"""A kernel that divides, and whose parts come to arrays."""

# ruff: noqa: ARG002 - a kernel's methods have the parameters of the contract
from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.kernel import Blob, Model
from tests.kernels import Dividing, Params, Pieces, Result
from tests.worker.parts import STEPS

if TYPE_CHECKING:
    from collections.abc import Generator


class Row(Model):
    """A byte for each step."""

    row: Blob


class RowState(Model):
    """The bytes so far."""

    row: Blob


class Rows(Dividing):
    """Its parts come to a byte a step, its result to their sum."""

    PartState, Partial = RowState, Row  # type: ignore[assignment]

    def part(  # type: ignore[override]
        self, plan: Pieces, first: int, last: int, state: RowState | None, resources: object
    ) -> Generator[RowState, None, Row]:
        """Take one step after another."""
        row = state.row if state else b""
        for at in range(first + len(row), last):
            self.step(at)
            row += bytes([at % 251])
            yield RowState(row=row)
        return Row(row=row)

    def combine(self, plan: Pieces, a: Row, b: Row) -> Row:  # type: ignore[override]
        """Join both."""
        return Row(row=a.row + b.row)

    def conclude(self, params: Params, plan: Pieces, total: Row) -> Result:  # type: ignore[override]
        """Return the sum of the bytes, each times its place."""
        return Result(total=sum(at * byte for at, byte in enumerate(total.row)))


EXPECTED = {"total": sum(at * (at % 251) for at in range(STEPS))}

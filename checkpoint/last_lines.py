"""The last lines that a job's kernel printed and logged, as its record keeps them for people.

They ride on writes that are made anyway, and few are kept: a record must stay small. All others are
in the worker's log alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from outlast.checkpoint.fields import Moment, Number
from outlast.checkpoint.safe_text import printable, without_secrets

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_LINES = 20
LINE_CHARACTERS = 160

# When it was printed, in which slice, and its text. As rows, for the reason of `History`.
Line = tuple[Moment, Number, Annotated[str, Field(max_length=LINE_CHARACTERS)]]
Lines = Annotated[tuple[Line, ...], Field(max_length=MAX_LINES)]


def line_of(at: float, slice_number: int, text: str) -> Line:
    """Return a line as it is kept: cut, and with nothing in it that a terminal or JSON obeys."""
    shown = printable(without_secrets(text[:LINE_CHARACTERS]).expandtabs())
    return at, slice_number, shown[:LINE_CHARACTERS]


def with_fresh(kept: tuple[Line, ...], fresh: Sequence[Line]) -> tuple[Line, ...]:
    """Return the last of both, where `fresh` are all lines so far of the slice that runs."""
    if not fresh:
        return kept
    before = tuple(line for line in kept if line[1] < fresh[0][1])
    return (*before, *fresh)[-MAX_LINES:]

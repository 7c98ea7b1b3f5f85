"""Generators that stop at safe points, and how to run one."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator

R = TypeVar("R")
S = TypeVar("S")


def finish(steps: Generator[object, None, R]) -> R:
    """Run to the end without a stop and return the result."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


def at_each(steps: Generator[object, None, R], state: S) -> Generator[S, None, R]:
    """Yield `state` wherever `steps` yields anything, and return its result."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        yield state

"""The tables of the last computation in this process, for its next slice or part."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from outlast.kernel.nth_prime.gourdon.tables import build

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from outlast.kernel.nth_prime.gourdon.bounds import Bounds
    from outlast.kernel.nth_prime.gourdon.tables import Tables


class GrowingTables:
    """The tables of one computation: none, half built, or whole up to some limit."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._limit = 0
        self._whole: Tables | None = None

    def up_to(self, limit: int) -> Generator[None, None, Tables]:
        """Return tables that hold π up to `limit` or more: build, or go on to, what is missing."""
        if self._limit < limit:
            self._limit = limit
            self._steps = build(self.bounds, limit, self._whole)
            self._whole = None
        while self._whole is None:
            try:
                next(self._steps)
            except StopIteration as end:
                self._whole = end.value
            else:
                yield
        return self._whole


_KEPT: list[GrowingTables] = []
"""At most one. Who uses them takes them out: no two computations share what is half built."""


@contextmanager
def tables_of(bounds: Bounds) -> Iterator[GrowingTables]:
    """Take the tables that are kept, if they are of this computation, and keep them at the end.

    After an error they are dropped, as it may have been one in building them.
    """
    try:
        tables = _KEPT.pop()
    except IndexError:
        tables = GrowingTables(bounds)
    if tables.bounds != bounds:
        tables = GrowingTables(bounds)
    try:
        yield tables
    except GeneratorExit:
        _KEPT[:] = [tables]
        raise
    _KEPT[:] = [tables]


def forget() -> None:
    """Drop the tables that are kept."""
    _KEPT.clear()

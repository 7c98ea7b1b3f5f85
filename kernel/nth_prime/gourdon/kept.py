"""What a kernel keeps in memory of its last computation, for the next slice or part."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from outlast.kernel.nth_prime.gourdon.rows import Rows

V = TypeVar("V")


class _Place(Generic[V]):
    """Room for one thing: none, half built, or whole."""

    def __init__(self) -> None:
        self._key: object = None
        self._steps: Generator[None, None, V] | None = None
        self._value: V

    def get(
        self, key: object, build: Callable[[], Generator[None, None, V]]
    ) -> Generator[None, None, V]:
        """Return what is there by this key, else build it, or go on to; what was there goes."""
        if self._key != key:
            self._key, self._steps = key, build()
            self.__dict__.pop("_value", None)
        while self._steps is not None:
            try:
                next(self._steps)
            except StopIteration as end:
                self._value, self._steps = end.value, None
            else:
                yield
        return self._value


class Tables:
    """The rows of one computation, and the tables of one term alone."""

    def __init__(self) -> None:
        self.rows: _Place[Rows] = _Place()
        self.term: _Place[Any] = _Place()


class Kept:
    """Tables between two slices or parts, or none.

    Who uses them takes them out: no two computations share what is half built.
    """

    def __init__(self) -> None:
        self._tables: list[Tables] = []

    @contextmanager
    def tables(self) -> Iterator[Tables]:
        """Take the tables, and keep them at the end.

        After an error they are dropped, as it may have been one in building them.
        """
        try:
            tables = self._tables.pop()
        except IndexError:
            tables = Tables()
        try:
            yield tables
        except GeneratorExit:
            self._tables[:] = [tables]
            raise
        self._tables[:] = [tables]

    def forget(self) -> None:
        """Drop the tables."""
        self._tables.clear()

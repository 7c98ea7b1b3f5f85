"""What an isolated kernel yields in place of a state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import BaseModel

    from outlast.kernel.bulk import Stored


class Held(ABC):
    """The newest state of an isolated kernel, as long as that has not gone on.

    All methods raise what is raised there, and Crashed where there is no answer.
    """

    @abstractmethod
    def bulk_bytes(self) -> int:
        """Return the size of its arrays."""

    @abstractmethod
    def progress(self) -> float:
        """Return what the kernel says of its progress."""

    @abstractmethod
    def metrics(self) -> Mapping[str, float]:
        """Return the kernel's own figures of it."""

    @abstractmethod
    def stored(self, max_bytes: int, row: Callable[[int], memoryview | None]) -> Stored:
        """Return what `stored_state` does for it, with its arrays in `row`."""


class Busy:
    """Yielded in place of a state while a step still runs."""


BUSY = Busy()

# What a slice has of a state.
Yielded: TypeAlias = "BaseModel | Held"

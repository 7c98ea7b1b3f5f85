"""What a computation offers beside `run` so that many workers can share one job of it."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import BaseModel

from outlast.kernel.contract import Kernel, P, R, Resources, S

if TYPE_CHECKING:
    from collections.abc import Generator

L = TypeVar("L", bound=BaseModel)
Q = TypeVar("Q", bound=BaseModel)
T = TypeVar("T", bound=BaseModel)


class Divisible(Kernel[P, S, R], Generic[P, S, R, L, T, Q]):
    """A kernel whose work is a row of pieces, which may be computed anywhere and in any order.

    It runs alone as any kernel does, and with the same result. As a job for several workers its
    pieces are cut into *parts*, ranges of neighbouring ones; each part comes to a *partial*, and
    neighbouring partials are combined two by two, in any grouping, until one is left. No method
    knows of other parts, or of how many workers there are.

    `run` and `part` compute: they are called after `prepare`, in the child process where the kernel
    is isolated. The other methods are short, and called in the worker's own process, without
    `prepare`.

    The class attributes `Plan`, `PartState` and `Partial` are pydantic models, as the others are.

    Attributes:
        Plan: all that fixes what the pieces are. It is made once and stored, so that every machine
            has the same.
        PartState: how far one part is.
        Partial: what the pieces of a part come to.
    """

    Plan: type[L]
    PartState: type[T]
    Partial: type[Q]

    @abstractmethod
    def plan(self, params: P) -> L:
        """Return what fixes the pieces of a job, such as the list of all items.

        It is called once for a job, outside of any step: it should take seconds at most.
        """

    @abstractmethod
    def pieces(self, plan: L) -> int:
        """Return how many pieces there are, at least 1. They are numbered from 0."""

    @abstractmethod
    def share(self, plan: L, first: int) -> float:
        """Return the share of the work that lies before piece `first`, from 0 to 1.

        It never falls as `first` grows from 0, where it is 0, to the number of pieces, where it is
        1. By it alone parts are cut, each for about the same time, and the progress is told.
        """

    @abstractmethod
    def part(
        self, plan: L, first: int, last: int, state: T | None, resources: Resources
    ) -> Generator[T, None, Q]:
        """Yield the state at every safe point; return what the pieces first to last - 1 come to.

        There is at least one. All that `run` promises is asked of this as well.
        """

    def next_piece(
        self,
        plan: L,  # noqa: ARG002 - for those that override this
        state: T,  # noqa: ARG002
    ) -> int | None:
        """Return the first piece that is not done in the state of a part; None: it does not tell.

        By this and `share` people see how far a part is; nothing else depends on it.
        """
        return None

    @abstractmethod
    def combine(self, plan: L, a: Q, b: Q) -> Q:
        """Return what two ranges of pieces come to together; that of `b` begins where `a` ends.

        It takes no longer than a step. Neither `a` nor `b` is changed.
        """

    @abstractmethod
    def conclude(self, params: P, plan: L, total: Q) -> S | R:
        """Return the result, where `total` is what all pieces come to.

        Or return a state from which `run` goes on to the result, on one worker, if something is
        left that cannot be divided.
        """

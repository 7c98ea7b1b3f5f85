"""How both kernels divide: the count of primes, which is nearly all of their time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from outlast.kernel.contract import Model, P, R, Resources
from outlast.kernel.divisible import Divisible
from outlast.kernel.nth_prime.cursor import START
from outlast.kernel.nth_prime.gourdon import parts, work
from outlast.kernel.nth_prime.gourdon.bounds import divide, fitting_threads
from outlast.kernel.nth_prime.gourdon.kept import Kept
from outlast.kernel.nth_prime.gourdon.state import (
    Counting,
    CountingPart,
    CountingSum,
    Division,
    Natural,
    WrongState,
)
from outlast.kernel.nth_prime.state import PrimesState

if TYPE_CHECKING:
    from collections.abc import Generator

BEGINNING = PrimesState(word=START.word, count=START.count)
"""Where the plain sieve begins: it answers sooner than its work could be divided."""


class PrimesPlan(Model):
    """What fixes the pieces of a job.

    Attributes:
        division: how the count by Gourdon's formula is divided; None: the plain sieve does it all
            once the one piece, which is nothing, is done.
        word: from where `nth-prime` is to search, as in its state.
    """

    division: Division | None = None
    word: Natural = 0


class Divided(Divisible[P, PrimesState, R, PrimesPlan, CountingPart, CountingSum], Generic[P, R]):
    """What does not depend on why primes are counted."""

    version = 2
    State = PrimesState
    Plan = PrimesPlan
    PartState = CountingPart
    Partial = CountingSum

    def __init__(self) -> None:
        self._kept = Kept()

    def count(
        self, state: PrimesState, counting: Counting, resources: Resources
    ) -> Generator[PrimesState, None, int]:
        """Return what a state is counting. Yields the state after every few milliseconds of work.

        While tables are rebuilt, the same state is yielded again and again.
        """
        from outlast.kernel.nth_prime.gourdon import engine

        threads = fitting_threads(counting.division, resources)
        steps = engine.count(counting, threads, self._kept)
        while True:
            try:
                done = next(steps)
            except StopIteration as end:
                return int(end.value)
            if done is not state.counting:
                state = PrimesState.model_construct(counting=done, word=state.word, count=0)
            yield state

    def migrate(self, state: dict[str, Any], version: int) -> dict[str, Any]:
        """Return a state of version 1 in today's format: a count begins again, a search goes on."""
        if version != 1:
            return super().migrate(state, version)
        if state["counting"] is not None:
            state["counting"] = {"division": divide(state["counting"]["x"]).model_dump()}
        return state

    def pieces(self, plan: PrimesPlan) -> int:
        """Return how many pieces there are."""
        return parts.pieces_of(plan.division) if plan.division else 1

    def share(self, plan: PrimesPlan, first: int) -> float:
        """Return the share of the time before a piece, by the model in `gourdon.work`."""
        return work.share(plan.division, first) if plan.division else float(first)

    def part(
        self,
        plan: PrimesPlan,
        first: int,
        last: int,
        state: CountingPart | None,
        resources: Resources,
    ) -> Generator[CountingPart, None, CountingSum]:
        """Yield after every few milliseconds of work; return what the pieces come to.

        While tables are rebuilt, the same state is yielded again and again.
        """
        if plan.division is None:
            return _nothing(first, last)
        from outlast.kernel.nth_prime.gourdon import engine

        threads = fitting_threads(plan.division, resources)
        return (yield from engine.part(plan.division, first, last, state, threads, self._kept))

    def combine(self, plan: PrimesPlan, a: CountingSum, b: CountingSum) -> CountingSum:
        """Return what two neighbouring ranges come to together."""
        if plan.division is None:
            raise WrongState("two parts of a job that has 1 piece")
        return parts.combine(plan.division, a, b)


def counting_share(counting: Counting) -> float:
    """Return the share of the time of a count that is over, by the model in `gourdon.work`."""
    return work.share(counting.division, counting.part.cursor)


def _nothing(first: int, last: int) -> CountingSum:
    """Return what the one piece of a job comes to that is not worth dividing."""
    if (first, last) != (0, 1):
        raise WrongState(f"the job has 1 piece, not those from {first} to {last}")
    return CountingSum(first=first, last=last)

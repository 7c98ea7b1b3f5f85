"""How both kernels divide: the count of primes, which is nearly all of their time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic

from outlast.kernel.contract import Model, P, R, Resources
from outlast.kernel.divisible import Divisible
from outlast.kernel.nth_prime.cursor import START
from outlast.kernel.nth_prime.gourdon import parts, work
from outlast.kernel.nth_prime.gourdon.bounds import fitting_threads
from outlast.kernel.nth_prime.gourdon.parts import CountingPart, CountingSum, Division
from outlast.kernel.nth_prime.gourdon.state import Natural, WrongState
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

    State = PrimesState
    Plan = PrimesPlan
    PartState = CountingPart
    Partial = CountingSum

    def pieces(self, plan: PrimesPlan) -> int:
        """Return how many pieces there are."""
        return sum(parts.by_term(plan.division).values()) if plan.division else 1

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
        return (yield from engine.part(plan.division, first, last, state, threads))

    def combine(self, plan: PrimesPlan, a: CountingSum, b: CountingSum) -> CountingSum:
        """Return what two neighbouring ranges come to together."""
        if plan.division is None:
            raise WrongState("two parts of a job that has 1 piece")
        return parts.combine(plan.division, a, b)


def _nothing(first: int, last: int) -> CountingSum:
    """Return what the one piece of a job comes to that is not worth dividing."""
    if (first, last) != (0, 1):
        raise WrongState(f"the job has 1 piece, not those from {first} to {last}")
    return CountingSum(first=first, last=last)

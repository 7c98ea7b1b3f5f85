"""The kernel `prime-count`: how many primes there are up to x."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from outlast.kernel.nth_prime import cost, extra, plain
from outlast.kernel.nth_prime.cursor import NUMBERS_PER_WORD
from outlast.kernel.nth_prime.divided import (
    BEGINNING,
    Divided,
    PrimesPlan,
    Terse,
    Verify,
    counting_share,
    divisions_of,
    verified,
)
from outlast.kernel.nth_prime.gourdon import parts
from outlast.kernel.nth_prime.gourdon.bounds import X_LIMIT
from outlast.kernel.nth_prime.gourdon.state import Counting, WrongState
from outlast.kernel.nth_prime.state import PrimesState, cursor_of, stored

if TYPE_CHECKING:
    from collections.abc import Generator

    from outlast.kernel.contract import Estimate, Resources
    from outlast.kernel.nth_prime.gourdon.state import CountingSum


class PrimeCountParams(Terse):
    """Up to where to count."""

    x: Annotated[
        int, Field(ge=0, lt=X_LIMIT, description="count the primes up to this number, below 2^80")
    ]
    verify: Verify = False


class PrimeCountResult(Terse):
    """The number of primes up to x.

    Attributes:
        verified: what the count was checked by, beside Riemann's R(x); None: it was not to be
            verified, or a plain sieve has answered.
    """

    x: int
    count: int
    verified: str | None = None


class PrimeCount(Divided[PrimeCountParams, PrimeCountResult]):
    """π(x), the number of primes up to x."""

    name = "prime-count"
    Params = PrimeCountParams
    Result = PrimeCountResult

    def run(
        self, params: PrimeCountParams, state: PrimesState | None, resources: Resources
    ) -> Generator[PrimesState, None, PrimeCountResult]:
        """Yield after every few milliseconds of work; return the count.

        While tables are rebuilt, the same state is yielded again and again.
        """
        x = params.x
        if x <= plain.LARGEST_NUMBER:
            cursor = cursor_of(state)
            if NUMBERS_PER_WORD * cursor.word > x:
                raise WrongState(f"a state beyond {x}, up to where primes are counted")
            return PrimeCountResult(x=x, count=(yield from stored(plain.count(x, cursor))))
        if state is None:
            counting = Counting(divisions=divisions_of(x, verify=params.verify))
            state = PrimesState(counting=counting, word=0, count=0)
            yield state
        if state.counting is None or state.counting.divisions[0].x != x:
            raise WrongState(f"a state of another job than to count up to {x}")
        count = yield from self.count(state, state.counting, resources)
        return PrimeCountResult(x=x, count=count, verified=verified(state.counting.divisions))

    def progress(self, params: PrimeCountParams, state: PrimesState) -> float:
        """Return the share of the time that is over, roughly."""
        if state.counting is not None:
            return counting_share(state.counting)
        return min(NUMBERS_PER_WORD * state.word / max(params.x, 1), 1.0)

    def plan(self, params: PrimeCountParams) -> PrimesPlan:
        """Return how the count is divided: not at all up to plain.LARGEST_NUMBER."""
        if params.x <= plain.LARGEST_NUMBER:
            return PrimesPlan()
        return PrimesPlan(divisions=divisions_of(params.x, verify=params.verify))

    def conclude(
        self, params: PrimeCountParams, plan: PrimesPlan, total: CountingSum
    ) -> PrimesState | PrimeCountResult:
        """Return the count; or where the plain sieve begins, if it is for it."""
        if not plan.divisions:
            return BEGINNING
        if plan.divisions[0].x != params.x:
            raise WrongState(f"a plan of another job than to count up to {params.x}")
        count = parts.counted(plan.divisions, total)
        return PrimeCountResult(x=params.x, count=count, verified=verified(plan.divisions))

    def require(self, params: PrimeCountParams) -> None:
        """Ask for the compiler where x needs it."""
        if params.x > plain.LARGEST_NUMBER:
            extra.require(f"{self.name}: an x above {plain.LARGEST_NUMBER:,}")

    def prepare(self, params: PrimeCountParams | None) -> None:
        """Compile what x needs: nothing up to plain.LARGEST_NUMBER."""
        if params.x > plain.LARGEST_NUMBER if params else extra.is_installed():
            from outlast.kernel.nth_prime.gourdon import engine

            engine.prepare(params.x if params else None)

    def estimate(self, params: PrimeCountParams) -> Estimate:
        """Return what the model of `outlast.kernel.nth_prime.cost` says."""
        return cost.of_count(params.x, verify=params.verify)

    def calibration(self) -> PrimeCountParams:
        """Return an x that takes about a second."""
        return PrimeCountParams(x=2 * 10**15)

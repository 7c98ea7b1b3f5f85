"""The kernel `prime-count`: how many primes there are up to x."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from outlast.kernel.contract import Estimate, Kernel, Model, Resources
from outlast.kernel.nth_prime import cost, small
from outlast.kernel.nth_prime.gourdon.bounds import X_LEAST, X_LIMIT, begin, fitting_threads
from outlast.kernel.nth_prime.gourdon.state import Counting, WrongState

if TYPE_CHECKING:
    from collections.abc import Generator

_PURE_LIMIT = 10**6
"""Up to here, pure Python answers sooner than numba is imported."""


class PrimeCountParams(Model):
    """Up to where to count."""

    x: Annotated[
        int, Field(ge=0, lt=X_LIMIT, description="count the primes up to this number, below 2^66")
    ]


class PrimeCountResult(Model):
    """The number of primes up to x."""

    x: int
    count: int


class PrimeCount(Kernel[PrimeCountParams, Counting, PrimeCountResult]):
    """π(x), the number of primes up to x."""

    name = "prime-count"
    version = 1
    Params = PrimeCountParams
    State = Counting
    Result = PrimeCountResult

    def run(
        self, params: PrimeCountParams, state: Counting | None, resources: Resources
    ) -> Generator[Counting, None, PrimeCountResult]:
        """Yield after every few milliseconds of work; return the count.

        While tables are rebuilt, the same state is yielded again and again.
        """
        x = params.x
        if x <= _PURE_LIMIT:
            return PrimeCountResult(x=x, count=small.prime_count(x))
        if x < X_LEAST:
            from outlast.kernel.nth_prime import sieve

            return PrimeCountResult(x=x, count=sieve.count(0, x + 1))
        from outlast.kernel.nth_prime.gourdon import engine

        if state is None:
            state = begin(x)
            yield state
        if state.x != x:
            raise WrongState(f"a state of x={state.x} is none of x={x}")
        count = yield from engine.count(state, fitting_threads(state, resources))
        return PrimeCountResult(x=x, count=count)

    def progress(self, params: PrimeCountParams, state: Counting) -> float:  # noqa: ARG002
        """Return the share of the time that is over, roughly."""
        return state.progress()

    def prepare(self, params: PrimeCountParams | None) -> None:
        """Compile what x needs: nothing if it is small."""
        if params is None or _PURE_LIMIT < params.x < X_LEAST:
            from outlast.kernel.nth_prime import sieve

            sieve.count(X_LEAST - 1, X_LEAST)  # a moment, once it is compiled
        if params is None or params.x >= X_LEAST:
            from outlast.kernel.nth_prime.gourdon import engine

            engine.prepare(params.x if params else None)

    def estimate(self, params: PrimeCountParams) -> Estimate:
        """Return what the model of `outlast.kernel.nth_prime.cost` says."""
        return cost.of_count(params.x)

    def calibration(self) -> PrimeCountParams:
        """Return an x that takes about a second."""
        return PrimeCountParams(x=2 * 10**15)

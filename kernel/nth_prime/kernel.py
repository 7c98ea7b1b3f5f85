"""The kernel `nth-prime`: estimate the prime, count the primes below, and search from there."""

from __future__ import annotations

from functools import cache
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
from outlast.kernel.nth_prime.gourdon import parts, riemann
from outlast.kernel.nth_prime.gourdon.state import Counting, WrongState
from outlast.kernel.nth_prime.state import PrimesState, cursor_of, stored

if TYPE_CHECKING:
    from collections.abc import Generator

    from outlast.kernel.contract import Estimate, Resources
    from outlast.kernel.nth_prime.gourdon.state import CountingSum, Division

LARGEST_POSITION = 10**22
"""Its prime is 5.4·10^23, well below the 2^80 up to which primes can be counted."""

_MOST_COMPILED = 1 << 43


class NthPrimeParams(Terse):
    """Which prime: the first is 2."""

    position: Annotated[
        int,
        Field(ge=1, le=LARGEST_POSITION, description="which prime to find; the first one is 2"),
    ]
    verify: Verify = False


class NthPrimeResult(Terse):
    """The prime at the position.

    Attributes:
        verified: what the count of the primes below was checked by, beside Riemann's R(x); None: it
            was not to be verified, or a plain sieve has answered.
    """

    position: int
    prime: int
    verified: str | None = None


class NthPrime(Divided[NthPrimeParams, NthPrimeResult]):
    """The n-th prime, p_1 = 2."""

    name = "nth-prime"
    Params = NthPrimeParams
    Result = NthPrimeResult

    def run(
        self, params: NthPrimeParams, state: PrimesState | None, resources: Resources
    ) -> Generator[PrimesState, None, NthPrimeResult]:
        """Yield after every few milliseconds of work; return the prime.

        While tables are rebuilt, the same state is yielded again and again.
        """
        n = params.position
        if n <= plain.LARGEST_POSITION:
            prime = yield from stored(plain.find(n, cursor_of(state)))
            return NthPrimeResult(position=n, prime=prime)
        if state is None:
            word, divisions = _estimate(params)
            state = PrimesState(counting=Counting(divisions=divisions), word=word, count=0)
            yield state
        if state.counting is not None:
            state = yield from self._counted(state, state.counting, resources)
            yield state
        from outlast.kernel.nth_prime import sieve

        steps = stored(sieve.find(n, cursor_of(state)), state.verified)
        return NthPrimeResult(position=n, prime=(yield from steps), verified=state.verified)

    def _counted(
        self, state: PrimesState, counting: Counting, resources: Resources
    ) -> Generator[PrimesState, None, PrimesState]:
        """Return the state in which it is known how many primes lie below the word."""
        _check_word(state.word, counting.divisions)
        count = yield from self.count(state, counting, resources)
        return PrimesState(word=state.word, count=count, verified=verified(counting.divisions))

    def progress(self, params: NthPrimeParams, state: PrimesState) -> float:
        """Return the share of the time that is over, roughly."""
        if params.position <= plain.LARGEST_POSITION:
            return min(state.count / params.position, 1.0)
        counted = counting_share(state.counting) if state.counting else 1.0
        return cost.counting_share(params.position) * counted

    def plan(self, params: NthPrimeParams) -> PrimesPlan:
        """Return how the count is divided: not at all up to plain.LARGEST_POSITION."""
        if params.position <= plain.LARGEST_POSITION:
            return PrimesPlan()
        word, divisions = _estimate(params)
        return PrimesPlan(divisions=divisions, word=word)

    def conclude(
        self,
        params: NthPrimeParams,  # noqa: ARG002 - the plan says all of it
        plan: PrimesPlan,
        total: CountingSum,
    ) -> PrimesState:
        """Return the state in which it is known how many primes lie below, to search from there."""
        if not plan.divisions:
            return BEGINNING
        _check_word(plan.word, plan.divisions)
        count = parts.counted(plan.divisions, total)
        return PrimesState(word=plan.word, count=count, verified=verified(plan.divisions))

    def require(self, params: NthPrimeParams) -> None:
        """Ask for the compiler where the position needs it."""
        if params.position > plain.LARGEST_POSITION:
            extra.require(f"{self.name}: a position above {plain.LARGEST_POSITION:,}")

    def prepare(self, params: NthPrimeParams | None) -> None:
        """Compile what the position needs: nothing up to plain.LARGEST_POSITION."""
        if params is not None and params.position <= plain.LARGEST_POSITION:
            return
        if params is None and not extra.is_installed():
            return  # Then no job that runs here needs it.
        # Not at the top: they import numba, in which time a small position is answered twice.
        from outlast.kernel.nth_prime import sieve
        from outlast.kernel.nth_prime.gourdon import engine

        if params is None:
            sieve.prepare()
            engine.prepare(None)
            return
        near = int(riemann.near_prime(params.position))
        _compile_sieve(near.bit_length())
        engine.prepare(near)

    def estimate(self, params: NthPrimeParams) -> Estimate:
        """Return what the model of `outlast.kernel.nth_prime.cost` says."""
        return cost.of_prime(params.position, verify=params.verify)

    def calibration(self) -> NthPrimeParams:
        """Return the position of a prime that takes about a second."""
        return NthPrimeParams(position=10**14)


@cache
def _compile_sieve(bits: int) -> None:
    """Compile what sieving near a number of so many bits needs, once in a process."""
    from outlast.kernel.nth_prime import sieve

    # In between the code is the same, and only the primes to sieve with are more.
    height = 1 << (bits - 1)
    sieve.after(height if height >= riemann.FAR else min(height, _MOST_COMPILED), 1)


def _estimate(params: NthPrimeParams) -> tuple[int, tuple[Division, ...]]:
    """Return (word, how what lies below is counted): there the prime is expected."""
    word = riemann.nth_prime(params.position) // NUMBERS_PER_WORD
    return word, divisions_of(NUMBERS_PER_WORD * word - 1, verify=params.verify)


def _check_word(word: int, divisions: tuple[Division, ...]) -> None:
    if divisions[0].x != NUMBERS_PER_WORD * word - 1:
        raise WrongState("a state that counts up to another number than it searches from")

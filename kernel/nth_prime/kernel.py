"""The kernel `nth-prime`: estimate the prime, count the primes below, and sieve on to it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from outlast.kernel.contract import Estimate, Kernel, Model, Resources
from outlast.kernel.nth_prime import cost, small
from outlast.kernel.nth_prime.gourdon import riemann
from outlast.kernel.nth_prime.gourdon.bounds import begin, fitting_threads
from outlast.kernel.nth_prime.gourdon.state import Counting, Natural, WrongState

if TYPE_CHECKING:
    from collections.abc import Generator

LARGEST_POSITION = 10**18
"""Its prime is 4.4·10^19, well below the 2^66 up to which primes can be counted."""

SIEVED_POSITION = 6 * 10**6
"""Up to here, where Gourdon's algorithm does not hold yet, all primes are sieved."""

_MOST_COMPILED_BITS = 44
_COUNTING_SHARE = 0.93


class NthPrimeParams(Model):
    """Which prime: the first is 2."""

    position: Annotated[
        int,
        Field(ge=1, le=LARGEST_POSITION, description="which prime to find; the first one is 2"),
    ]


class NthPrimeState(Model):
    """How far the search is.

    Attributes:
        counting: the computation of how many primes lie below the number 240 `word`, while it is
            under way; None before and after.
        word: where the search is.
        count: how many primes lie below; 0 while `counting`.
    """

    counting: Counting | None = None
    word: Natural
    count: Natural


class NthPrimeResult(Model):
    """The prime at the position."""

    position: int
    prime: int


class NthPrime(Kernel[NthPrimeParams, NthPrimeState, NthPrimeResult]):
    """The n-th prime, p_1 = 2."""

    name = "nth-prime"
    version = 1
    Params = NthPrimeParams
    State = NthPrimeState
    Result = NthPrimeResult

    def run(
        self, params: NthPrimeParams, state: NthPrimeState | None, resources: Resources
    ) -> Generator[NthPrimeState, None, NthPrimeResult]:
        """Yield after every few milliseconds of work; return the prime.

        While tables are rebuilt, the same state is yielded again and again.
        """
        n = params.position
        if n <= small.LARGEST_POSITION:
            return NthPrimeResult(position=n, prime=small.nth_prime(n))
        if state is None and n > SIEVED_POSITION:
            state = _estimate(n)
            yield state
        if state is not None and state.counting is not None:
            if state.counting.x != 240 * state.word - 1:
                raise WrongState("a state that counts up to another number than it searches from")
            threads = fitting_threads(state.counting, resources)
            state = yield from _count(state, state.counting, threads)
            yield state
        return NthPrimeResult(position=n, prime=(yield from _search(n, state)))

    def progress(self, params: NthPrimeParams, state: NthPrimeState) -> float:
        """Return the share of the time that is over, roughly."""
        if state.counting is not None:
            return _COUNTING_SHARE * state.counting.progress()
        if params.position > SIEVED_POSITION:
            return _COUNTING_SHARE
        return min(state.count / params.position, 1.0)

    def prepare(self, params: NthPrimeParams | None) -> None:
        """Compile what the position needs: nothing up to small.LARGEST_POSITION."""
        if params is not None and params.position <= small.LARGEST_POSITION:
            return
        # Not at the top: they import numba, in which time a small position is answered thrice.
        from outlast.kernel.nth_prime import sieve
        from outlast.kernel.nth_prime.gourdon import engine

        if params is None:
            sieve.prepare()
            engine.prepare(None)
            return
        near = riemann.nth_prime(params.position)
        _compile_sieve(near.bit_length())
        if params.position > SIEVED_POSITION:
            engine.prepare(near)

    def estimate(self, params: NthPrimeParams) -> Estimate:
        """Return what the model of `outlast.kernel.nth_prime.cost` says."""
        return cost.of_prime(params.position)

    def calibration(self) -> NthPrimeParams:
        """Return the position of a prime that takes about a second."""
        return NthPrimeParams(position=10**14)


@cache
def _compile_sieve(bits: int) -> None:
    """Compile what sieving near a number of so many bits needs, once in a process."""
    from outlast.kernel.nth_prime import sieve

    # Beyond this the code is the same, and only the primes to sieve with are more.
    sieve.after(1 << (min(bits, _MOST_COMPILED_BITS) - 1), 1)


def _estimate(n: int) -> NthPrimeState:
    """Return the state in which the counting begins: below where the prime is expected."""
    word = riemann.nth_prime(n) // 240
    return NthPrimeState(counting=begin(240 * word - 1), word=word, count=0)


def _count(
    state: NthPrimeState, counting: Counting, threads: int
) -> Generator[NthPrimeState, None, NthPrimeState]:
    """Return the state in which it is known how many primes lie below the word."""
    from outlast.kernel.nth_prime.gourdon import engine

    steps = engine.count(counting, threads)
    while True:
        try:
            counting = next(steps)
        except StopIteration as end:
            return NthPrimeState(word=state.word, count=int(end.value))
        yield NthPrimeState(counting=counting, word=state.word, count=0)


def _search(n: int, state: NthPrimeState | None) -> Generator[NthPrimeState, None, int]:
    """Return the n-th prime, by sieving up or down from the state's word; from 0 if it is None."""
    from outlast.kernel.nth_prime import sieve

    place = sieve.Place(state.word, state.count) if state else sieve.START
    if place.word:
        riemann.check(place.count, 240 * place.word - 1)
    elif place != sieve.START:
        raise WrongState(f"a state that has {place.count} primes where the search begins")
    steps = sieve.find(n, place)
    while True:
        try:
            place = next(steps)
        except StopIteration as end:
            return int(end.value)
        yield NthPrimeState(word=place.word, count=place.count)

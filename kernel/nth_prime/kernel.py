"""The kernel `nth-prime`: counts the primes block by block until the n-th is among them."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from kernel.contract import Kernel, Model, Resources
from kernel.nth_prime import small

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import ModuleType

LARGEST_POSITION = 10**12


class NthPrimeParams(Model):
    """Which prime: the first is 2."""

    position: Annotated[
        int,
        Field(ge=1, le=LARGEST_POSITION, description="which prime to find; the first one is 2"),
    ]


class NthPrimeState(Model):
    """How far the search has come: `count` primes lie below the number 240 `word`."""

    word: Annotated[int, Field(ge=0)]
    count: Annotated[int, Field(ge=0)]


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
        self,
        params: NthPrimeParams,
        state: NthPrimeState | None,
        resources: Resources,  # noqa: ARG002 - one thread and a few megabytes are enough
    ) -> Generator[NthPrimeState, None, NthPrimeResult]:
        """Yield after every few milliseconds of work; return the prime."""
        n = params.position
        prime = small.nth_prime(n) if _is_small(params) else (yield from _search(n, state))
        return NthPrimeResult(position=n, prime=prime)

    def progress(self, params: NthPrimeParams, state: NthPrimeState) -> float:
        """Return how far the search is on its way to where the prime must be."""
        return min(1.0, 240 * state.word / _estimate(params.position))

    def prepare(self, params: NthPrimeParams | None) -> None:
        """Compile the sieve, unless the position is so small that it is not used."""
        if params is None or not _is_small(params):
            _sieve().prepare()


def _sieve() -> ModuleType:
    # Not at the top: it imports numba, in which time a small position is answered thrice over.
    from kernel.nth_prime import sieve

    return sieve


def _search(n: int, state: NthPrimeState | None) -> Generator[NthPrimeState, None, int]:
    sieve = _sieve()
    start = sieve.Place(state.word, state.count) if state else sieve.START
    steps = sieve.find(n, start)
    while True:
        try:
            place = next(steps)
        except StopIteration as end:
            return int(end.value)
        yield NthPrimeState(word=place.word, count=place.count)


def _is_small(params: NthPrimeParams) -> bool:
    return params.position <= small.LARGEST_POSITION


def _estimate(n: int) -> float:
    """Return about the n-th prime, within a percent from n = 2 on (Cipolla, 1902)."""
    ln = log(max(n, 2))
    lnln = log(ln)
    return float(n * (ln + lnln - 1 + (lnln - 2) / ln))

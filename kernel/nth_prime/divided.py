"""How both kernels divide: the count of primes, which is nearly all of their time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Generic

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

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


# The second y, in percent of the first, and its segments: little slower.
_OTHER, _OTHER_WORDS = 80, 4096


Verify = Annotated[
    bool,
    Field(
        description="count twice, by other leaves, and compare, in twice the time; "
        "where a plain sieve answers it changes nothing"
    ),
]


class Terse(Model):
    """A model whose fields are left out of what is stored where they have their default."""

    @model_serializer(mode="wrap")
    def _without_defaults(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = whole(self)
        defaults = {name: field.default for name, field in type(self).model_fields.items()}
        return {name: value for name, value in fields.items() if value != defaults[name]}


class PrimesPlan(Model):
    """What fixes the pieces of a job.

    Attributes:
        divisions: how the count by Gourdon's formula is divided, twice where it is checked; none:
            the plain sieve does it all once the one piece, which is nothing, is done.
        word: from where `nth-prime` is to search, as in its state.
    """

    divisions: tuple[Division, ...] = ()
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

        threads = fitting_threads(counting.divisions, resources)
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
            counting = Counting(divisions=divisions_of(state["counting"]["x"]))
            state["counting"] = counting.model_dump()
        return state

    def pieces(self, plan: PrimesPlan) -> int:
        """Return how many pieces there are."""
        return parts.pieces_of(plan.divisions) if plan.divisions else 1

    def share(self, plan: PrimesPlan, first: int) -> float:
        """Return the share of the time before a piece, by the model in `gourdon.work`."""
        return work.share(plan.divisions, first) if plan.divisions else float(first)

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
        if not plan.divisions:
            return _nothing(first, last)
        from outlast.kernel.nth_prime.gourdon import engine

        threads = fitting_threads(plan.divisions, resources)
        return (yield from engine.part(plan.divisions, first, last, state, threads, self._kept))

    def next_piece(self, plan: PrimesPlan, state: CountingPart) -> int:  # noqa: ARG002
        """Return the first piece that is not done."""
        return state.cursor

    def combine(self, plan: PrimesPlan, a: CountingSum, b: CountingSum) -> CountingSum:
        """Return what two neighbouring ranges come to together."""
        if not plan.divisions:
            raise WrongState("two parts of a job that has 1 piece")
        return parts.combine(plan.divisions, a, b)


def counting_share(counting: Counting) -> float:
    """Return the share of the time of a count that is over, by the model in `gourdon.work`."""
    return work.share(counting.divisions, counting.part.cursor)


def divisions_of(x: int, *, verify: bool = False) -> tuple[Division, ...]:
    """Return how π(x) is counted; twice, by other leaves, to verify it."""
    first = divide(x)
    if not verify:
        return (first,)
    return first, divide(x, y=_OTHER * first.y // 100, d_words=_OTHER_WORDS)


def verified(divisions: tuple[Division, ...]) -> str | None:
    """Return what a count was checked by, beside Riemann's R(x); None: nothing."""
    if len(divisions) < 2:
        return None
    return "counted with " + " and with ".join(f"y = {one.y}" for one in divisions)


def _nothing(first: int, last: int) -> CountingSum:
    """Return what the one piece of a job comes to that is not worth dividing."""
    if (first, last) != (0, 1):
        raise WrongState(f"the job has 1 piece, not those from {first} to {last}")
    return CountingSum(first=first, last=last)

"""What both kernels store between two steps. Importing this imports no numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.kernel.contract import Model
from outlast.kernel.nth_prime.cursor import NUMBERS_PER_WORD, START, Cursor
from outlast.kernel.nth_prime.gourdon import riemann
from outlast.kernel.nth_prime.gourdon.state import Counting, Natural, WrongState

if TYPE_CHECKING:
    from collections.abc import Generator


class PrimesState(Model):
    """How far a search or a count is.

    Attributes:
        counting: the computation of π by Gourdon's formula while it is under way, else None.
        word: where the sieve is, or is to begin: at the number 240 `word`.
        count: how many primes lie below; 0 while `counting`.
        verified: what the count of what lies below was checked by; None: nothing.
    """

    counting: Counting | None = None
    word: Natural
    count: Natural
    verified: str | None = None


def cursor_of(state: PrimesState | None) -> Cursor:
    """Return where a sieve goes on; at the origin if there is no state, or one of a `counting`.

    Raises:
        WrongSum, WrongState: it cannot be that so many primes lie below.
    """
    if state is None or state.counting is not None:
        return START
    cursor = Cursor(state.word, state.count)
    if cursor.word:
        riemann.check(cursor.count, NUMBERS_PER_WORD * cursor.word - 1)
    elif cursor != START:
        raise WrongState(f"a state that has {cursor.count} primes where the search begins")
    return cursor


def stored(
    steps: Generator[Cursor, None, int], verified: str | None = None
) -> Generator[PrimesState, None, int]:
    """Run a sieve to its end; yield each cursor as a state."""
    while True:
        try:
            cursor = next(steps)
        except StopIteration as end:
            return int(end.value)
        yield PrimesState(word=cursor.word, count=cursor.count, verified=verified)

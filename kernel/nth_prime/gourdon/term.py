"""What the terms of Gourdon's formula have in common: shards, and how to add them up.

A term is a sum over *pieces*, numbered from 0. A shard is a range of pieces; its partial result
depends on nothing but the range, so shards may be computed anywhere and in any order. Where a
piece would need to know what lies before the shard (a count of primes in A, B and C, of unsieved
numbers in D), the shard counts from its own beginning instead, and reports how often each missing
number counts. Neighbouring partial results are fused, in any grouping.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from outlast.kernel.nth_prime.gourdon.state import TermSum

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from numpy.typing import NDArray

    from outlast.kernel.nth_prime.gourdon.bounds import Bounds
    from outlast.kernel.nth_prime.gourdon.parts import Stretch
    from outlast.kernel.nth_prime.gourdon.rows import Rows

NOTHING = np.empty(0, np.int64)
NOTHING.setflags(write=False)


class Partial(NamedTuple):
    """The result of one shard.

    Attributes:
        total: the sum over the shard's pieces, modulo 2^64, counted from the shard's beginning.
        weights: how often each number that lies before must be added to it; those that are not
            listed count for nothing.
        counts: what the shard adds to each of these numbers; those that are not listed no later
            shard asks for.
    """

    total: int
    weights: NDArray[np.int64] = NOTHING
    counts: NDArray[np.int64] = NOTHING


BEGINNING = Partial(0)
"""The partial result of no piece, where nothing lies before: what is fused to it lacks nothing."""


class Term(Protocol):
    """One term. Modules implement it."""

    def build(self, bounds: Bounds, rows: Rows, window: int) -> Generator[None, None, Any]:
        """Return the tables that shards look things up in. Yields every few milliseconds."""

    def shard(
        self, bounds: Bounds, rows: Rows, tables: Any, first: int, last: int
    ) -> Generator[None, None, Partial]:
        """Return the partial result of the pieces first to last - 1. Yields as `build` does."""


def no_tables(bounds: Bounds, rows: Rows, window: int) -> Generator[None]:  # noqa: ARG001
    """Build nothing, for terms that need nothing but the rows."""
    yield from ()


def fuse(a: Partial, b: Partial) -> Partial:
    """Return the partial result of two neighbouring ranges, where that of `b` follows that of `a`.

    It is the same in any grouping, and so is what is computed modulo 2^64.
    """
    known = min(len(b.weights), len(a.counts))
    missing = int(np.dot(b.weights[:known], a.counts[:known]))
    weights = _added(a.weights, b.weights) if len(a.weights) else NOTHING
    counts = _added(a.counts[: len(b.counts)], b.counts)
    return Partial((a.total + b.total + missing) % 2**64, weights, counts)


def _added(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a sum, as long as the longer one."""
    longer, shorter = (a, b) if len(a) > len(b) else (b, a)
    added = longer.copy()
    added[: len(shorter)] += shorter
    return added


def partial(total: int, weights: Iterable[int] = (), counts: Iterable[int] = ()) -> Partial:
    """Return a partial result of numbers of any size, which are taken modulo 2^64."""
    return Partial(total % 2**64, _wrapped(weights), _wrapped(counts))


def _wrapped(numbers: Iterable[int]) -> NDArray[np.int64]:
    return np.array([n % 2**64 for n in numbers], np.uint64).view(np.int64)


def loaded(stored: TermSum) -> Partial:
    """Return a partial result that was stored."""
    weights, counts = (np.array(row, np.int64) for row in (stored.weights, stored.counts))
    return Partial(stored.total, weights, counts)


def stored(stretch: Stretch, partial: Partial) -> TermSum:
    """Return a partial result of a stretch as it is stored."""
    # Not checked: thousands of numbers would take a part of each shard's time.
    return TermSum.model_construct(
        division=stretch.division,
        term=stretch.term,
        window=stretch.window,
        total=partial.total,
        weights=tuple(partial.weights.tolist()),
        counts=tuple(partial.counts.tolist()),
    )

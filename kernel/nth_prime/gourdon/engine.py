"""Drives the terms of Gourdon's formula shard by shard, on as many threads as there are."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from outlast.kernel.nth_prime.gourdon import ac, b, d, phi0, riemann, sigma
from outlast.kernel.nth_prime.gourdon.bounds import X_LEAST, begin, bounds_of
from outlast.kernel.nth_prime.gourdon.phase import fold
from outlast.kernel.nth_prime.gourdon.state import WrongState
from outlast.kernel.nth_prime.gourdon.tables import build
from outlast.kernel.nth_prime.sieve.steps import at_each, finish

if TYPE_CHECKING:
    from collections.abc import Generator
    from concurrent.futures import Future

    from outlast.kernel.nth_prime.gourdon.bounds import Bounds
    from outlast.kernel.nth_prime.gourdon.phase import Partial, Term
    from outlast.kernel.nth_prime.gourdon.state import Counting
    from outlast.kernel.nth_prime.gourdon.tables import Tables

TERMS: dict[str, Term] = {"sigma": sigma, "phi0": phi0, "ac": ac, "b": b, "d": d}
"""π(x) is the sum of these."""


def count(state: Counting, threads: int = 1) -> Generator[Counting, None, int]:
    """Return π(x). Yields the state after every shard, and while tables are being built.

    Raises:
        WrongState: the state is none of a computation of π(x).
        WrongSum: the result fails its check.
    """
    tables = _take(bounds_of(state), state.term)
    try:
        total = yield from _sum(state, tables, threads)
    except GeneratorExit:
        _KEPT[:] = [tables]
        raise
    return lift(total, state.x)


def _sum(state: Counting, tables: _Tables, threads: int) -> Generator[Counting, None, int]:
    """Return the sum of all terms modulo 2^64, from the state on."""
    t = yield from at_each(tables.built(), state)
    names = list(TERMS)
    pool = ThreadPoolExecutor(threads) if threads > 1 else None
    site = _Site(tables.bounds, t, pool, threads)
    try:
        for name in names[names.index(state.term) :]:
            if name != state.term:
                state = state.model_copy(
                    update={"term": name, "cursor": 0, "pieces": 0, "shards": 0, "carry": ()}
                )
            state = yield from _add(state, site)
    finally:
        if pool is not None:
            # Waits for the shards under way, some milliseconds: nothing runs on behind a stop.
            pool.shutdown(cancel_futures=True)
    return state.total


class _Site(NamedTuple):
    """Where shards are computed, and from what."""

    bounds: Bounds
    t: Tables
    pool: ThreadPoolExecutor | None
    threads: int


def _add(state: Counting, site: _Site) -> Generator[Counting, None, Counting]:
    """Return the state in which all of the term is part of the total."""
    term = TERMS[state.term]
    pieces = term.pieces(site.bounds, site.t)
    carry = term.carry(site.bounds, site.t)
    if state.cursor:
        # Compiled code does not check what it is given.
        if (state.pieces, len(state.carry)) != (pieces, len(carry)) or state.cursor > pieces:
            raise WrongState(f"a state of π({state.x}) that is at another place than it says")
        carry = np.array(state.carry, np.int64)
    total = state.total
    for end, part in _shards(term, site, state.cursor, pieces):
        total, carry = fold(total, carry, part)
        state = state.model_copy(
            update={
                "cursor": end,
                "pieces": pieces,
                "shards": state.shards + 1,
                "total": total,
                "carry": tuple(carry.tolist()),
            }
        )
        yield state
    return state


def _shards(
    term: Term, site: _Site, cursor: int, pieces: int
) -> Generator[tuple[int, Partial], None, None]:
    """Yield (end, partial result) of each shard from `cursor` on, in order."""
    bounds, t, pool, threads = site
    if pool is None:
        while cursor < pieces:
            end = term.cut(bounds, t, cursor, pieces)
            yield end, term.shard(bounds, t, cursor, end)
            cursor = end
        return
    under_way: deque[tuple[int, Future[Partial]]] = deque()
    while cursor < pieces or under_way:
        # One more than there are threads, so that none waits for the reducer.
        while cursor < pieces and len(under_way) <= threads:
            end = term.cut(bounds, t, cursor, pieces)
            under_way.append((end, pool.submit(term.shard, bounds, t, cursor, end)))
            cursor = end
        end, future = under_way.popleft()
        yield end, future.result()


def lift(total: int, x: int) -> int:
    """Return the integer that is `total` modulo 2^64 and nearest to R(x), where π(x) must be.

    Raises:
        WrongSum: it is not within √x of R(x).
    """
    near = round(riemann.prime_count(x))
    found = near + (total - near + 2**63) % 2**64 - 2**63
    riemann.check(found, x)
    return found


_LARGE = 10**12
"""Before here no term is cut into shards."""


class _Tables:
    """The tables of one computation, whole or half built.

    Attributes:
        bounds: whose they are.
        limit: up to where they hold π.
    """

    def __init__(self, bounds: Bounds, limit: int) -> None:
        self.bounds = bounds
        self.limit = limit
        self._steps = build(bounds, limit)
        self._whole: Tables | None = None

    def built(self) -> Generator[None, None, Tables]:
        """Go on to build them; return them when they are whole."""
        while self._whole is None:
            try:
                next(self._steps)
            except StopIteration as end:
                self._whole = end.value
            else:
                yield
        return self._whole


_KEPT: list[_Tables] = []
"""The tables that the last computation which was stopped has left, or none, for its next slice in
this process. Who uses them takes them out: two computations never share what is half built."""


def _take(bounds: Bounds, term: str) -> _Tables:
    """Return tables for the term and those that follow it: those that were kept, if they do."""
    # D is the last and takes longest, and most of the table of π is not for it.
    limit = bounds.y if term == "d" else bounds.root
    try:
        kept = _KEPT.pop()
    except IndexError:
        return _Tables(bounds, limit)
    return kept if kept.bounds == bounds and kept.limit >= limit else _Tables(bounds, limit)


def forget() -> None:
    """Drop the tables that are kept for the next slice in this process."""
    _KEPT.clear()


def prepare(x: int | None) -> None:
    """Compile what counting up to x needs, once in a process; None stands for any x."""
    _compile(X_LEAST)
    if x is None or x >= _LARGE:
        _compile(_LARGE)


@cache  # Not only because it takes time: it drops the tables of the computation under way.
def _compile(x: int) -> None:
    finish(count(begin(x)))

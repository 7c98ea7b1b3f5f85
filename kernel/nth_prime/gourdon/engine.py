"""Drives the terms of Gourdon's formula shard by shard, on as many threads as there are."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from outlast.kernel.nth_prime.gourdon import ac, b, d, kept, phi0, riemann, sigma
from outlast.kernel.nth_prime.gourdon.bounds import X_LEAST, begin, bounds_of
from outlast.kernel.nth_prime.gourdon.parts import CountingPart, CountingSum, check, stretches
from outlast.kernel.nth_prime.gourdon.phase import Partial, fuse, loaded, origin, stored
from outlast.kernel.nth_prime.gourdon.state import WrongState
from outlast.kernel.nth_prime.sieve.steps import at_each, finish

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from concurrent.futures import Future

    from outlast.kernel.nth_prime.gourdon.bounds import Bounds
    from outlast.kernel.nth_prime.gourdon.parts import Division, Stretch
    from outlast.kernel.nth_prime.gourdon.phase import Term
    from outlast.kernel.nth_prime.gourdon.state import Counting, TermName
    from outlast.kernel.nth_prime.gourdon.tables import Tables

TERMS: dict[TermName, Term] = {"sigma": sigma, "phi0": phi0, "ac": ac, "b": b, "d": d}
"""π(x) is the sum of these."""


def count(state: Counting, threads: int = 1) -> Generator[Counting, None, int]:
    """Return π(x). Yields the state after every shard, and while tables are being built.

    Raises:
        WrongState: the state is none of a computation of π(x).
        WrongSum: the result fails its check.
    """
    bounds = bounds_of(state)
    names = list(TERMS)
    with kept.tables_of(bounds) as tables:
        t = yield from at_each(tables.up_to(_limit(bounds, state.term)), state)
        with _site(bounds, t, threads) as site:
            for name in names[names.index(state.term) :]:
                if name != state.term:
                    state = state.model_copy(
                        update={"term": name, "cursor": 0, "pieces": 0, "shards": 0, "carry": ()}
                    )
                state = yield from _add(state, site)
    kept.forget()
    return riemann.lift(state.total, state.x)


def part(
    division: Division, first: int, last: int, state: CountingPart | None, threads: int = 1
) -> Generator[CountingPart, None, CountingSum]:
    """Return what the pieces first to last - 1 of the division come to. Yields as `count` does.

    The tables are kept for the next part in this process.

    Raises:
        WrongState: there are no such pieces, or the state is none of them.
    """
    bounds = bounds_of(division)
    todo = stretches(division, first, last)
    state = state or CountingPart()
    check(division, state.sums, todo[: len(state.sums)])
    todo = todo[max(len(state.sums) - 1, 0) :]
    with kept.tables_of(bounds) as tables:
        t = yield from at_each(tables.up_to(_limit(bounds, todo[0].term)), state)
        if (t.ac_rows, t.d_rows) != (division.ac_rows, division.d_rows):
            raise WrongState(f"a division of π({division.x}) with other pieces than it has")
        with _site(bounds, t, threads) as site:
            for stretch in todo:
                state = yield from _go_through(stretch, state, site)
    return CountingSum(first=first, last=last, sums=state.sums)


def _limit(bounds: Bounds, term: TermName) -> int:
    """Return up to where π is needed for the term and those that follow it."""
    # D is the last and takes longest, and most of the table of π is not for it.
    return bounds.y if term == "d" else bounds.root


class _Site(NamedTuple):
    """Where shards are computed, and from what."""

    bounds: Bounds
    t: Tables
    pool: ThreadPoolExecutor | None
    threads: int


@contextmanager
def _site(bounds: Bounds, t: Tables, threads: int) -> Iterator[_Site]:
    """Open a site for a block; at its end no thread is left."""
    pool = ThreadPoolExecutor(threads) if threads > 1 else None
    try:
        yield _Site(bounds, t, pool, threads)
    finally:
        if pool is not None:
            # Waits for the shards under way, some milliseconds: nothing runs on behind a stop.
            pool.shutdown(cancel_futures=True)


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
    before = origin(carry)._replace(total=state.total)
    for end, done in _folded(term, site, state.cursor, pieces, before):
        state = state.model_copy(
            update={
                "cursor": end,
                "pieces": pieces,
                "shards": state.shards + 1,
                "total": done.total,
                "carry": tuple(done.counts.tolist()),
            }
        )
        yield state
    return state


def _go_through(
    stretch: Stretch, state: CountingPart, site: _Site
) -> Generator[CountingPart, None, CountingPart]:
    """Return the state in which all of the stretch is done."""
    term = TERMS[stretch.term]
    width = term.pieces(site.bounds, site.t) // stretch.pieces
    cursor, end = width * stretch.first, width * stretch.last
    sums = state.sums
    if sums and sums[-1].term == stretch.term:
        if not cursor < state.cursor <= end:
            raise WrongState(f"a state of a part of π({site.bounds.x}) that is of another part")
        cursor, sums, before = state.cursor, sums[:-1], loaded(sums[-1])
    else:
        # Whoever begins the term knows what lies before.
        carry = term.carry(site.bounds, site.t)
        before = origin(np.zeros_like(carry) if cursor else carry)
    for cut, done in _folded(term, site, cursor, end, before):
        state = CountingPart.model_construct(sums=(*sums, stored(stretch.term, done)), cursor=cut)
        yield state
    return state


def _folded(
    term: Term, site: _Site, cursor: int, end: int, done: Partial
) -> Generator[tuple[int, Partial], None, None]:
    """Yield (cursor, what is done up to there) after each shard from `cursor` to `end`."""
    for cut, shard in _shards(term, site, cursor, end):
        done = fuse(done, shard)
        yield cut, done


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


_LARGE = 10**12
"""Before here no term is cut into shards."""


def prepare(x: int | None) -> None:
    """Compile what counting up to x needs, once in a process; None stands for any x."""
    _compile(X_LEAST)
    if x is None or x >= _LARGE:
        _compile(_LARGE)


@cache  # Not only because it takes time: it drops the tables of the computation under way.
def _compile(x: int) -> None:
    finish(count(begin(x)))

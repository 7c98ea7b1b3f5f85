"""Drives the terms of Gourdon's formula shard by shard, on as many threads as there are."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache, partial
from threading import Event
from typing import TYPE_CHECKING, Any, NamedTuple

from outlast.kernel.nth_prime.gourdon import ac, b, d, parts, phi0, sigma, work
from outlast.kernel.nth_prime.gourdon.bounds import X_LEAST, bounds_of, divide
from outlast.kernel.nth_prime.gourdon.kept import Kept
from outlast.kernel.nth_prime.gourdon.rows import build_rows
from outlast.kernel.nth_prime.gourdon.state import (
    Counting,
    CountingPart,
    CountingSum,
    WrongState,
)
from outlast.kernel.nth_prime.gourdon.term import BEGINNING, Partial, fuse, loaded, stored
from outlast.kernel.nth_prime.sieve.steps import at_each, finish

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from outlast.kernel.nth_prime.gourdon.bounds import Bounds
    from outlast.kernel.nth_prime.gourdon.kept import Tables
    from outlast.kernel.nth_prime.gourdon.parts import Stretch
    from outlast.kernel.nth_prime.gourdon.rows import Rows
    from outlast.kernel.nth_prime.gourdon.state import Division, TermName
    from outlast.kernel.nth_prime.gourdon.term import Term

TERMS: dict[TermName, Term] = {"sigma": sigma, "phi0": phi0, "ac": ac, "b": b, "d": d}

# Seconds between two yields while threads compute.
_PATIENCE = 0.02


def count(
    state: Counting, threads: int = 1, kept: Kept | None = None
) -> Generator[Counting, None, int]:
    """Return π(x). Yields the state after every few milliseconds of work: that of the last shard.

    `kept` is where the tables are from the last slice, and for the next one.

    Raises:
        WrongState: the state is none of a computation of π(x).
        WrongSum: the result fails its check.
    """
    division, kept = state.division, kept or Kept()
    steps = part(division, 0, parts.pieces_of(division), state.part, threads, kept)
    while True:
        try:
            done = next(steps)
        except StopIteration as end:
            kept.forget()
            return parts.counted(division, end.value)
        if done is not state.part:
            state = Counting.model_construct(division=division, part=done)
        yield state


def part(
    division: Division,
    first: int,
    last: int,
    state: CountingPart | None,
    threads: int = 1,
    kept: Kept | None = None,
) -> Generator[CountingPart, None, CountingSum]:
    """Return what the pieces first to last - 1 of the division come to. Yields as `count` does.

    Raises:
        WrongState: there are no such pieces, or the state is none of them.
    """
    state = state or CountingPart()
    todo = parts.stretches(division, first, last)
    parts.check(division, state.sums, _done(division, first, last, state))
    bounds = bounds_of(division)
    with (kept or Kept()).tables_of(bounds) as tables:
        rows = yield from at_each(tables.rows.get("rows", partial(build_rows, bounds)), state)
        if (rows.ac_rows, rows.d_rows) != (division.ac_rows, division.d_rows):
            raise WrongState(f"a division of π({division.x}) with other pieces than it has")
        with _site(division, bounds, rows, tables, threads) as site:
            for stretch in todo:
                if stretch.begin + stretch.last > state.cursor:
                    state = yield from _go_through(stretch, state, site)
    return CountingSum(first=first, last=last, sums=state.sums)


def _done(division: Division, first: int, last: int, state: CountingPart) -> list[Stretch]:
    """Return the stretches that the sums of a state must be of."""
    if state == CountingPart():
        return []
    if not first < state.cursor <= last:
        raise WrongState(f"a state of a part of π({division.x}) that is of another part")
    return parts.stretches(division, first, state.cursor)


class _Site(NamedTuple):
    """Where shards are computed, and from what."""

    division: Division
    bounds: Bounds
    rows: Rows
    tables: Tables
    pool: ThreadPoolExecutor | None
    threads: int
    stop: Event


@contextmanager
def _site(
    division: Division, bounds: Bounds, rows: Rows, tables: Tables, threads: int
) -> Iterator[_Site]:
    """Open a site for a block; at its end no thread is left."""
    pool = ThreadPoolExecutor(threads) if threads > 1 else None
    stop = Event()
    try:
        yield _Site(division, bounds, rows, tables, pool, threads, stop)
    finally:
        stop.set()
        if pool is not None:
            # Waits for what is under way, some milliseconds: nothing runs on behind a stop.
            pool.shutdown(cancel_futures=True)


def _go_through(
    stretch: Stretch, state: CountingPart, site: _Site
) -> Generator[CountingPart, None, CountingPart]:
    """Return the state in which all of the stretch is done."""
    term = TERMS[stretch.term]
    build = partial(term.build, site.bounds, site.rows, stretch.window)
    tables = yield from at_each(site.tables.term.get(stretch[:2], build), state)
    sums, begun = state.sums, state.cursor - stretch.begin
    if stretch.first < begun:
        done, sums = loaded(sums[-1]), sums[:-1]
    else:
        begun = stretch.first
        # B alone lacks a number at its beginning: the primes up to √x.
        done = None if begun or stretch.term == "b" else BEGINNING
    for end, shard in _shards(stretch, begun, tables, site):
        if shard is not None:
            done = shard if done is None else fuse(done, shard)
            sums_now = (*sums, stored(stretch, done))
            state = CountingPart.model_construct(sums=sums_now, cursor=stretch.begin + end)
        yield state
    return state


def _shards(
    stretch: Stretch, cursor: int, tables: Any, site: _Site
) -> Generator[tuple[int, Partial | None], None, None]:
    """Yield (end, partial result) of each shard from `cursor` on, in order; in between None."""
    term = TERMS[stretch.term]
    shard = partial(term.shard, site.bounds, site.rows, tables)
    ends = _ends(site.division, stretch, cursor)
    if site.pool is None:
        for end in ends:
            done = yield from at_each(shard(cursor, end), (cursor, None))
            yield end, done
            cursor = end
        return
    under_way: deque[tuple[int, Future[Partial]]] = deque()
    for end in ends:
        steps = shard(cursor, end)
        under_way.append((end, site.pool.submit(_compute, steps, site.stop)))
        cursor = end
        # One more than there are threads, so that none waits for the reducer.
        while len(under_way) > site.threads:
            yield from _first_of(under_way)
    while under_way:
        yield from _first_of(under_way)


def _first_of(
    under_way: deque[tuple[int, Future[Partial]]],
) -> Generator[tuple[int, Partial | None], None, None]:
    """Yield the first one's end and result when it is there, before that None."""
    end, future = under_way.popleft()
    while not wait([future], _PATIENCE).done:
        yield end, None
    yield end, future.result()


def _compute(steps: Generator[None, None, Partial], stop: Event) -> Partial:
    """Return what a shard comes to; nothing of it counts after a stop."""
    while not stop.is_set():
        try:
            next(steps)
        except StopIteration as end:
            return end.value
    return BEGINNING


def _ends(division: Division, stretch: Stretch, cursor: int) -> Iterator[int]:
    """Yield where shards end that are of about equal work, from `cursor` to the stretch's end."""
    while cursor < stretch.last:
        end = work.shard_end(division, stretch.begin + cursor) - stretch.begin
        cursor = min(max(end, cursor + 1), stretch.last)
        yield cursor


_LARGE = 10**12
"""Before here no term is cut into shards."""


def prepare(x: int | None) -> None:
    """Compile what counting up to x needs, once in a process; None stands for any x."""
    _compile(X_LEAST)
    if x is None or x >= _LARGE:
        _compile(_LARGE)


@cache
def _compile(x: int) -> None:
    finish(count(Counting(division=divide(x))))

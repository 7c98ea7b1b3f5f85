"""Drives the terms of Gourdon's formula shard by shard, on as many threads as there are."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache, partial
from threading import Event
from typing import TYPE_CHECKING, NamedTuple

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
    from collections.abc import Callable, Generator, Iterator

    from outlast.kernel.nth_prime.gourdon.kept import Tables
    from outlast.kernel.nth_prime.gourdon.parts import Divisions, Stretch
    from outlast.kernel.nth_prime.gourdon.state import TermName
    from outlast.kernel.nth_prime.gourdon.term import Term

    Shard = Callable[[int, int], Generator[None, None, Partial]]

TERMS: dict[TermName, Term] = {"sigma": sigma, "phi0": phi0, "ac": ac, "b": b, "d": d}

# Seconds between two yields while threads compute.
_PATIENCE = 0.02


def count(
    state: Counting, threads: int = 1, kept: Kept | None = None
) -> Generator[Counting, None, int]:
    """Return π(x). Yields the state after every few milliseconds of work: that of the last shard.

    `kept` has the tables of the last slice, and gets those for the next one.

    Raises:
        WrongState: the state is none of a computation of π(x).
        WrongSum: the result fails its check.
    """
    divisions, kept = state.divisions, kept or Kept()
    steps = part(divisions, 0, parts.pieces_of(divisions), state.part, threads, kept)
    while True:
        try:
            done = next(steps)
        except StopIteration as end:
            kept.forget()
            return parts.counted(divisions, end.value)
        if done is not state.part:
            state = Counting.model_construct(divisions=divisions, part=done)
        yield state


def part(
    divisions: Divisions,
    first: int,
    last: int,
    state: CountingPart | None,
    threads: int = 1,
    kept: Kept | None = None,
) -> Generator[CountingPart, None, CountingSum]:
    """Return what the pieces first to last - 1 come to. Yields as `count` does.

    Raises:
        WrongState: there are no such pieces, or the state is none of them.
    """
    state = state or CountingPart()
    todo = parts.stretches(divisions, first, last)
    if state != CountingPart():
        _check(divisions, first, last, state)
    with (kept or Kept()).tables() as tables, _crew(threads) as crew:
        for stretch in todo:
            if stretch.begin + stretch.last > state.cursor:
                make_site = partial(_site, divisions, stretch, tables, crew)
                state = yield from _go_through(stretch, state, make_site)
    return CountingSum(first=first, last=last, sums=state.sums)


def _check(divisions: Divisions, first: int, last: int, state: CountingPart) -> None:
    if not first < state.cursor <= last:
        raise WrongState(f"a state of a part of π({divisions[0].x}) that is of another part")
    parts.check(divisions, state.sums, parts.stretches(divisions, first, state.cursor))


class _Crew(NamedTuple):
    """Who computes shards: a pool of threads, or None, and what tells them to stop."""

    pool: ThreadPoolExecutor | None
    threads: int
    stop: Event


@contextmanager
def _crew(threads: int) -> Iterator[_Crew]:
    """Have threads for a block; at its end none is left."""
    pool = ThreadPoolExecutor(threads) if threads > 1 else None
    stop = Event()
    try:
        yield _Crew(pool, threads, stop)
    finally:
        stop.set()
        if pool is not None:
            # Waits for what is under way, some milliseconds: nothing runs on behind a stop.
            pool.shutdown(cancel_futures=True)


class _Site(NamedTuple):
    """Where the shards of a stretch are computed, and from what."""

    divisions: Divisions
    shard: Shard
    crew: _Crew


def _site(
    divisions: Divisions, stretch: Stretch, tables: Tables, crew: _Crew
) -> Generator[None, None, _Site]:
    """Return the site of a stretch, when its tables are built."""
    division, term = divisions[stretch.division], TERMS[stretch.term]
    bounds = bounds_of(division)
    rows = yield from tables.rows.get(bounds, partial(build_rows, bounds))
    if (rows.ac_rows, rows.d_rows) != (division.ac_rows, division.d_rows):
        raise WrongState(f"a division of π({division.x}) with other pieces than it has")
    build = partial(term.build, bounds, rows, stretch.window)
    of_term = yield from tables.term.get((bounds, stretch.term, stretch.window), build)
    return _Site(divisions, partial(term.shard, bounds, rows, of_term), crew)


def _go_through(
    stretch: Stretch, state: CountingPart, make_site: Callable[[], Generator[None, None, _Site]]
) -> Generator[CountingPart, None, CountingPart]:
    """Return the state in which all of the stretch is done."""
    # It goes at the end, with its tables: there is no room for two.
    site = yield from at_each(make_site(), state)
    sums, cursor = state.sums, state.cursor - stretch.begin
    done: Partial | None
    if stretch.first < cursor:
        done, sums = loaded(sums[-1]), sums[:-1]
    else:
        cursor = stretch.first
        # B alone lacks a number at its beginning: the primes up to √x.
        done = None if cursor or stretch.term == "b" else BEGINNING
    for end, shard in _shards(stretch, cursor, site):
        if shard is not None:
            done = shard if done is None else fuse(done, shard)
            state = CountingPart.model_construct(
                sums=(*sums, stored(stretch, done)), cursor=stretch.begin + end
            )
        yield state
    return state


def _shards(
    stretch: Stretch, cursor: int, site: _Site
) -> Generator[tuple[int, Partial | None], None, None]:
    """Yield (end, partial result) of each shard from `cursor` on, in order; in between None."""
    ends = _ends(site.divisions, stretch, cursor)
    shard, (pool, threads, stop) = site.shard, site.crew
    if pool is None:
        for end in ends:
            done = yield from at_each(shard(cursor, end), (cursor, None))
            yield end, done
            cursor = end
        return
    under_way: deque[tuple[int, Future[Partial]]] = deque()
    for end in ends:
        under_way.append((end, pool.submit(_compute, shard(cursor, end), stop)))
        cursor = end
        # One more than there are threads, so that none waits for the reducer.
        if len(under_way) > threads:
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
    try:
        while not stop.is_set():
            next(steps)
    except StopIteration as end:
        done: Partial = end.value
        return done
    return BEGINNING


def _ends(divisions: Divisions, stretch: Stretch, cursor: int) -> Iterator[int]:
    """Yield where shards end that are of about equal work, from `cursor` to the stretch's end."""
    division = divisions[stretch.division]
    rows = {"ac": division.ac_rows, "d": division.d_rows}.get(stretch.term, 1)
    while cursor < stretch.last:
        end = work.shard_end(divisions, stretch.begin + cursor) - stretch.begin
        # Where a segment ends, if one does: whoever begins amid one sieves its first rows again.
        if end - end % rows > cursor:
            end -= end % rows
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
    finish(count(Counting(divisions=(divide(x),))))

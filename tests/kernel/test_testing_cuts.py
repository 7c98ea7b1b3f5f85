"""Which cuts `assert_divisible` tries, and how often."""

from __future__ import annotations

from typing import Any

import pytest

from outlast.testing import assert_divisible
from tests.dividing import LESS, STEPS, Dividing
from tests.kernels import Params, Pieces, Result, State, Stretch


def ranges_seen(steps: int, **options: Any) -> list[tuple[int, int]]:
    """Return which parts are computed, in order, without repetitions."""
    seen: list[tuple[int, int]] = []

    class Noting(Dividing):
        """Notes them."""

        def part(self, plan: Pieces, first: int, last: int, *rest: Any) -> Any:
            seen.append((first, last))
            return super().part(plan, first, last, *rest)

    assert_divisible(Noting(), Params(steps=steps), **LESS, **options)
    return list(dict.fromkeys(seen))


@pytest.mark.usefixtures("_no_interpreter")
def test_it_tries_the_same_cuts_each_time() -> None:
    """A test would fail one day and pass the next, and nobody could look into it."""
    seen = ranges_seen(60)
    assert seen == ranges_seen(60)
    single = {(piece, piece + 1) for piece in range(20)}
    assert single | {(0, 20), (1, 19), (0, 15), (15, 20), (18, 20)} <= set(seen)


@pytest.mark.usefixtures("_no_interpreter")
def test_the_number_of_ways_to_cut_is_the_authors() -> None:
    """A kernel with costly parts could not be tested in a bearable time."""
    assert ranges_seen(60, divisions=1) == [(0, 15), (15, 20), (0, 20)]
    assert len(ranges_seen(900, divisions=3)) < 20


@pytest.mark.usefixtures("_no_interpreter")
def test_many_pieces_are_not_tried_each() -> None:
    """A kernel of a million small pieces could not be tested at all."""
    assert 30 < len(ranges_seen(900)) < 150


@pytest.mark.usefixtures("_no_interpreter")
def test_what_comes_to_the_same_is_concluded_once() -> None:
    """A kernel with much to do in the end could not be tested in a bearable time."""
    concluded: list[Stretch] = []

    class Noting(Dividing):
        def conclude(self, params: Params, plan: Pieces, total: Stretch) -> State | Result:
            concluded.append(total)
            return super().conclude(params, plan, total)

    assert_divisible(Noting(), STEPS, **LESS)
    assert len(concluded) == 1

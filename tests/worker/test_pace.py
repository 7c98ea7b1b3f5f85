"""What a worker learns about time, and what it makes of it."""

from __future__ import annotations

import math

import pytest

from outlast.worker.slices.timing import LONGEST_INTERVAL_SECONDS, SHORTEST_INTERVAL_SECONDS, Pace


def test_a_slow_step_counts_at_once_and_is_forgotten_slowly() -> None:
    """A slice would begin a step that it has no time for."""
    pace = Pace()
    pace.saw_step(2.0)
    for _ in range(10):
        pace.saw_step(0.1)
    assert 1.0 < pace.step_seconds < 2.0
    for _ in range(100):
        pace.saw_step(0.1)
    assert pace.step_seconds == 0.1


def test_the_next_step_is_allowed_more_than_the_longest() -> None:
    """A step that takes a little longer than the last would be cut off by the platform."""
    pace = Pace()
    pace.saw_step(2.0)
    assert pace.next_step_seconds == 3.0


def test_the_reserve_is_guessed_from_the_opening_and_then_measured() -> None:
    """Too short, and the last save is cut off; a fixed one would waste paid time."""
    pace = Pace()
    assert pace.reserve_seconds == 0.0
    pace.saw_opening(0.2)
    assert pace.reserve_seconds == pytest.approx(0.6)
    pace.saw_ending(0.2)
    assert pace.reserve_seconds == pytest.approx(0.3)


def test_one_slow_answer_leaves_half_of_a_slice() -> None:
    """Slices of seconds would do one step each; a function would refuse every message for good."""
    pace = Pace()
    pace.saw_ending(0.2)
    assert pace.reserve_within(10.0) == pytest.approx(0.3)
    pace.saw_ending(60.0)
    assert pace.reserve_within(10.0) == 5.0
    assert pace.reserve_within(math.inf) == 90.0


@pytest.mark.parametrize(
    ("save_seconds", "interval"),
    [(0.0, 1.0), (1e-6, 1.0), (0.005, 3.0), (0.02, 6.0), (10.0, 20.0)],
)
def test_the_interval_follows_from_the_cost_of_a_save(save_seconds: float, interval: float) -> None:
    """A cheap store would lose more than it must; a dear one would do nothing but save."""
    pace = Pace()
    pace.saw_save(save_seconds)
    assert pace.interval_seconds == pytest.approx(interval)
    assert SHORTEST_INTERVAL_SECONDS <= pace.interval_seconds <= LONGEST_INTERVAL_SECONDS


def test_a_fixed_interval_stays() -> None:
    """An operator's setting would be ignored."""
    pace = Pace(checkpoint_seconds=7.0)
    pace.saw_save(10.0)
    assert pace.interval_seconds == 7.0


def test_the_lease_outlasts_a_late_save_and_the_longest_step() -> None:
    """A worker that is well would lose its job to another."""
    pace = Pace(checkpoint_seconds=4.0)
    pace.saw_step(10.0)
    assert pace.lease_seconds == 3 * 4.0 + 15.0
    assert pace.at_risk_seconds == 4.0 + 15.0
    assert Pace(checkpoint_seconds=0.1).lease_seconds == 5.0

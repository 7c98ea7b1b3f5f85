"""What a worker learns about time, and what it makes of it."""

from __future__ import annotations

import math

import pytest

from outlast.worker.slices.timing import LONGEST_INTERVAL_SECONDS, SHORTEST_INTERVAL_SECONDS, Timing


def test_a_slow_step_counts_at_once_and_is_forgotten_slowly() -> None:
    """A slice would begin a step that it has no time for."""
    timing = Timing()
    timing.saw_step(2.0)
    for _ in range(10):
        timing.saw_step(0.1)
    assert 1.0 < timing.step_seconds < 2.0
    for _ in range(100):
        timing.saw_step(0.1)
    assert timing.step_seconds == 0.1


def test_the_next_step_is_allowed_more_than_the_longest() -> None:
    """A step that takes a little longer than the last would be cut off by the platform."""
    timing = Timing()
    timing.saw_step(2.0)
    assert timing.next_step_seconds == 3.0


def test_the_reserve_is_guessed_from_the_opening_and_then_measured() -> None:
    """Too short, and the last save is cut off; a fixed one would waste paid time."""
    timing = Timing()
    assert timing.reserve_seconds == 0.0
    timing.saw_opening(0.2)
    assert timing.reserve_seconds == pytest.approx(0.6)
    timing.saw_ending(0.2)
    assert timing.reserve_seconds == pytest.approx(0.3)


def test_one_slow_answer_leaves_half_of_a_slice() -> None:
    """Slices of seconds would do one step each; a function would refuse every message for good."""
    timing = Timing()
    timing.saw_ending(0.2)
    assert timing.reserve_within(10.0) == pytest.approx(0.3)
    timing.saw_ending(60.0)
    assert timing.reserve_within(10.0) == 5.0
    assert timing.reserve_within(math.inf) == 90.0


@pytest.mark.parametrize(
    ("save_seconds", "interval"),
    [(0.0, 1.0), (1e-6, 1.0), (0.005, 3.0), (0.02, 6.0), (10.0, 20.0)],
)
def test_the_interval_follows_from_the_cost_of_a_save(save_seconds: float, interval: float) -> None:
    """A cheap store would lose more than it must; a dear one would do nothing but save."""
    timing = Timing()
    timing.saw_save(save_seconds)
    assert timing.interval_seconds == pytest.approx(interval)
    assert SHORTEST_INTERVAL_SECONDS <= timing.interval_seconds <= LONGEST_INTERVAL_SECONDS


def test_a_fixed_interval_stays() -> None:
    """An operator's setting would be ignored."""
    timing = Timing(checkpoint_seconds=7.0)
    timing.saw_save(10.0)
    assert timing.interval_seconds == 7.0


def test_the_lease_outlasts_a_late_save_and_the_longest_step() -> None:
    """A worker that is well would lose its job to another."""
    timing = Timing(checkpoint_seconds=4.0)
    timing.saw_step(10.0)
    assert timing.lease_seconds == 3 * 4.0 + 15.0
    assert timing.at_risk_seconds == 4.0 + 15.0
    assert Timing(checkpoint_seconds=0.1).lease_seconds == 5.0

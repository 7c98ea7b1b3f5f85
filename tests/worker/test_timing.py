"""What a worker learns about time, and what follows from it."""

from __future__ import annotations

import math

import pytest

from outlast.worker.slices.timing import (
    LONGEST_INTERVAL_SECONDS,
    SHORTEST_INTERVAL_SECONDS,
    Timing,
    longest_lately,
)

MEGABYTE = 1 << 20


def test_a_slow_step_is_remembered_and_forgotten() -> None:
    """A kernel with one slow step would overrun its deadlines, or keep its slices short."""
    seconds = longest_lately(0.0, 45.0, is_first=False)
    for _ in range(10):
        seconds = longest_lately(seconds, 0.05, is_first=False)
    assert 10.0 < seconds < 45.0
    for _ in range(130):
        seconds = longest_lately(seconds, 0.05, is_first=False)
    assert seconds == 0.05


def test_the_reserve_follows_from_the_opening_until_an_ending_is_known() -> None:
    """A new worker on a slow store would be killed at the end of its first slice."""
    timing = Timing()
    assert timing.reserve_seconds() == 0.0
    timing.saw_opening(0.2)
    assert timing.reserve_seconds() == pytest.approx(0.9)
    timing.saw_ending(0.2, 0)
    assert timing.reserve_seconds() == pytest.approx(0.3)


def test_the_reserve_grows_with_the_bytes_that_will_be_saved() -> None:
    """A worker that has only seen small jobs would be killed in the last save of a large one."""
    timing = Timing()
    timing.saw_ending(0.1, 0)
    assert timing.reserve_seconds(50 * MEGABYTE) > 50.0  # before anything is known of the store
    timing.saw_write(0.5, 5 * MEGABYTE)
    assert timing.reserve_seconds(50 * MEGABYTE) == pytest.approx(1.5 * (0.1 + 5.0))
    assert timing.reserve_seconds() == pytest.approx(0.15)


def test_a_large_save_says_nothing_about_small_ones() -> None:
    """After one job of 50 MB all small ones of the process would be saved every 20 seconds only."""
    timing = Timing()
    timing.saw_write(0.0002, 100)
    timing.saw_write(4.0, 50 * MEGABYTE)
    timing.saw_ending(4.1, 50 * MEGABYTE)
    assert timing.interval_seconds(100) == SHORTEST_INTERVAL_SECONDS
    assert timing.interval_seconds(50 * MEGABYTE) == LONGEST_INTERVAL_SECONDS
    assert timing.lease_seconds(100) == 5.0
    assert timing.reserve_seconds(100) < 0.2


def test_steps_have_a_fair_share_of_the_time_whatever_was_measured() -> None:
    """After one answer that took a minute, slices of a minute would consist of their ends."""
    timing = Timing()
    timing.saw_ending(0.2, 0)
    assert timing.budget(10.0).reserve == pytest.approx(0.3)
    timing.saw_ending(60.0, 0)
    assert timing.budget(10.0) == (10.0, 5.0)
    assert timing.budget(math.inf).reserve == 90.0


def test_an_outlier_decays() -> None:
    """One slow answer would lengthen leases, and shorten slices, for the life of the process."""
    timing = Timing()
    timing.saw_write(60.0, 0)
    timing.saw_ending(60.0, 0)
    timing.saw_write(0.0001, 0)
    assert timing.lease_seconds() == 5.0
    for _ in range(40):
        timing.saw_ending(0.001, 0)
    assert timing.reserve_seconds() < 0.05


@pytest.mark.parametrize(
    ("save_seconds", "interval"),
    [(0.0, 1.0), (0.0001, 1.0), (0.01, math.sqrt(18.0)), (0.1, math.sqrt(180.0)), (3.0, 20.0)],
)
def test_the_interval_balances_saving_and_losing(save_seconds: float, interval: float) -> None:
    """A cheap store would lose 20 seconds at a kill, a slow one would do nothing but save."""
    timing = Timing()
    timing.saw_write(save_seconds, 0)
    assert timing.interval_seconds() == pytest.approx(interval)
    assert SHORTEST_INTERVAL_SECONDS <= timing.interval_seconds() <= LONGEST_INTERVAL_SECONDS


def test_a_fixed_interval_counts() -> None:
    """OUTLAST_CHECKPOINT_SECONDS would be ignored."""
    timing = Timing(checkpoint_seconds=7.0)
    timing.saw_write(10.0, 0)
    assert timing.interval_seconds() == 7.0


def test_the_lease_covers_some_intervals_and_the_write_that_renews_it() -> None:
    """One late save would lose the job, or a long interval keep a dead worker's job asleep."""
    timing = Timing(checkpoint_seconds=4.0)
    timing.saw_write(2.0, 0)
    assert timing.lease_seconds() == 3 * 4.0 + 3.0
    assert Timing(checkpoint_seconds=3600.0).lease_seconds() == 60.0

"""The speed and the time that is left, as shown beside the bar."""

from __future__ import annotations

import pytest

from worker.cli.rate import WINDOW_SECONDS, Rate, clock_time


def test_nothing_is_claimed_before_there_are_two_looks() -> None:
    """A person would plan by a number that means nothing."""
    rate = Rate()
    assert str(rate) == "speed not known yet"
    rate.saw(0.4, 0.0)
    assert rate.per_second is None
    assert rate.seconds_left is None


def test_a_job_that_goes_on_is_not_timed_from_its_start() -> None:
    """A resumed job would look as if it were nearly done, or hundreds of times faster."""
    rate = Rate()
    rate.saw(0.5, 100.0)
    rate.saw(0.6, 110.0)
    assert rate.per_second == pytest.approx(0.01)
    assert rate.seconds_left == pytest.approx(40)
    assert str(rate) == "1 %/s, 0:40 left"


def test_only_the_last_seconds_count() -> None:
    """The time left would be wrong for long after a change of speed."""
    rate = Rate()
    for second in range(100):
        rate.saw(0.001 * second, second)
    for second in range(1, int(WINDOW_SECONDS) + 2):
        rate.saw(0.1 + 0.01 * second, 99 + second)
    assert rate.per_second == pytest.approx(0.01, rel=0.1)


def test_work_done_again_starts_the_measure_again() -> None:
    """After a retry the time left would be negative or without end."""
    rate = Rate()
    rate.saw(0.5, 0.0)
    rate.saw(0.3, 1.0)
    assert rate.per_second is None
    rate.saw(0.4, 2.0)
    assert rate.per_second == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0:00"), (65.4, "1:05"), (3723, "1:02:03"), (86400 * 10, "10.0 days")],
)
def test_a_duration_reads_like_a_clock(seconds: float, shown: str) -> None:
    """A person would have to divide by 3600."""
    assert clock_time(seconds) == shown

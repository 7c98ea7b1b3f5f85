"""The speed and the time that is left, as shown beside the bar."""

from __future__ import annotations

import pytest

from outlast.checkpoint.record import Record
from outlast.checkpoint.record_parts import Checkpoint, Lease
from outlast.worker.telemetry.rate import WINDOW_SECONDS, Rate, clock_time, rate_of, speed


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


@pytest.mark.parametrize(
    ("per_second", "said"),
    [(0.02, "2 %/s"), (1e-4, "0.6 %/min"), (1e-6, "0.36 %/h"), (1e-9, "0.0086 %/d")],
)
def test_a_slow_job_is_told_by_a_unit_that_can_be_read(per_second: float, said: str) -> None:
    """Nobody could tell 0.00036 %/s from ten times as much."""
    assert speed(per_second) == said


@pytest.mark.parametrize(("per_second", "said"), [(12.34, "1,234 %/s"), (0.996, "100 %/s")])
def test_a_fast_job_is_told_without_an_exponent(per_second: float, said: str) -> None:
    """1.1e+02 %/s is no number that a person reads at a glance."""
    assert speed(per_second) == said


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


def claimed(job: Record, at: float) -> Record:
    """The job in the hands of a worker."""
    lease = Lease(worker="w", token=f"{at}", claimed_at=at, expires_at=at + 60, at_risk_seconds=20)
    return job.claimed(lease)


def saved(job: Record, progress: float, at: float) -> Record:
    """The job with one more checkpoint."""
    state = f"{progress}".encode()
    checkpoint = Checkpoint.of(state, version=1, slice=1, progress=progress, saved_at=at)
    return job.saved(checkpoint)


NEW = Record(job_id="a", kernel="k", params={}, created_at=0, updated_at=0)


def test_a_new_job_has_no_speed_before_its_first_checkpoint() -> None:
    """A person would plan by a number that means nothing."""
    assert rate_of(NEW).per_second is None
    assert rate_of(claimed(NEW, 100)).per_second is None


def test_one_look_is_enough_for_the_speed_of_a_job() -> None:
    """A person would wait for a second look, minutes later where checkpoints are rare."""
    assert rate_of(saved(claimed(NEW, 100), 0.25, 150)).per_second == pytest.approx(0.005)
    later = saved(saved(claimed(NEW, 100), 0.1, 120), 0.5, 140)
    assert rate_of(later).per_second == pytest.approx(0.02), "not the latest speed"
    assert rate_of(later).seconds_left == pytest.approx(25)


def test_the_time_that_a_job_waited_is_no_time_of_work() -> None:
    """A job that was paused for a day would look as if it needed years."""
    first = claimed(NEW, 100)
    waiting = saved(first, 0.5, 150).released().after_slice(first, "paused", 150)
    again = saved(claimed(waiting, 100_000), 0.6, 100_020)
    assert rate_of(again).per_second == pytest.approx(0.005)


def test_work_that_was_lost_does_not_count() -> None:
    """After a crash the time left would be too short."""
    first = saved(claimed(NEW, 100), 0.5, 150)
    again = saved(claimed(first.lost(170), 200), 0.6, 220)
    assert rate_of(again).per_second == pytest.approx(0.005)

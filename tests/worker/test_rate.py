"""The speed and the time that is left, as shown wherever a job is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from outlast.checkpoint.codec import decode, encode
from outlast.checkpoint.record_parts import PACE_SECONDS
from outlast.worker.slices.deliver import deliver
from outlast.worker.telemetry.rate import Rate, clock_time, rate_at, rate_of, speed
from tests.records import changed, checkpoint, job, lease

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record
    from outlast.worker.slices.worker_process import RunningJob
    from tests.worker.floor import Floor

NEW = job(created_at=0.0, updated_at=0.0)


def begun(record: Record, at: float) -> Record:
    """The job in the hands of a worker."""
    return record.claimed(lease(at, seconds=60.0, at_risk_seconds=20.0))


def saved(record: Record, progress: float, at: float, *, seconds: float, **fields: float) -> Record:
    """The job with one more checkpoint, after so many seconds in the kernel in all."""
    kept = checkpoint(f"{progress}{at}".encode(), progress=progress, saved_at=at)
    return record.spent(steps=1, seconds=seconds, **fields).saved(kept)


def ended(record: Record, at: float) -> Record:
    """The job after its slice."""
    return record.released().after_slice(record, "deadline", at)


def test_nothing_is_claimed_before_anything_is_saved() -> None:
    """A person would plan by a number that means nothing."""
    assert rate_of(NEW) == rate_of(begun(NEW, 100.0)) == Rate()
    assert str(Rate()) == "speed not known yet"
    assert rate_of(begun(saved(NEW, 0.5, 100.0, seconds=0.0), 200.0)) == Rate(), "of a fork"


def test_the_time_left_is_that_of_the_work_that_is_left() -> None:
    """A person would plan by a wrong time."""
    rate = rate_at(0.6, 0.01)
    assert rate.seconds_left == pytest.approx(40)
    assert str(rate) == "1 %/s, 0:40 left"


@pytest.mark.parametrize("per_second", [0.0, 5e-324, 1e308])
def test_a_speed_that_cannot_be_is_not_told(per_second: float) -> None:
    """One forged or damaged record would take away the list of all jobs."""
    assert rate_at(0.5, per_second) == Rate()


def test_what_was_compiled_or_waited_for_is_no_time_of_work() -> None:
    """After 40 s of compiling a job of a minute would seem to take ten; after a night, weeks."""
    first = saved(begun(NEW, 100.0), 0.25, 150.0, seconds=10.0)
    assert rate_of(first).seconds_left == pytest.approx(30)
    again = begun(ended(first, 151.0), 100_000.0)
    assert rate_of(again).seconds_left == pytest.approx(30), "the first figure of a slice"
    assert rate_of(saved(again, 0.5, 100_050.0, seconds=20.0)).seconds_left == pytest.approx(20)


def test_the_time_left_runs_down_between_saves_but_no_longer_than_one_is_due() -> None:
    """It would stand still for 20 s, or be zero where a worker compiles for a minute."""
    running = saved(begun(NEW, 100.0), 0.25, 110.0, seconds=10.0)
    assert rate_of(running, 113.0).seconds_left == pytest.approx(27)
    assert rate_of(running, 500.0).seconds_left == pytest.approx(10)
    waiting = ended(running, 111.0)
    assert rate_of(waiting, 500.0).seconds_left == pytest.approx(30), "nobody works on it"
    assert rate_of(begun(waiting, 500.0), 501.0).seconds_left == pytest.approx(29)


def test_a_faster_machine_is_told_within_a_minute() -> None:
    """A job that moves from a laptop to a large machine would be planned by the laptop."""
    record, seconds = begun(changed(NEW, per_second=0.001), 0.0), 1000.0
    record = changed(record, compute_seconds=seconds)
    for number in range(1, 7):
        seconds += PACE_SECONDS / 6
        record = saved(record, 0.03 * number, seconds, seconds=seconds)
    assert rate_of(record).per_second == pytest.approx(0.003, rel=0.25)


def test_a_kernel_that_tells_its_progress_rarely_has_a_speed_all_the_same() -> None:
    """A training that tells whole epochs would seem to take for ever, and then a minute."""
    record = begun(NEW, 0.0)
    for number in range(1, 61):
        record = saved(record, 0.01 * (number // 20), 20.0 * number, seconds=20.0 * number)
        if number >= 20:
            assert rate_of(record).per_second == pytest.approx(0.01 / 400)


def test_work_that_was_thrown_away_says_nothing_of_the_speed() -> None:
    """After an hour of errors the job would seem to take weeks."""
    record = saved(begun(NEW, 0.0), 0.1, 10.0, seconds=10.0)
    record = record.spent(steps=1, seconds=3610.0, redone=3600.0)
    assert rate_of(saved(record, 0.2, 3620.0, seconds=3620.0)).per_second == pytest.approx(0.01)


def test_the_speed_is_kept_with_the_job() -> None:
    """Each new worker, and whoever looks, would begin without one."""
    record = saved(begun(NEW, 0.0), 0.25, 10.0, seconds=10.0)
    assert rate_of(decode(encode(record))) == rate_of(record)


def test_a_display_beside_the_work_tells_what_is_stored_later(floor: Floor) -> None:
    """`outlast run` and `outlast watch` would tell one job two times."""
    seen: list[tuple[float, float]] = []

    def watch(job: RunningJob) -> None:
        seen.append((job.progress, job.per_second(job.progress)))

    floor.submit()
    for seconds in (4.0, 60.0):
        delivery = floor.queue.receive(visibility_seconds=60.0, wait_seconds=0.0)
        assert delivery is not None
        deliver(floor.process(watch=watch), delivery, slice_seconds=seconds)
    speeds = [speed for _, speed in seen]
    assert speeds[0] == 0, "after less than a second it is not known"
    assert speeds[1] == pytest.approx(speeds[-1], rel=0.01)
    share = floor.record.checkpoints[0].progress
    assert (share, floor.record.pace.per_second) == pytest.approx(seen[-1], rel=0.01)


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


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0:00"), (65.4, "1:05"), (3723, "1:02:03"), (86400 * 10, "10.0 days")],
)
def test_a_duration_reads_like_a_clock(seconds: float, shown: str) -> None:
    """A person would have to divide by 3600."""
    assert clock_time(seconds) == shown

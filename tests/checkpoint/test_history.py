"""What became of a job's slices, as people later want to see and to pay it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from outlast.checkpoint.history import MAX_ROWS, History, Row, Stretch
from outlast.checkpoint.record import Record
from outlast.checkpoint.record_parts import MAX_PLATFORMS, OTHER_PLATFORMS, PlatformUsage, Usage
from outlast.checkpoint.status import Status
from tests.records import checkpoint, job, lease

ROW = (1, 1, "local", "w", 1.0, 1.0, 1.0, 0.5, "deadline")


def _saved(record: Record, at: float, progress: float) -> Record:
    return record.saved(checkpoint(str(at).encode(), progress=progress, saved_at=at))


def _stretch(number: int) -> Stretch:
    return Stretch(
        first=number,
        slices=1,
        platform="local",
        worker=f"w{number}",
        began_at=10.0 * number,
        ended_at=10.0 * number + 4.0,
        seconds=4.0,
        progress=number / 1000,
        ending="deadline",
    )


def test_an_ended_slice_says_where_it_ran_how_far_it_came_and_why_it_ended() -> None:
    """A person who asks why a job is slow would have nothing to look at."""
    running = _saved(job().claimed(lease(platform="lambda/arm64/1769")), 109.0, 0.25)
    ended = running.released().after_slice(running, "SIGTERM", 110.0)
    (slice_,) = ended.history.stretches
    assert (slice_.first, slice_.slices, slice_.ending, slice_.progress) == (1, 1, "SIGTERM", 0.25)
    assert (slice_.began_at, slice_.ended_at, slice_.seconds) == (100.0, 110.0, 10.0)
    assert ended.usage.platforms == {"lambda/arm64/1769": PlatformUsage(slices=1, seconds=10.0)}


def test_a_slice_that_was_killed_is_in_the_history_too() -> None:
    """Lambda bills an invocation that it kills; a bill without it would be too low."""
    held = _saved(job().claimed(lease(at_risk_seconds=20.0)), 130.0, 0.1)
    again = held.claimed(lease(500.0))
    (slice_,) = again.history.stretches
    assert (slice_.ending, slice_.ended_at, slice_.seconds) == ("lost", 150.0, 50.0)
    assert again.usage.redone_seconds == 20.0


def test_a_cancelled_slice_ends_where_it_was_last_heard_of() -> None:
    """The time of a job that was stopped half-way is billed as well."""
    held = job(updated_at=104.0).claimed(lease()).cancelled()
    (slice_,) = held.history.stretches
    assert (held.status, slice_.ending, slice_.seconds) == (Status.CANCELLED, "cancelled", 4.0)


def test_a_clock_that_goes_backwards_gives_no_negative_time() -> None:
    """Two workers' clocks differ; a negative time would make the record unreadable."""
    held = job().claimed(lease())
    ended = held.released().after_slice(held, "deadline", 90.0)
    assert ended.history.stretches[0].seconds == 0.0
    assert Record.model_validate_json(ended.model_dump_json()) == ended


def test_a_long_job_keeps_its_whole_course_in_a_bounded_space() -> None:
    """A record that grows with every slice slows each of them, and at last cannot be stored."""
    history = History()
    for number in range(1, 1001):
        history = history.extended(_stretch(number))
        assert len(history.rows) <= MAX_ROWS
    stretches = history.stretches
    assert sum(part.slices for part in stretches) == 1000
    assert sum(part.seconds for part in stretches) == pytest.approx(4000.0)
    ends = [part.first + part.slices for part in stretches]
    assert [part.first for part in stretches] == [1, *ends[:-1]]
    assert stretches[0].began_at == 10.0
    assert [part.slices for part in stretches[-MAX_ROWS // 4 :]] == [1] * (MAX_ROWS // 4)


def test_platforms_beyond_measure_are_counted_as_one() -> None:
    """A worker that invents names must not make records grow without end."""
    usage = Usage()
    for number in range(100):
        usage = usage.with_slice(f"p{number}", 1.0)
    rest = 100 - MAX_PLATFORMS
    assert len(usage.platforms) == MAX_PLATFORMS + 1
    assert usage.platforms[OTHER_PLATFORMS] == PlatformUsage(slices=rest, seconds=float(rest))
    assert job(platforms=usage.platforms).usage == usage


@pytest.mark.parametrize(
    "forged",
    [
        (1, 1, "<script>", "w", 1.0, 1.0, 1.0, 0.5, "deadline"),
        (0, 1, "local", "w", 1.0, 1.0, 1.0, 0.5, "deadline"),
        (1, 1, "local", "w", -1.0, 1.0, 1.0, 0.5, "deadline"),
        (1, 1, "local", "w", 1.0, 1.0, 1.0, 0.5, "x" * 1_000_000),
    ],
    ids=["platform", "number", "time", "length"],
)
def test_a_stretch_with_forged_values_is_left_out(forged: Row) -> None:
    """One bad row would hide the others, and its text reach a terminal or a page."""
    good = _stretch(7)
    read = job(history=History(rows=(forged, *History().extended(good).rows))).history
    assert (read.stretches, read.latest) == ((good,), good)
    assert History(rows=(forged,)).latest is None
    assert len(History(rows=(forged,) * MAX_ROWS).extended(good).rows) < MAX_ROWS


def test_a_row_that_is_left_out_takes_no_other_along() -> None:
    """A slice that can be read would vanish from the history as well."""
    history = History()
    for number in range(1, MAX_ROWS + 1):
        history = history.extended(_stretch(number))
    forged = (0, *history.rows[0][1:])
    after = History(rows=(forged, *history.rows[1:])).extended(_stretch(MAX_ROWS + 1)).stretches
    assert sum(part.slices for part in after) == MAX_ROWS


@pytest.mark.parametrize(
    "rows",
    [
        ["text"],
        [[]],
        [{}],
        [7],
        [list(range(9))],
        [(*ROW[:7], float("nan"), "")],
        [ROW] * (MAX_ROWS + 1),
    ],
)
def test_rows_that_are_no_rows_are_refused(rows) -> None:
    """A forged record could carry megabytes where a worker looks at none of them."""
    with pytest.raises(ValidationError):
        History.model_validate({"rows": rows})

"""What became of a job's slices, as people later want to see and to pay it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from outlast.checkpoint.history import (
    LONGEST,
    MOST_PLATFORMS,
    OTHER,
    Stretch,
    Usage,
    added,
    extended,
    read,
)
from outlast.checkpoint.parts import Checkpoint, Lease, digest_of
from outlast.checkpoint.record import Record
from outlast.checkpoint.status import Status


def _job(**fields) -> Record:
    base = {"job_id": "a", "kernel": "k", "params": {}, "created_at": 1.0, "updated_at": 1.0}
    return Record(**base | fields)


def _lease(at: float, *, risk: float = 20.0, platform: str = "local") -> Lease:
    return Lease(
        worker="w",
        platform=platform,
        token="t",
        claimed_at=at,
        expires_at=at + 60.0,
        at_risk_seconds=risk,
    )


def _saved(record: Record, at: float, progress: float) -> Record:
    state = str(at).encode()
    return record.saved(
        Checkpoint(
            state=state,
            digest=digest_of(state),
            version=1,
            slice=record.slice,
            progress=progress,
            saved_at=at,
        )
    )


def _stretch(number: int) -> Stretch:
    return Stretch(
        first=number,
        platform="local",
        worker=f"w{number}",
        began_at=10.0 * number,
        ended_at=10.0 * number + 4.0,
        seconds=4.0,
        progress=number / 1000,
        ending="deadline",
    )


def test_an_ended_slice_says_where_it_ran_how_far_it_came_and_why_it_ended() -> None:
    """Who asks why a job is slow would have nothing to look at."""
    running = _saved(_job().claimed(_lease(100.0, platform="lambda/arm64/1769")), 109.0, 0.25)
    ended = running.released().noted(running, "SIGTERM", 110.0)
    (found,) = ended.history
    assert (found.first, found.slices, found.ending, found.progress) == (1, 1, "SIGTERM", 0.25)
    assert (found.began_at, found.ended_at, found.seconds) == (100.0, 110.0, 10.0)
    assert ended.usage == {"lambda/arm64/1769": Usage(slices=1, seconds=10.0)}


def test_a_slice_that_was_killed_is_in_the_history_too() -> None:
    """Lambda bills an invocation that it kills; a bill without it would be too low."""
    held = _saved(_job().claimed(_lease(100.0)), 130.0, 0.1)
    again = held.claimed(_lease(500.0))
    (found,) = again.history
    assert (found.ending, found.ended_at, found.seconds) == ("lost", 150.0, 50.0)
    assert again.redone_seconds == 20.0


def test_a_cancelled_slice_ends_where_it_was_last_heard_of() -> None:
    """The time of a job that was stopped half-way is billed as well."""
    held = _job(updated_at=104.0).claimed(_lease(100.0)).cancelled()
    (found,) = held.history
    assert (held.status, found.ending, found.seconds) == (Status.CANCELLED, "cancelled", 4.0)


def test_a_clock_that_goes_backwards_gives_no_negative_time() -> None:
    """Two workers' clocks differ; a negative time would make the record unreadable."""
    held = _job().claimed(_lease(100.0))
    ended = held.released().noted(held, "deadline", 90.0)
    assert ended.history[0].seconds == 0.0
    assert Record.model_validate_json(ended.model_dump_json()) == ended


def test_a_long_job_keeps_its_whole_course_in_a_bounded_space() -> None:
    """A record that grows with every slice slows each of them, and at last cannot be stored."""
    lines: tuple[str, ...] = ()
    for number in range(1, 1001):
        lines = extended(lines, _stretch(number))
        assert len(lines) <= LONGEST
    history = read(lines)
    assert sum(part.slices for part in history) == 1000
    assert sum(part.seconds for part in history) == pytest.approx(4000.0)
    ends = [part.first + part.slices for part in history]
    assert [part.first for part in history] == [1, *ends[:-1]]
    assert history[0].began_at == 10.0
    assert [part.slices for part in history[-LONGEST // 4 :]] == [1] * (LONGEST // 4)


def test_platforms_beyond_measure_are_counted_as_one() -> None:
    """A worker that invents names must not make records grow without end."""
    usage: dict[str, Usage] = {}
    for number in range(100):
        usage = added(usage, f"p{number}", 1.0)
    assert len(usage) == MOST_PLATFORMS + 1
    assert usage[OTHER] == Usage(slices=100 - MOST_PLATFORMS, seconds=100.0 - MOST_PLATFORMS)
    assert _job(usage=usage).usage == usage


@pytest.mark.parametrize("line", ["", "[]", "{}", "7", '["<script>",1,1,1,1,1,1,1,1]'])
def test_what_is_no_stretch_is_left_out(line) -> None:
    """One bad line would hide the others, and its text reach a terminal or a page."""
    good = _stretch(7)
    assert _job(past=(line, good.line)).history == (good,)
    assert len(extended((line,) * LONGEST, good)) < LONGEST


def test_a_line_that_is_left_out_takes_no_other_along() -> None:
    """A slice that can be read would vanish from the history as well."""
    lines = tuple(_stretch(number).line for number in range(1, LONGEST + 1))
    after = read(extended(("{}", *lines[1:]), _stretch(LONGEST + 1)))
    assert sum(part.slices for part in after) == LONGEST


def test_a_hostile_platform_is_refused() -> None:
    """It is shown on a terminal and on a page."""
    values = _stretch(1).model_dump()
    with pytest.raises(ValidationError, match="platform"):
        Stretch.model_validate(values | {"platform": "<script>"})

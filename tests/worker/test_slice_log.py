"""What a person who reads the log of a worker learns of a slice, and how often."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import pytest

from outlast.kernel import MachineFault, NonRetryable
from outlast.worker.slices.health import BrokenWorker
from tests.kernels import Counting, raising

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.worker.floor import Floor


class Line(NamedTuple):
    """One line of the log: when, how bad, which event, and its text."""

    at: float
    level: str
    event: str | None
    text: str


@pytest.fixture
def lines(floor: Floor) -> Callable[[], list[Line]]:
    """What the log of this test has from INFO on, with the seconds since its begin."""
    begun, seen = floor.clock(), list[Line]()
    handler = logging.Handler(logging.INFO)
    handler.emit = lambda record: seen.append(  # type: ignore[method-assign]
        Line(
            round(floor.clock() - begun, 2),
            record.levelname,
            getattr(record, "event", None),
            record.getMessage(),
        )
    )
    log = logging.getLogger("outlast")
    before = log.level
    log.setLevel(logging.INFO)
    log.addHandler(handler)

    def of_test() -> list[Line]:
        log.removeHandler(handler)
        log.setLevel(before)
        return seen

    return of_test


def events(lines: list[Line]) -> list[str | None]:
    """The events of lines."""
    return [line.event for line in lines]


def test_a_short_slice_is_one_line(floor: Floor, lines: Callable[[], list[Line]]) -> None:
    """A job of short slices would fill the log with two lines for each of them."""
    floor.step_seconds = 0.01
    floor.submit()
    floor.work()
    assert events(lines()) == ["slice_ended", "job_succeeded"]


def test_a_slice_tells_that_it_runs_and_how_it_gets_on(
    floor: Floor, lines: Callable[[], list[Line]]
) -> None:
    """A person would not know whether a worker works, on what, and when that is done."""
    floor.step_seconds = 0.0
    floor.watched = lambda _: floor.busy(5)
    floor.submit()
    floor.work(seconds=132)
    told = [line for line in lines() if line.event == "slice_running"]
    assert [line.at for line in told] == pytest.approx([1, 61, 121], abs=1.1)
    first, second, _ = (line.text for line in told)
    assert first == "job job-1 slice 1 runs on w, at 0.00% after 1 s: speed not known yet"
    assert second == "job job-1 slice 1 runs on w, at 40.00% after 61 s: 0.67 %/s, 1:29 left"


def test_a_kernel_that_prepares_is_named(floor: Floor, lines: Callable[[], list[Line]]) -> None:
    """A worker that compiles for half a minute would look as if it hung."""
    kernel = Counting(lambda _: floor.busy(2), prepare=lambda _: floor.busy(35))
    floor.submit()
    floor.work(floor.process(kernel=kernel), seconds=60)
    preparing, running, ended = lines()
    assert (preparing.at, preparing.event) == (1, "kernel_preparing")
    assert "job job-1 slice 1 prepares kernel counting, for 1 s so far" in preparing.text
    assert (running.at, running.event) == (36, "slice_running")
    assert ended.event == "slice_ended"


def test_a_kernel_that_is_ready_at_once_does_not_prepare(
    floor: Floor, lines: Callable[[], list[Line]]
) -> None:
    """Each slice would say that it compiles what was compiled long ago."""
    kernel = Counting(lambda _: floor.busy(2), prepare=lambda _: floor.clock.sleep(0.4))
    floor.submit()
    floor.work(floor.process(kernel=kernel), seconds=10)
    assert "kernel_preparing" not in events(lines())


def test_a_kernel_without_a_safe_point_is_named_once(
    floor: Floor, lines: Callable[[], list[Line]]
) -> None:
    """A person would find out by a stop that loses what was done, or a cancel that never comes."""
    floor.at(2, lambda: floor.busy(600))
    floor.submit()
    floor.work()
    (overdue,) = (line for line in lines() if line.event == "safe_point_overdue")
    assert (overdue.level, overdue.at) == ("WARNING", pytest.approx(61, abs=1.5))
    assert "kernel counting has come to no safe point for 60 s" in overdue.text
    assert "let it yield more often, or run it isolated (--isolate" in overdue.text


def test_steps_that_are_known_to_be_long_are_no_news(
    floor: Floor, lines: Callable[[], list[Line]]
) -> None:
    """A training of long steps would warn once a step, of what its author knows."""
    floor.watched = lambda _: floor.busy(90)
    floor.submit()
    floor.work(seconds=1000)
    floor.work(seconds=1000)
    warned = [line.at for line in lines() if line.event == "safe_point_overdue"]
    assert len(warned) == 1, "of the first, before it is known"


def test_a_slow_store_is_not_the_kernels_fault(
    floor: Floor, lines: Callable[[], list[Line]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An author would be told to mend a kernel that waits for its store."""
    process = floor.process()
    replace_, slow = process.jobs.advance, [True]

    def advance(*args: object, **how: object) -> object:
        if slow.pop() if slow else False:
            floor.busy(90)
        return replace_(*args, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(process.jobs, "advance", advance)
    floor.submit()
    floor.work(process)
    assert "safe_point_overdue" not in events(lines())


ERROR = "ValueError: boom"


def test_an_error_is_told_once(floor: Floor, lines: Callable[[], list[Line]]) -> None:
    """A person would take one error for three."""
    floor.submit(max_failures=2)
    floor.kernel = raising(ValueError("boom"), 1)
    floor.work()
    floor.clock.sleep(60)
    floor.work()
    told = lines()
    assert events(told) == ["kernel_failed", "slice_ended"] * 2 + ["job_failed"]
    assert [ERROR in line.text for line in told] == [True, False, True, False, False]
    assert told[1].text.endswith("s: error, to be tried again")
    assert told[-1].text == "job job-1 failed (error 2 in a row without progress)"


def test_an_error_that_no_other_line_has_is_told_at_the_end(
    floor: Floor, lines: Callable[[], list[Line]]
) -> None:
    """A job would end, and the log not say why."""
    floor.submit(max_compute_seconds=2.0)
    floor.work()
    *_, ended, failed = lines()
    assert ended.text.endswith("s: failed")
    assert failed.text.startswith("job job-1 failed: reached its ceiling")


@pytest.mark.parametrize(
    ("error", "events"),
    [
        (MachineFault("no GPU"), ["worker_fault"]),
        (NonRetryable("no GPU"), ["kernel_not_prepared", "kernel_failed"]),
    ],
)
def test_what_keeps_a_kernel_from_preparing_and_from_running_is_told_once(
    floor: Floor, lines: Callable[[], list[Line]], error: Exception, events: list[str]
) -> None:
    """Each attempt on a broken machine would be two errors, nearly the same."""

    def fail(_: object) -> None:
        raise error

    floor.kernel = raising(error, 0)
    vars(floor.kernel)["prepare"] = fail
    floor.submit()
    with suppress(BrokenWorker):
        floor.work()
    assert [line.event for line in lines() if "no GPU" in line.text] == events


def test_what_a_kernel_prepares_in_vain_is_told_before_it_runs(
    floor: Floor, lines: Callable[[], list[Line]]
) -> None:
    """A driver that is too old would take the process down, and nobody read that it is."""

    def fail(_: object) -> None:
        raise ValueError("the driver is too old")

    told: list[str | None] = []
    floor.kernel = Counting(lambda _: told.extend(x.event for x in lines()), prepare=fail)
    floor.submit()
    floor.work()
    assert told[0] == "kernel_not_prepared"


def test_what_a_kernel_prepares_in_vain_is_told_beside_another_error(
    floor: Floor, lines: Callable[[], list[Line]]
) -> None:
    """The cause would be missing, and only what follows from it be shown."""

    def fail(_: object) -> None:
        raise ImportError("no compiler")

    floor.kernel = raising(ValueError("boom"), 0)
    vars(floor.kernel)["prepare"] = fail
    floor.submit()
    floor.work()
    first, second, _ = lines()
    assert (first.event, second.event) == ("kernel_not_prepared", "kernel_failed")
    assert "did not prepare: ImportError: no compiler" in first.text

"""What is told of a divided job, and done to it, is told of the whole job, and done to it."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

import pytest

from outlast.checkpoint.record import Record
from outlast.checkpoint.record_parts import Limits
from outlast.checkpoint.status import Status
from outlast.kernel.errors import DoesNotFit
from outlast.worker.cli.live_table import cells_of
from outlast.worker.jobs.parts import parts_of, with_parts
from outlast.worker.loops.consumer import Consumer
from outlast.worker.loops.left_messages import LeftMessages
from outlast.worker.queues.message import ForeignMessage
from outlast.worker.slices.deliver import deliver
from outlast.worker.slices.timing import SHORTEST_LEASE_SECONDS
from tests.fakes import FakeClock
from tests.kernels import Dividing, PartState, Pieces, expected
from tests.worker.floor import JOB, Killed
from tests.worker.parts import STEPS, divided, fleet, part, receive, submit, wake, work

if TYPE_CHECKING:
    from collections.abc import Callable


def test_the_end_of_a_part_is_not_told_as_the_end_of_its_job(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A count of jobs that succeeded would be one of parts, and no line tell its part."""
    caplog.set_level(logging.INFO, "outlast")
    floor = divided()
    submit(floor)
    work(floor)
    events = [record.event for record in caplog.records if hasattr(record, "event")]
    assert events.count("job_succeeded") == 1
    assert events.count("slice_ended") > 20
    assert f"job {JOB} part 7 slice 1 ended at 100.00%" in caplog.text


class Telling(Dividing):
    """Tells how far its parts are."""

    def next_piece(self, plan: Pieces, state: PartState) -> int:  # noqa: ARG002
        """Return the next step."""
        return state.at


@pytest.mark.parametrize(("kernel", "at"), [(Dividing, ""), (Telling, r" at [1-9]\d?\.\d\d%")])
def test_a_part_that_runs_is_not_told_to_be_at_its_beginning(
    kernel: type[Dividing], at: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A person would believe that hours of work have come to 0%."""
    caplog.set_level(logging.DEBUG, "outlast")
    floor = divided()
    floor.kernel = kernel(floor.step)
    submit(floor, parallel=1)
    work(floor, until=lambda: "saved" in caplog.text, slice_seconds=3.0)
    lines = [line for line in caplog.messages if "part 0" in line]
    assert any(re.fullmatch(rf".* part 0 slice 1 saved{at} in .* s", line) for line in lines)
    assert any(re.match(rf".* part 0 slice 1 ended{at} after .*: deadline", line) for line in lines)


class Large(Dividing):
    """Takes more memory than this worker grants."""

    def part(self, *_: object) -> Any:
        """Refuse before any work."""
        raise DoesNotFit("it takes 2 GiB")
        yield


def test_a_worker_that_can_run_no_part_of_a_job_tells_it_now_and_then(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log would have the same line for each part; or an alarm on it end, and all seem well."""
    floor = divided()
    submit(floor)
    work(floor, until=lambda: fleet(floor).is_cut)
    floor.kernel = Large(floor.step)
    consumer, began = Consumer(floor.process(), slice_seconds=None), floor.clock()
    consumer.run(done=lambda: floor.clock() > began + 590)
    told = f"left for other workers or the dead-letter queue: job {JOB}: it takes 2 GiB"
    assert caplog.messages == [told]
    consumer.run(done=lambda: floor.clock() > began + 890)
    assert caplog.messages == [told] * 2


def test_each_message_that_is_of_no_job_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """Of two alike in the dead-letter queue the log would know one."""
    left = LeftMessages(logging.getLogger("outlast.test"), FakeClock())
    for _ in range(2):
        left.tell(ForeignMessage("not a message of this system: 'x'"))
    assert len(caplog.messages) == 2


def test_a_job_whose_part_fails_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """An alarm on failed jobs would be silent, or ring for each part."""
    caplog.set_level(logging.INFO, "outlast")
    floor = divided()
    submit(floor)
    limits = Limits(max_failures=1)
    floor.change(lambda job: job.model_copy(update={"limits": limits}))

    def fail(at: int) -> None:
        if at == 50:
            raise RuntimeError("no")

    floor.kernel = Dividing(fail)
    work(floor)
    assert floor.record.status is Status.FAILED
    events = [record.event for record in caplog.records if hasattr(record, "event")]
    assert (events.count("job_failed"), events.count("job_succeeded")) == (1, 0)


def test_a_person_sees_what_keeps_a_part_from_its_end() -> None:
    """A job whose part fails again and again would look like one that only takes its time."""
    floor = divided()
    submit(floor)
    errors: list[int] = []

    def fail_once(at: int) -> None:
        floor.clock.sleep(0.5)
        if at == 50 and not errors:
            errors.append(at)
            raise RuntimeError("no row 50")

    def seen() -> Record:
        return with_parts(floor.jobs, floor.record)[0]

    floor.kernel = Dividing(fail_once)
    work(floor, until=lambda: bool(errors))
    assert re.match(r"part \d+: RuntimeError: no row 50", seen().error or "")
    assert floor.record.updated_at < seen().updated_at <= floor.clock()
    work(floor, until=lambda: seen().error is None)
    assert floor.record.is_divided
    work(floor)
    assert floor.record.result == expected(STEPS)


def test_a_worker_that_was_killed_soon_counts_for_nothing() -> None:
    """A person would plan by the speed of workers that are gone, and look for them."""
    floor = divided()
    submit(floor)

    def seen() -> tuple[int, bool, str]:
        job, parts = with_parts(floor.jobs, floor.record)
        assert parts is not None
        where = cells_of(job, floor.clock(), parts)["WHERE"]
        return parts.running, parts.rate.per_second is not None, where

    def die(operation: str) -> None:
        if operation == "put" and part(floor, 3) and seen()[0]:
            raise Killed

    with floor.hooked("after", die), pytest.raises(Killed):
        work(floor)
    assert seen() == (1, True, "local")
    floor.clock.sleep(SHORTEST_LEASE_SECONDS)
    assert seen() == (0, False, "-")


@pytest.mark.parametrize("prepare_seconds", [0.0, 2.0])
def test_the_time_left_of_a_divided_job_is_right_once_a_part_is_done(
    prepare_seconds: float,
) -> None:
    """A person would learn only at the end when it ends."""
    floor = divided()

    class Prepared(Dividing):
        def prepare(self, *_: object) -> None:
            floor.clock.sleep(prepare_seconds)

    floor.kernel = Prepared(floor.step)
    submit(floor, parallel=1)
    told: list[tuple[float, float]] = []

    def look(_: int) -> None:
        parts = parts_of(floor.jobs, floor.record)
        if parts and parts.rate.seconds_left is not None:
            told.append((floor.clock(), parts.rate.seconds_left))

    floor.watched = look
    work(floor)
    assert len(told) > 0.8 * STEPS
    for now, seconds in told:
        assert seconds == pytest.approx(floor.clock() - now, rel=0.1, abs=1.0)


@pytest.mark.parametrize("move", [Record.resumed, Record.retried], ids=["resumed", "retried"])
def test_whoever_wakes_a_divided_job_wakes_its_parts(move: Callable[[Record], Record]) -> None:
    """A job that ran in one place, and is left to the workers, would sleep until a sweep."""
    floor = divided()
    submit(floor)
    deliver(floor.process(), receive(floor))
    floor.messages()
    floor.change(move)
    wake(floor)
    work(floor)
    assert floor.record.result == expected(STEPS)

"""What is told of a divided job, and done to it, is told of the whole job, and done to it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from outlast.checkpoint.record import Record
from outlast.checkpoint.record_parts import Limits
from outlast.checkpoint.status import Status
from outlast.worker.slices.deliver import deliver
from tests.kernels import Dividing, expected
from tests.worker.floor import JOB
from tests.worker.parts import STEPS, divided, receive, submit, wake, work

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

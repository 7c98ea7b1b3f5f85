"""One job on many workers: its parts are called, computed and added up, each exactly once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from outlast.checkpoint.fleet import Fleet, Place
from outlast.checkpoint.status import Status
from outlast.checkpoint.survey import Survey
from outlast.kernel import NonRetryable
from outlast.worker.queues.message import Message
from outlast.worker.slices.fleet.last_cut import LastCut
from outlast.worker.slices.leased_job import JobMoved
from tests.kernels import Dividing, expected
from tests.records import job
from tests.worker.floor import JOB, Floor

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record

STEPS = 100


def divided(floor: Floor, *, parallel: int = 2, steps: int = STEPS, **fields: Any) -> Record:
    """Submit a job for so many workers."""
    floor.kernel = Dividing(floor.step)
    record = floor.submit(kernel="dividing", steps=steps, send=False, **fields)
    floor.change(lambda job: job.model_copy(update={"fleet": Fleet.of(parallel)}))
    floor.queue.send(record_message())
    return record


def record_message() -> Any:
    """Return the first message of the job."""
    from outlast.worker.queues.message import Message

    return Message(job_id=JOB, slice=1)


def work_all(floor: Floor, *, seconds: float | None = None) -> int:
    """Work one delivery after another until no message is left; return how many it took."""
    deliveries = 0
    while True:
        delivery = floor.queue.receive(visibility_seconds=4.0, wait_seconds=0.0)
        if delivery is None:
            return deliveries
        from outlast.worker.slices.deliver import deliver

        handled = deliver(floor.process(), delivery, seconds=seconds)
        if handled.ack:
            floor.queue.ack(delivery)
        deliveries += 1
        assert deliveries < 10_000


def test_a_divided_job_has_the_result_of_one_worker() -> None:
    """Else more workers would cost the right answer."""
    floor = Floor()
    divided(floor)
    work_all(floor)
    assert floor.record.status is Status.SUCCEEDED, floor.record.error
    assert floor.record.result == expected(STEPS)
    assert [key for key in floor.register.keys("") if key.startswith("parts/")] == []


def test_many_parts_of_many_groups() -> None:
    """Three levels of groups, and windows that open one after the other."""
    floor = Floor(step_seconds=0.01)
    divided(floor, parallel=30, steps=2000)
    count = work_all(floor)
    assert floor.record.result == expected(2000)
    assert floor.record.fleet.parts > 300
    assert count < 1.3 * floor.record.fleet.parts


def test_a_job_that_has_just_ended_has_no_parts() -> None:
    """A late message of a part would take down the worker that has claimed it a moment before."""
    floor = Floor()
    divided(floor)
    work_all(floor)
    assert floor.record.fleet is not None
    with pytest.raises(JobMoved):
        LastCut().of(floor.jobs, JOB, floor.record.fleet.birth or "")


def test_a_group_may_be_open_behind_one_that_is_not() -> None:
    """After a pause its parts would never be called again, and the job would not end."""
    floor = Floor()
    fleet = Fleet(parallel=1, birth="0" * 16, parts=16 * 5, window=2)
    added_up = fleet.node(Place(1, 1))
    floor.jobs.create(job(job_id=JOB, status=Status.SUCCEEDED, node=added_up))
    groups = [group.place.number for group in Survey(floor.jobs.nodes, JOB, fleet).open]
    assert groups == [0, 3]


class Killed(BaseException):
    """The worker is gone."""


def test_a_part_that_is_begun_again_survives_its_worker() -> None:
    """A retried job would sleep until a sweep, if the worker died that has begun its part again."""
    floor = Floor()
    errors: list[Exception] = [NonRetryable("no")]
    divided(floor)
    floor.watched = lambda step: _raise_once(errors, at=STEPS // 2, step=step)
    work_all(floor)
    assert floor.record.status is Status.FAILED
    record = floor.change(lambda job: job.retried())
    floor.queue.send(Message.of(record))
    puts: list[str] = []

    def kill(name: str) -> None:
        puts.extend([name] * (name == "put"))
        # Of the walk, then of the part: to claim it, and to save.
        if len(puts) == 4:
            raise Killed

    with floor.hooked("before", kill), pytest.raises(Killed):
        work_all(floor)
    floor.clock.sleep(60.0)
    work_all(floor)
    assert floor.record.result == expected(STEPS)


def _raise_once(errors: list[Exception], *, at: int, step: int) -> None:
    if errors and step == at:
        raise errors.pop()

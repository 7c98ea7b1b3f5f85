"""A divided job on the floor that tests of the worker stand on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from outlast.checkpoint.fleet import Fleet, Node
from outlast.worker.queues.message import Message
from outlast.worker.slices.deliver import deliver
from tests.kernels import Dividing, Params, Pieces, State, Stretch
from tests.worker.floor import JOB, Floor, Killed

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.checkpoint.record import Record

STEPS = 100


class GoesOn(Dividing):
    """Leaves the last steps to `run`."""

    def plan(self, params: Params) -> Pieces:
        """All steps but ten."""
        return Pieces(steps=params.steps - 10)

    def conclude(self, params: Params, plan: Pieces, total: Stretch) -> State:  # noqa: ARG002
        """Return the state of `run` after these steps."""
        return State(at=plan.steps, total=total.more)


def divided() -> Floor:
    """Return a floor whose workers run the dividing kernel."""
    floor = Floor()
    floor.kernel = Dividing(floor.step)
    return floor


def submit(floor: Floor, *, parallel: int = 2, steps: int = STEPS, **fields: Any) -> Record:
    """Submit a job for so many workers."""
    floor.submit(kernel="dividing", steps=steps, send=False, **fields)
    record = floor.change(lambda job: job.model_copy(update={"fleet": Fleet.of(parallel)}))
    wake(floor)
    return record


def wake(floor: Floor) -> None:
    """Send a message for the job, as a person's command does."""
    floor.queue.send(Message(job_id=JOB, slice=floor.record.slice_number))


def work(floor: Floor, until: Callable[[], bool] = lambda: False, **options: Any) -> int:
    """Work one delivery after another until none is left; return how many it took."""
    for deliveries in range(10_000):
        delivery = None if until() else receive(floor)
        if delivery is None:
            return deliveries
        if deliver(floor.process(), delivery, **options).ack:
            floor.queue.ack(delivery)
    raise AssertionError("it goes on for ever")


def work_though_killed(floor: Floor, is_time: Callable[[], bool], moment: str = "after") -> None:
    """Work until a worker is killed "before" or "after" a write, then let another one go on."""

    def die(operation: str) -> None:
        if operation == "put" and is_time():
            raise Killed

    with floor.hooked(moment, die), pytest.raises(Killed):
        work(floor)
    floor.clock.sleep(120)
    work(floor)


def receive(floor: Floor) -> Any:
    """The next delivery, or None."""
    return floor.queue.receive(visibility_seconds=4.0, wait_seconds=0.0)


def fleet(floor: Floor) -> Fleet:
    """How the job is shared."""
    assert floor.record.fleet
    return floor.record.fleet


def part(floor: Floor, number: int) -> Record | None:
    """What is stored of a part."""
    birth = fleet(floor).birth
    stored = birth and floor.jobs.load_node(JOB, Node(birth=birth, number=number))
    return stored.record if stored else None


def parts_stored(floor: Floor) -> list[str]:
    """The keys of all parts and groups."""
    return list(floor.register.keys("parts/"))

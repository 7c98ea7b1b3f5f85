"""Claims of brief slices, which are stored with the first write of their slice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from outlast.checkpoint.status import Status
from outlast.kernel import UnknownKernel
from outlast.worker.slices.brevity import BRIEF_SECONDS, RECENT
from outlast.worker.slices.deadline import Deadline
from outlast.worker.slices.deliver import deliver
from tests.kernels import expected
from tests.worker.floor import Floor, Killed
from tests.worker.test_arrays import Hall

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.worker.slices.worker_process import AnyKernel, WorkerProcess


@pytest.fixture
def floor() -> Floor:
    """A floor with a job of one brief step."""
    floor = Floor(step_seconds=0.01)
    floor.submit(steps=1)
    return floor


def used_to_brief(floor: Floor, worker: str = "w", **changes: Any) -> WorkerProcess:
    """A worker whose last slices were brief."""
    process = floor.process(worker, **changes)
    for _ in range(RECENT):
        process.brevity.saw(floor.record.kernel, 0.01)
    return process


def writes(floor: Floor) -> int:
    """How often the job was written since it was submitted."""
    return floor.record.revision.writes - 1


def meanwhile(floor: Floor, act: Callable[[], object]) -> None:
    """Let `act` happen within the first step, and in no other."""

    def once(_: int) -> None:
        floor.watched = lambda _: None
        act()

    floor.watched = once


def test_a_brief_slice_is_one_write(floor: Floor) -> None:
    """Small jobs would cost two writes each, and wait for the disk twice."""
    floor.work(used_to_brief(floor))
    assert floor.record.result == expected(1)
    assert writes(floor) == 1
    assert floor.record.usage.slices_begun == 1
    assert floor.record.guards.stalls == 0
    assert floor.messages() == []


def test_a_worker_learns_which_slices_are_brief(floor: Floor) -> None:
    """What is not known yet may take long, and others would do it at the same time."""
    process = floor.process()
    for number in range(2 * RECENT):
        floor.submit(f"small-{number}", steps=1)
    for _ in range(2 * RECENT + 1):
        floor.work(process)
    every = [floor.jobs.load(f"small-{n}").record.revision.writes for n in range(2 * RECENT)]
    # The job of the fixture came first.
    assert every == [3] * (RECENT - 1) + [2] * (RECENT + 1)


@pytest.mark.parametrize("seconds", [BRIEF_SECONDS, 2 * BRIEF_SECONDS])
def test_one_slice_that_is_not_brief_counts(floor: Floor, seconds: float) -> None:
    """Two workers would do the same for longer than a claim takes."""
    process = used_to_brief(floor)
    process.brevity.saw(floor.record.kernel, seconds)
    floor.work(process)
    assert writes(floor) == (1 if seconds <= BRIEF_SECONDS else 2)


def test_a_duplicate_at_the_same_time_writes_nothing(floor: Floor) -> None:
    """A result would be written twice, and each slice billed twice."""
    first, second = used_to_brief(floor, "first"), used_to_brief(floor, "second")
    delivery = floor.receive()
    meanwhile(floor, lambda: deliver(second, delivery))
    handled = deliver(first, delivery)
    assert handled.ack
    assert floor.record.result == expected(1)
    assert floor.record.usage.slices_begun == writes(floor) == 1
    assert floor.record.history.latest is not None
    assert floor.record.history.latest.worker == "second"


def test_a_slice_that_takes_long_after_all_has_its_claim_stored(floor: Floor) -> None:
    """The sweep would wake the job, `status` call it queued, and another worker begin it too."""
    seen = []

    def linger() -> None:
        floor.busy(1.0)
        seen.append(floor.record)

    meanwhile(floor, linger)
    floor.work(used_to_brief(floor))
    assert [record.status for record in seen] == [Status.RUNNING]
    assert seen[0].usage.slices_begun == seen[0].guards.stalls == 1
    assert floor.record.result == expected(1)
    assert floor.record.usage.slices_begun == 1


def test_a_worker_that_dies_in_a_brief_slice_is_counted_at_the_next_try(floor: Floor) -> None:
    """A job that takes its workers down would do so for as long as the queue delivers it."""

    def die(_: str) -> AnyKernel:
        raise Killed

    for stalls in (0, 1, 2):
        with pytest.raises(Killed):
            floor.work(used_to_brief(floor, kernels=die))
        assert floor.record.guards.stalls == stalls
        floor.clock.sleep(3600.0)
    floor.work(used_to_brief(floor))
    assert floor.record.result == expected(1)


def test_a_job_that_did_not_advance_is_claimed_first(floor: Floor) -> None:
    """Its next message is new: it would not show that a worker has died with the job."""
    floor.claim(seconds=5.0)
    floor.clock.sleep(10.0)
    seen = []
    meanwhile(floor, lambda: seen.append(floor.record.status))
    floor.work(used_to_brief(floor))
    assert seen == [Status.RUNNING]


def test_a_pause_in_a_brief_slice_stays(floor: Floor) -> None:
    """The job would go on although a person has stopped it; a moment's work is done again."""
    meanwhile(floor, lambda: floor.change(lambda record: record.paused()))
    floor.work(used_to_brief(floor))
    assert floor.record.status is Status.PAUSED
    assert floor.record.usage.slices_begun == 0


def test_a_claim_that_is_not_used_is_not_written(floor: Floor) -> None:
    """A worker that is told to stop would write twice to leave a job as it was."""
    process = used_to_brief(floor)
    with Deadline() as stop:
        floor.kernel.prepare = lambda _: setattr(stop, "_reason", "SIGTERM")  # type: ignore[method-assign]
        handled = deliver(process, floor.receive(), stop=stop)
    assert not handled.ack
    assert writes(floor) == 0
    assert floor.record.status is Status.QUEUED


def test_a_direct_call_is_claimed_first(floor: Floor) -> None:
    """Whoever calls again would begin the job a second time."""
    delivery = floor.receive()
    process = used_to_brief(floor)
    deliver(process, type(delivery)(delivery.body, receipt=""))
    assert writes(floor) == 2


def test_what_cannot_run_here_is_told_all_the_same(floor: Floor) -> None:
    """Nobody would learn why the job waits."""

    def lack(_: str) -> AnyKernel:
        raise UnknownKernel("no such kernel")

    with pytest.raises(UnknownKernel):
        floor.work(used_to_brief(floor, kernels=lack))
    assert floor.record.error == "worker w cannot run it: no such kernel"
    assert writes(floor) == 1
    assert floor.record.usage.slices_begun == floor.record.guards.stalls == 0


def test_a_claim_under_which_arrays_are_sent_is_stored_first() -> None:
    """`outlast prune` would take its chunks for those of a worker that was killed."""
    hall = Hall()
    hall.step_seconds = 0.001
    process, before = hall.process(), []
    hall.watched = lambda _: before.append(hall.record.status)
    hall.submit(steps=RECENT + 2, kernel="field")
    for _ in range(RECENT + 2):
        hall.work(process, seconds=0.0)
    assert before == [Status.RUNNING] * (RECENT + 2)

"""Claims of brief slices, which are stored with the first write of their slice."""

from __future__ import annotations

import errno
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

from outlast.checkpoint.errors import DeletedJob, LeaseLost, StoreUnavailable
from outlast.checkpoint.fleet import Fleet, Node
from outlast.checkpoint.record_parts import Limits
from outlast.checkpoint.status import Status
from outlast.kernel import UnknownKernel
from outlast.worker.queues.contract import Delivery
from outlast.worker.queues.message import Message
from outlast.worker.slices.brevity import BRIEF_SECONDS, RECENT
from outlast.worker.slices.deadline import Deadline
from outlast.worker.slices.deliver import deliver
from outlast.worker.slices.health import BrokenWorker
from outlast.worker.slices.timing import Timing
from tests.kernels import expected, raising
from tests.records import changed, checkpoint, lease
from tests.worker.floor import JOB, Floor, Killed, failing
from tests.worker.test_arrays import Hall

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.checkpoint.record import Record
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


def test_a_pause_in_a_slice_that_takes_long_after_all_saves_what_it_has(floor: Floor) -> None:
    """A pause would cost the work since the slice began."""

    def pause() -> None:
        floor.jobs.change("long", lambda record: record.paused())
        floor.busy(1.0)

    floor.queue.ack(floor.receive())
    floor.submit("long", steps=30)
    meanwhile(floor, pause)
    floor.work(used_to_brief(floor))
    record = floor.jobs.load("long").record
    assert record.status is Status.PAUSED
    assert record.usage.steps == record.usage.slices_begun == 1


def test_a_message_that_is_noted_as_sent_meanwhile_costs_nothing(floor: Floor) -> None:
    """Whoever was faster than the worker before, as it notes that, would work in vain."""
    meanwhile(floor, lambda: floor.change(lambda record: record.marked_announced()))
    floor.work(used_to_brief(floor))
    assert floor.record.result == expected(1)
    assert writes(floor) == 2


def test_a_note_that_lands_late_is_not_taken_for_the_end_of_the_slice(floor: Floor) -> None:
    """The message would be acknowledged, and none would lead the job on until a sweep."""
    process = used_to_brief(floor)
    jobs, put = process.jobs, floor.register.put
    late: list[Callable[[], object]] = []

    def away(key: str, value: bytes, *, expected: str | None) -> str:
        late.append(lambda: put(key, value, expected=expected))
        raise StoreUnavailable("no answer")

    stored = jobs.load(JOB)
    with patch.object(floor.register, "put", away), pytest.raises(StoreUnavailable):
        jobs.replace(stored, stored.record.marked_announced())
    meanwhile(floor, late[0])
    floor.work(process)
    assert floor.record.result == expected(1)


@pytest.mark.parametrize(
    "lost",
    [Floor.claim, lambda floor: floor.jobs.discard(JOB)],
    ids=["claimed", "deleted"],
)
def test_a_worker_that_learns_that_another_one_has_the_job_stops_at_its_next_step(
    floor: Floor, lost: Callable[[Floor], object]
) -> None:
    """Both would compute the same until the first one's next save."""
    steps: list[int] = []

    def lose() -> None:
        lost(floor)
        with suppress(LeaseLost, DeletedJob):
            floor.busy(1.0)
        floor.watched = steps.append

    floor.queue.ack(floor.receive())
    floor.change(lambda record: changed(record, params={"steps": 1000}))
    floor.queue.send(Message(job_id=JOB, slice=1))
    meanwhile(floor, lose)
    floor.work(used_to_brief(floor, timing=Timing(checkpoint_seconds=600.0)))
    assert steps == []


@pytest.mark.parametrize(
    ("before", "claimed"),
    [
        ({"stalls": 1}, {}),
        ({"lease": lease()}, {}),
        ({}, {"lease": None}),
        ({}, {"quarantine": (checkpoint(),)}),
        ({}, {"node": Node(birth="0" * 16, number=0)}),
        ({}, {"fleet": Fleet(parallel=2)}),
    ],
    ids=str,
)
def test_a_claim_that_tells_more_is_stored_first(
    floor: Floor, before: dict[str, Any], claimed: dict[str, Any]
) -> None:
    """A job that takes its workers down would not be counted, or what a claim finds be lost."""
    brevity, delivery = used_to_brief(floor).brevity, floor.receive()
    plain = floor.record
    with_lease = changed(plain, lease=lease())
    assert brevity.may_wait(plain, with_lease, delivery)
    assert not brevity.may_wait(changed(plain, **before), changed(with_lease, **claimed), delivery)


@pytest.mark.parametrize(
    "change",
    [
        {"lease": lease(token="other's")},
        {"status": Status.CANCELLED},
        {"status": Status.SUCCEEDED},
        {"created_at": 7.0},
        {"slice_number": 2, "announced": True},
        {"slices_begun": 1},
        {"compute_seconds": 1.0},
    ],
    ids=str,
)
def test_a_brief_slice_writes_nothing_where_others_claimed_or_ended_the_job(
    floor: Floor, change: dict[str, Any]
) -> None:
    """A cancelled job would be there again, or two workers would write the same slice."""
    after: list[Record] = []

    def act() -> None:
        after.append(floor.change(lambda record: changed(record, **change)))

    meanwhile(floor, act)
    deliver(used_to_brief(floor), floor.receive())
    assert floor.record == after[0]


def test_a_claim_that_was_stored_and_is_gone_is_not_made_again(floor: Floor) -> None:
    """Where a store was set back, its worker would write as if nothing had happened."""
    before = dict(floor.register.values)
    meanwhile(floor, lambda: floor.register.values.update(before))
    deliver(floor.process(), floor.receive())
    assert writes(floor) == 0


def test_a_claim_that_met_an_outage_is_stored_with_the_next_beat(floor: Floor) -> None:
    """For most of a lease nobody would know that a worker has the job."""
    seen: list[Status] = []

    def linger() -> None:
        with patch.object(floor.register, "before", failing("put", StoreUnavailable("away"))):
            floor.busy(1.0)
        floor.busy(1.0)
        seen.append(floor.record.status)

    meanwhile(floor, linger)
    floor.work(used_to_brief(floor, timing=Timing(checkpoint_seconds=20.0)))
    assert seen == [Status.RUNNING]


def test_what_others_noted_meanwhile_outlives_a_claim_that_is_given_back(floor: Floor) -> None:
    """Three workers that cannot run a job would not be seen to be of one mind."""

    def lack(_: str) -> AnyKernel:
        floor.change(lambda record: record.doubted("OSError", "other", "disk full"))
        raise UnknownKernel("no such kernel")

    with pytest.raises(UnknownKernel):
        floor.work(used_to_brief(floor, kernels=lack))
    assert floor.record.guards.doubters == ("other",)


@pytest.mark.parametrize("status", [Status.QUEUED, Status.PAUSED])
def test_a_ceiling_that_is_lowered_meanwhile_holds(floor: Floor, status: Status) -> None:
    """A job would go on at its owner's expense."""
    floor.change(lambda record: changed(record, slices_begun=1))
    lowered = {"limits": Limits(max_slices=1), "status": status}
    meanwhile(floor, lambda: floor.change(lambda record: changed(record, **lowered)))
    floor.work(used_to_brief(floor))
    assert floor.record.result is None
    assert floor.record.usage.slices_begun == 1


def test_the_write_of_a_brief_slice_tells_how_long_a_write_takes(floor: Floor) -> None:
    """Leases would last as long as the first writes of a process let expect, for its whole life."""
    process = used_to_brief(floor)
    for _ in range(RECENT):
        process.timing.saw_write(2.0, 0)
    for number in range(RECENT):
        floor.submit(f"small-{number}", steps=1)
        floor.work(process)
    assert process.timing.write_seconds(0) == 0.0


def test_a_job_that_may_not_go_on_is_given_up_once(floor: Floor) -> None:
    """Its messages would be received for as long as the queue delivers them."""
    floor.change(lambda record: record.model_copy(update={"limits": Limits(max_slices=1)}))
    floor.change(lambda record: changed(record, slices_begun=1))
    floor.work(used_to_brief(floor))
    assert floor.record.status is Status.FAILED
    assert writes(floor) == 3


def test_a_claim_that_is_not_used_is_not_written(floor: Floor) -> None:
    """A worker that is told to stop would write twice to leave a job as it was."""
    process, stop = used_to_brief(floor), Deadline()
    with patch.object(floor.kernel, "prepare", lambda _: setattr(stop, "_reason", "SIGTERM")):
        handled = deliver(process, floor.receive(), stop=stop)
    assert not handled.ack
    assert writes(floor) == 0
    assert floor.record.status is Status.QUEUED


def test_a_claim_whose_write_had_no_answer_is_given_back(floor: Floor) -> None:
    """The job would wait for the end of a lease, and a slice that never began be counted."""
    process, stop, register = used_to_brief(floor), Deadline(), floor.register

    def lose_the_answer(_: object) -> None:
        with (
            patch.object(register, "after", failing("put", StoreUnavailable("no answer"))),
            patch.object(register, "before", failing("read", StoreUnavailable("away"))),
        ):
            floor.busy(1.0)
        stop._reason = "SIGTERM"

    with patch.object(floor.kernel, "prepare", lose_the_answer):
        handled = deliver(process, floor.receive(), stop=stop)
    assert not handled.ack
    assert floor.record.lease is None
    assert floor.record.guards.stalls == floor.record.usage.slices_begun == 0


def test_a_direct_call_is_claimed_first(floor: Floor) -> None:
    """Whoever calls again would begin the job a second time."""
    deliver(used_to_brief(floor), Delivery(Message(job_id=JOB).body(), receipt=""))
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


def test_a_fault_of_this_machine_is_noted_all_the_same(floor: Floor) -> None:
    """Three workers that cannot run a job would not be seen to be of one mind."""
    disk_is_full = raising(OSError(errno.ENOSPC, "No space left on device"), 0)
    with pytest.raises(BrokenWorker):
        floor.work(used_to_brief(floor, kernel=disk_is_full))
    assert floor.record.guards.doubters == ("w",)
    assert floor.record.lease is None


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

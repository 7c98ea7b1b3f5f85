"""The protocol: each row of its table, and a crash at each arrow."""

from __future__ import annotations

import gc
import signal
from contextlib import suppress
from datetime import date
from itertools import count
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest
from pydantic import BaseModel

from outlast.checkpoint.errors import (
    CorruptRecord,
    DeletedJob,
    StoreUnavailable,
    UnknownJob,
    VersionConflict,
)
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.local_process import this_process
from outlast.checkpoint.record import Record
from outlast.checkpoint.register import Stored
from outlast.checkpoint.status import Status
from outlast.kernel import UnknownKernel
from outlast.kernel.contract import Model
from outlast.kernel.errors import UnloadableKernel
from outlast.worker.queues.contract import Delivery, QueueUnavailable
from outlast.worker.queues.message import ForeignMessage, Message
from outlast.worker.queues.receives import MAX_RECEIVES
from outlast.worker.slices.deadline import Deadline
from outlast.worker.slices.deliver import Handled, deliver
from outlast.worker.slices.health import BrokenWorker
from outlast.worker.slices.loading import NewerState
from outlast.worker.slices.protocol import Action, Drop, Resend, RunSlice, Wait, next_action
from tests import records
from tests.kernels import Counting, NewerCounting, expected, unprepared
from tests.records import changed, with_damaged_state
from tests.worker.floor import JOB, STEPS, Floor, Killed, failing

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.checkpoint.record_parts import Lease


NOW = 1000.0
HELD, LATE = records.lease(990.0, seconds=40.0), records.lease(985.0)
FIRST = Message(job_id=JOB, slice=1).body()


def compiling(floor: Floor, act: Callable[[], object]) -> Counting:
    """A kernel that does `act` when it is prepared."""
    return Counting(floor.step, prepare=lambda _: act())


def is_untouched(record: Record, before: Record) -> bool:
    """Whether the job is as it was, but for the bookkeeping of what was written."""
    written = {"revision", "updated_at"}
    return record == before.model_copy(update={name: getattr(record, name) for name in written})


def job(**fields: object) -> Record:
    """A job whose next slice is 5."""
    return records.job(**{"slice_number": 5, **fields})


def running(lease: Lease) -> Record:
    """The same, claimed by a worker."""
    return job(status=Status.RUNNING, lease=lease)


@pytest.mark.parametrize(
    ("record", "number", "action"),
    [
        *[(job(status=s), n, Drop()) for s in Status if s.is_final for n in (4, 5, 6, None)],
        *[(job(status=Status.PAUSED, lease=lease), 5, Drop()) for lease in (None, HELD)],
        (job(announced=True), 4, Drop()),
        *[(changed(running(lease), announced=True), 4, Drop()) for lease in (HELD, LATE)],
        *[(job(), number, Resend()) for number in (4, 1)],
        *[(running(HELD), number, Wait(30.0)) for number in (5, 6, None)],
        (job(not_before=1010.0), 5, Wait(10.0)),
        *[(job(), number, RunSlice()) for number in (5, 9, None)],
        (job(announced=True), 5, RunSlice()),
        (running(LATE), 5, RunSlice()),
        (job(not_before=1000.0), 5, RunSlice()),
    ],
)
def test_each_row_of_the_table(record: Record, number: int | None, action: Action) -> None:
    """A row that is wrong loses a job, or multiplies its messages."""
    assert next_action(record, number, NOW) == action


def test_a_job_goes_from_slice_to_slice_to_its_result(floor: Floor) -> None:
    """The main promise: one message at a time, and the result at the end."""
    floor.submit()
    begun: list[int] = []
    floor.watched = begun.append
    for slice_ in count(1):
        _, delivery = floor.work(seconds=3.0)
        assert Message.parse(delivery.body) == Message(job_id=JOB, slice=slice_)
        if floor.record.status.is_final:
            break
    assert floor.record.result == expected(STEPS)
    assert floor.record.usage.slices_begun == slice_
    assert begun == list(range(STEPS)), "each slice goes on from the checkpoint of the one before"
    assert floor.messages() == []


def test_a_slice_leaves_nothing_for_the_garbage_collector(floor: Floor) -> None:
    """Its states would be in memory long after it, and short slices cost a tenth more."""
    process = floor.process()
    floor.submit()
    floor.work(process, seconds=3.0)
    gc.collect()
    gc.disable()
    try:
        floor.work(process, seconds=3.0)
        assert gc.collect() == 0
    finally:
        gc.enable()


@pytest.mark.parametrize(("hidden_seconds", "hides"), [(0.0, 1), (4.9, 1), (5.0, 0)])
def test_a_message_that_its_receipt_hid_long_enough_is_not_hidden_again(
    floor: Floor, hidden_seconds: float, hides: int
) -> None:
    """A small job would cost one request to the queue more; or two workers would share a job."""
    floor.submit()
    hidden = floor.hides()
    deliver(floor.process(), Delivery(FIRST, "r", hidden_seconds=hidden_seconds), seconds=0)
    assert hidden == [5.0] * hides


@pytest.mark.parametrize("status", ["cancelled", "paused"])
def test_a_job_that_shall_not_run_does_not(floor: Floor, status: str) -> None:
    """A person's decision would be ignored."""
    floor.submit()
    stopped = floor.change(getattr(Record, status))
    handled, _ = floor.work()
    assert handled.ack
    assert floor.record == stopped


def test_an_early_duplicate_hides_until_the_lease_ends(floor: Floor) -> None:
    """Two workers would do the same work, and the second would pay for nothing."""
    floor.submit()
    duplicates = []

    def duplicate() -> None:
        floor.queue.send(Message(job_id=JOB, slice=1))
        duplicates.append(floor.work(floor.process("other"))[0])

    floor.at(3, duplicate)
    floor.work(seconds=4.0)
    assert duplicates == [Handled(ack=False)]
    assert floor.record.usage.slices_begun == 1
    floor.clock.sleep(60.0)
    acked = [floor.work(seconds=4.0)[0].ack for _ in range(2)]
    assert acked == [True, True]
    assert floor.record.usage.slices_begun == 2
    assert floor.messages() == [Message(job_id=JOB, slice=3).body()]


@pytest.mark.parametrize("slow_seconds", [0.0, 0.2, 1.0, 60.0])
def test_a_job_that_kills_its_workers_fails_before_its_message_is_given_up(
    floor: Floor, slow_seconds: float
) -> None:
    """It would stand still, running for ever, wherever one clock is a little slow."""
    floor.submit()
    begun = floor.clock()
    for number in count():
        if floor.record.status is Status.FAILED:
            break
        delivery = floor.queue.receive(visibility_seconds=5.0, wait_seconds=1e6)
        assert delivery is not None, "the queue has given it up"
        slow = JobStore(floor.register, clock=lambda: floor.clock() - slow_seconds)
        jobs = slow if number % 2 else floor.jobs
        with suppress(Killed):
            deliver(floor.process(jobs=jobs, kernels=Mock(side_effect=Killed)), delivery)
        floor.clock.sleep(0.01)
    assert floor.clock() - begun < 600 + 20 * slow_seconds


def test_a_duplicate_of_a_long_slice_is_seldom_received(floor: Floor) -> None:
    """The slice would use up its receives, and the queue would raise an alarm."""
    floor.submit(send=False)
    begun, hidden = floor.clock(), floor.hides()
    floor.claim(seconds=5.0)
    while floor.clock() - begun < 4 * 3600:
        deliver(floor.process(), Delivery(FIRST, "r"))
        floor.clock.sleep(hidden[-1])
        floor.change(lambda r: r.renewed(floor.clock(), 5.0, at_risk_seconds=1.0))
    assert len(hidden) < MAX_RECEIVES
    assert hidden[0] == pytest.approx(5.0)


def test_a_duplicate_of_a_slice_of_hours_is_back_within_15_minutes(floor: Floor) -> None:
    """Where it is the only message left, a worker that dies would cost as long as it has lived."""
    floor.submit(send=False)
    floor.claim(since=4 * 3600.0, seconds=5.0)
    hidden = floor.hides()
    deliver(floor.process(), Delivery(FIRST, "r"))
    assert hidden == [900.0]


def test_a_job_whose_worker_is_dead_waits_no_longer_than_for_its_lease(floor: Floor) -> None:
    """A clock that is a little slow would cost as long as the slice had lasted."""
    floor.submit(send=False)
    floor.claim(since=1000.0, seconds=6.0)
    floor.clock.sleep(5.0)
    hidden = floor.hides()
    deliver(floor.process(), Delivery(FIRST, "r"))
    assert hidden == [pytest.approx(1.0)]


def test_a_job_that_has_killed_two_workers_waits_for_the_lease_of_the_second(floor: Floor) -> None:
    """It would wait for as long as that had worked on a step that it never ended."""
    floor.submit(send=False)
    floor.claim(since=1000.0, seconds=6.0)
    own, _, began = this_process().rpartition("@")
    gone = f"{own}@{int(began) - 1}"
    lease = floor.record.lease
    assert lease
    held = lease.model_copy(update={"process": gone})
    floor.change(lambda r: changed(r, lease=held, stalls=2))
    hidden = floor.hides()
    deliver(floor.process(), Delivery(FIRST, "r"))
    assert hidden == [pytest.approx(6.0)]


@pytest.mark.parametrize(
    ("body", "error"),
    [("hello", ForeignMessage), ("[" * 999, ForeignMessage), (FIRST, UnknownJob)],
    ids=["foreign", "deep", "unknown"],
)
def test_a_foreign_message_is_left_to_the_queue(
    floor: Floor, body: str, error: type[Exception]
) -> None:
    """It would be lost, or end the worker; the wrong store would silently empty the queue."""
    with pytest.raises(error):
        deliver(floor.process(), Delivery(body, "r"))


@pytest.mark.parametrize("step", [None, 3], ids=["before-the-slice", "in-the-slice"])
def test_a_message_of_a_deleted_job_dies_out(floor: Floor, step: int | None) -> None:
    """Each deleted job would raise an alarm, or a worker would bring it back from the dead."""
    floor.submit()
    if step is None:
        floor.jobs.discard(JOB)
    else:
        floor.at(step, lambda: floor.jobs.discard(JOB))
    handled, _ = floor.work()
    assert handled == Handled(ack=True)
    assert floor.messages() == []
    with pytest.raises(DeletedJob):
        floor.jobs.load(JOB)


def test_a_damaged_record_is_left_as_it_is(floor: Floor) -> None:
    """What is left of the job could not be inspected."""
    floor.submit()
    key = f"jobs/{JOB}"
    stored = floor.register.values[key]
    floor.register.values[key] = Stored(stored.value[:-30], stored.version)
    with pytest.raises(CorruptRecord, match=JOB):
        floor.work()
    assert floor.register.values[key].value == stored.value[:-30]


@pytest.mark.parametrize(
    "lacking",
    [
        {"kernels": Mock(side_effect=UnknownKernel("it needs numba"))},
        {"kernel": Counting(require=Mock(side_effect=UnknownKernel("it needs numba")))},
        {
            "kernel": Counting(require=Mock(side_effect=UnknownKernel("it needs numba"))),
            "isolate": True,
        },
    ],
    ids=["no-kernel", "no-extra", "no-extra-isolated"],
)
def test_a_job_of_a_kernel_that_is_missing_here_is_soon_there_for_another_worker(
    floor: Floor, lacking: dict[str, Any]
) -> None:
    """A worker that lacks a package would fail jobs that others could run, or keep them."""
    floor.submit()
    before = floor.record
    with pytest.raises(UnknownKernel, match="it needs numba"):
        floor.work(floor.process(**lacking))
    noted = before.model_copy(update={"error": "worker w cannot run it: it needs numba"})
    assert is_untouched(floor.record, noted)
    floor.clock.sleep(5.0)
    assert floor.work()[0].record is not None


@pytest.mark.parametrize(
    ("lacking", "reason"),
    [
        ({"kernels": Mock(side_effect=UnknownKernel("no\nnumba"))}, "no numba"),
        ({"kernels": Mock(side_effect=UnloadableKernel("no libcudart"))}, "no libcudart"),
        ({"kernel": Counting(version=0)}, f"job {JOB} was advanced by version 1 of kernel"),
    ],
    ids=["unknown", "unloadable", "older"],
)
def test_a_person_sees_why_a_worker_cannot_run_a_job_until_another_one_does(
    floor: Floor, lacking: dict[str, Any], reason: str
) -> None:
    """They would see a job that is queued for ever, or that runs with an error of the past."""
    floor.submit()
    floor.work(seconds=2.0)
    with pytest.raises((UnknownKernel, BrokenWorker, NewerState)):
        floor.work(floor.process("old", **lacking))
    assert str(floor.record.error).startswith(f"worker old cannot run it: {reason}")
    writes = floor.record.revision.writes
    floor.clock.sleep(60.0)
    with pytest.raises((UnknownKernel, BrokenWorker, NewerState)):
        floor.work(floor.process("old", **lacking))
    assert floor.record.revision.writes == writes + 2  # its claim, and its end
    floor.clock.sleep(60.0)
    floor.work(seconds=2.0)
    assert (floor.record.status, floor.record.error) == (Status.QUEUED, None)


def test_a_kernel_that_cannot_tell_what_it_requires_is_run(floor: Floor) -> None:
    """A slip in a kernel's hook would end the worker, or keep its jobs waiting for ever."""
    kernel = Counting(floor.step, require=Mock(side_effect=SystemExit("a slip")))
    assert floor.run(kernel).result == expected(STEPS)


def test_a_job_of_a_newer_kernel_is_left_to_newer_workers(floor: Floor) -> None:
    """During a deploy the workers that are left would fail the jobs of the new ones."""
    floor.submit()
    floor.work(floor.process(kernel=NewerCounting(floor.step)), seconds=2.0)
    before = floor.record
    with pytest.raises(NewerState, match="upgrade"):
        floor.work()
    assert is_untouched(floor.record, before.model_copy(update={"error": floor.record.error}))


def test_a_process_that_dies_of_loading_a_kernel_has_been_counted(floor: Floor) -> None:
    """Such a job would end one worker after the other, for as long as the queue delivers it."""
    floor.submit(max_stalls=3)
    for _ in range(3):
        with pytest.raises(Killed):
            floor.work(floor.process(kernels=Mock(side_effect=Killed)))
        floor.clock.sleep(1000.0)
    assert floor.work()[0].ack
    assert floor.record.status is Status.FAILED
    assert "gave up after 3 slices in a row without progress" in str(floor.record.error)


def test_preparing_takes_nothing_from_the_slice(floor: Floor) -> None:
    """On a new worker others would take the job meanwhile, and its first slice be a short one."""
    others = []

    def compile_() -> None:
        floor.busy(50.0)
        floor.queue.send(Message(job_id=JOB, slice=1))
        others.append(floor.work(floor.process("other"))[0].record)

    floor.submit()
    leases = []
    floor.watched = lambda _: leases.append(floor.record.lease)
    floor.kernel = compiling(floor, compile_)
    process = floor.process()
    begun = floor.clock()
    handled = deliver(process, floor.receive(), slice_seconds=3.0)
    assert others == [None]
    assert handled.record is not None
    assert handled.record.usage.steps == 5  # A sixth would not have fitted.
    assert floor.clock() - begun == pytest.approx(52.5)
    assert leases[0].expires_at == pytest.approx(begun + 50.0 + 5.0)
    assert process.timing.reserve_seconds() == 0.0


def test_an_invocation_that_compiling_has_used_up_ends_before_the_platform_ends_it(
    floor: Floor,
) -> None:
    """Killed at its first step, it would take along what it compiled, each time until it fails."""
    floor.submit()
    process = floor.process()
    durations = iter([11.0])
    floor.kernel = compiling(floor, lambda: floor.clock.sleep(next(durations, 0.0)))
    begun = floor.clock()
    handled, _ = floor.work(process, seconds=10.0)
    assert handled.ack
    assert floor.clock() - begun == 11.0
    assert (floor.record.usage.steps, floor.record.slice_number, floor.record.lease) == (0, 2, None)
    assert floor.record.guards.stalls == 1
    assert floor.record.history.stretches[-1].ending == "deadline"
    handled, _ = floor.work(process, seconds=10.0)
    assert handled.record is not None
    assert handled.record.usage.steps > 10


def test_a_stop_signal_while_the_kernel_is_prepared_gives_the_job_to_another(floor: Floor) -> None:
    """A deploy would cost each job a stall, and the time of a long lease."""
    floor.submit()
    before = floor.record
    floor.kernel = compiling(floor, lambda: signal.raise_signal(signal.SIGTERM))
    handled, delivery = floor.work()
    assert not handled.ack
    assert is_untouched(floor.record, before)
    assert floor.receive().body == delivery.body


def test_a_pause_while_the_kernel_is_prepared_stays(floor: Floor) -> None:
    """A person's decision would be undone by a worker that gives the job back."""
    floor.submit()

    def pause() -> None:
        floor.change(Record.paused)
        signal.raise_signal(signal.SIGTERM)

    floor.kernel = compiling(floor, pause)
    floor.work()
    assert (floor.record.status, floor.record.lease) == (Status.PAUSED, None)


def test_a_job_that_is_cancelled_while_the_kernel_is_prepared_is_not_run(floor: Floor) -> None:
    """It would be billed for up to an interval of work that nobody wants."""
    floor.submit()
    steps: list[int] = []
    floor.watched = steps.append

    def cancel() -> None:
        floor.clock.sleep(2.0)
        floor.change(Record.cancelled)

    floor.kernel = compiling(floor, cancel)
    assert floor.work(floor.process())[0].ack
    assert steps == []


def test_a_checkpoint_that_is_damaged_while_the_kernel_is_prepared_is_passed_over(
    floor: Floor,
) -> None:
    """The record is read again then: the job would fail, or go on from damaged bytes."""
    floor.submit()
    floor.work(seconds=3.0)

    def damage() -> None:
        floor.clock.sleep(2.0)
        key, stored = next(iter(floor.register.values.items()))
        value = with_damaged_state(stored.value)
        floor.register.values[key] = Stored(value, "of another write")

    floor.kernel = compiling(floor, damage)
    floor.work(floor.process())
    assert floor.record.result == expected(STEPS)


def test_a_kernel_that_ends_the_process_when_prepared_does_not(floor: Floor) -> None:
    """A package that is badly installed would end every worker, one after the other."""
    assert floor.run(unprepared(floor.step)).result == expected(STEPS)


def test_strict_parameters_that_json_has_no_word_for_reach_the_kernel(floor: Floor) -> None:
    """A kernel with a date or a tuple among its parameters could never run."""

    class Dated(Model):
        steps: int
        day: date
        pair: tuple[int, ...]

    prepared: list[Dated] = []
    kernel = Counting(Params=Dated, prepare=prepared.append)
    record = floor.run(kernel, steps=3, day="2030-01-02", pair=[1, 2])
    assert record.result == expected(3)
    assert prepared == [Dated(steps=3, day=date(2030, 1, 2), pair=(1, 2))]


def test_a_direct_call_connects_to_the_queue_before_it_claims(floor: Floor) -> None:
    """A cold function would be killed between its save and its continuation: the job sleeps."""
    effects: list[str] = []
    floor.submit(send=False)
    floor.queue.reach = lambda: effects.append("reach")  # type: ignore[method-assign]
    with floor.hooked("before", effects.append):
        deliver(floor.process(), Delivery(Message(job_id=JOB).body(), receipt=""), seconds=3.0)
    assert effects[:3] == ["read", "reach", "put"]


def test_a_stop_signal_before_the_claim_gives_the_job_to_another(floor: Floor) -> None:
    """A worker that is about to be killed would claim the job and take it along."""
    floor.submit()
    before, delivery = floor.record, floor.receive()
    with Deadline() as stop:
        signal.raise_signal(signal.SIGTERM)
        assert not deliver(floor.process(), delivery, stop=stop).ack
    assert floor.record == before
    assert floor.receive().body == delivery.body


@pytest.mark.parametrize(
    ("limits", "fields", "reason"),
    [
        ({"max_stalls": 3}, {"stalls": 3}, "without progress"),
        ({"max_slices": 3}, {"slices_begun": 3}, "ceiling of 3 slices"),
        ({"max_compute_seconds": 9.0}, {"compute_seconds": 9.0}, "ceiling of 9 compute seconds"),
    ],
)
def test_a_guard_ends_the_job_and_its_message(
    floor: Floor, limits: dict[str, float], fields: dict[str, float], reason: str
) -> None:
    """The job would cost money without end, or its message would come back for ever."""
    floor.submit(**limits)
    floor.change(lambda record: changed(record, **fields))
    handled, _ = floor.work()
    assert handled.ack
    assert floor.record.status is Status.FAILED
    assert reason in str(floor.record.error)
    assert floor.messages() == []


def test_a_job_without_an_intact_checkpoint_fails_and_keeps_both(floor: Floor) -> None:
    """The job would begin again, or what could be mended would be gone."""
    floor.submit()
    floor.work(seconds=4.0)

    def damaged(record: Record) -> Record:
        broken = [c.model_copy(update={"digest": "0" * 32}) for c in record.checkpoints]
        return record.model_copy(update={"checkpoints": tuple(broken)})

    damage = floor.change(damaged)
    handled, _ = floor.work()
    assert handled.ack
    assert floor.record.status is Status.FAILED
    assert "checksum" in str(floor.record.error)
    assert floor.record.checkpoints == damage.checkpoints


def test_a_stalled_job_gets_a_longer_lease_and_a_longer_slice(floor: Floor) -> None:
    """A first step longer than a lease would be taken from one worker after another."""
    floor.submit()
    floor.change(lambda record: changed(record, stalls=6))
    lengths: list[float] = []

    def look() -> None:
        assert floor.record.lease is not None
        lengths.append(floor.record.lease.expires_at - floor.record.lease.claimed_at)

    floor.at(0, look)
    begun = floor.clock()
    deliver(floor.process(), floor.receive(), slice_seconds=1.0)
    assert lengths == [40.0]
    assert 4.0 < floor.clock() - begun <= 8.0


def test_a_new_process_keeps_time_back_for_its_first_ending(floor: Floor) -> None:
    """On a platform where each slice is a new process every slice would be killed at its end."""
    floor.submit()
    floor.register.after = lambda operation: floor.clock.sleep(0.3 if operation == "put" else 0)
    begun = floor.clock()
    floor.work(seconds=6.0)
    assert floor.record.usage.steps > 1
    assert floor.clock() - begun <= 6.0


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("at", range(1, 13))
def test_a_crash_around_any_effect_leaves_a_message_that_leads_on(
    floor: Floor, at: int, moment: str
) -> None:
    """The job would stand still until a sweep, or for ever."""
    floor.submit()
    floor.work(seconds=2.0)
    effects = count(1)

    def effect(_: str) -> None:
        if next(effects) == at:
            raise Killed

    with floor.hooked(moment, effect), suppress(Killed):
        floor.work(seconds=2.0)
    assert next(effects) == min(at, 10) + 1, "there are ten effects"
    floor.finish(seconds=2.0, pause_seconds=60.0)
    assert floor.record.result == expected(STEPS)
    assert floor.record.usage.steps == STEPS
    assert len(floor.messages()) <= 1


def test_a_direct_call_that_dies_leaves_a_message_that_leads_on(floor: Floor) -> None:
    """Its claim would pass for a sent message: the one that should send it would be dropped."""
    floor.submit()
    with floor.hooked("before", failing("send", Killed())), pytest.raises(Killed):
        floor.work(seconds=2.0)
    call = Delivery(Message(job_id=JOB).body(), receipt="")
    with floor.hooked("after", failing("put", Killed())), pytest.raises(Killed):
        deliver(floor.process(), call)
    floor.finish(pause_seconds=60.0)
    assert floor.record.result == expected(STEPS)


def test_a_lost_claim_looks_again(floor: Floor) -> None:
    """A worker that was slower would end in an error, or take the job from the faster one."""
    floor.submit()
    claims: list[Record] = []

    def rival(operation: str) -> None:
        if operation == "put":
            floor.register.before = lambda _: None
            claims.append(floor.claim())

    floor.register.before = rival
    handled, _ = floor.work()
    assert not handled.ack
    assert [floor.record] == claims


def test_a_job_that_moves_on_while_it_is_announced_is_no_error(floor: Floor) -> None:
    """A race between the send and the next worker would end the one that sent."""
    floor.submit()
    others: list[bool] = []

    def run_next(operation: str) -> None:
        if operation == "send":
            floor.queue.after = lambda _: None
            others.append(floor.work(floor.process("fast"), seconds=2.0)[0].ack)

    floor.queue.after = run_next
    handled, _ = floor.work(seconds=2.0)
    assert handled.ack
    assert others == [True]
    assert floor.record.slice_number == 3


@pytest.mark.parametrize("error", [StoreUnavailable("away"), VersionConflict("raced")])
def test_a_store_that_fails_once_loses_nothing(floor: Floor, error: Exception) -> None:
    """One stumble of the store at a bad moment would cost the job."""
    floor.submit()
    for at in count(1):
        puts = count(1)

        def fail(operation: str) -> None:
            if operation == "put" and next(puts) == at:  # noqa: B023 - called in this turn only
                raise error

        floor.register.before = fail
        floor.clock.sleep(600.0)
        try:
            floor.work(seconds=2.0)
        except StoreUnavailable:
            continue
        if floor.record.status.is_final:
            break
    assert floor.record.result == expected(STEPS)


def test_a_send_that_fails_leaves_the_message_that_sends_again(floor: Floor) -> None:
    """The continuation would be missing."""
    floor.submit()
    error = QueueUnavailable("away")
    with floor.hooked("before", failing("send", error)), pytest.raises(QueueUnavailable):
        floor.work(seconds=2.0)
    floor.clock.sleep(60.0)
    assert floor.work()[0].ack
    assert floor.messages() == [Message(job_id=JOB, slice=2).body()]


def test_a_store_that_lost_its_newest_writes_goes_on_from_what_is_left(floor: Floor) -> None:
    """The job would wait for a slice that will never come."""
    floor.submit()
    floor.work(seconds=2.0)
    older = dict(floor.register.values)
    floor.work(seconds=2.0)
    floor.work(seconds=2.0)
    floor.register.values = older
    handled, delivery = floor.work(seconds=2.0)
    assert Message.parse(delivery.body).slice == 4
    assert handled.ack
    assert floor.record.slice_number == 3
    floor.finish()
    assert floor.record.result == expected(STEPS)


@pytest.fixture
def fifo(floor: Floor) -> None:
    """Let the queue drop every message whose deduplication id it has seen."""
    seen: set[str] = set()
    send = floor.queue.send

    def send_once(message: Message, *, deduplication_id: str | None = None) -> None:
        if deduplication_id is None or deduplication_id not in seen:
            send(message)
        seen.add(deduplication_id or "")

    floor.queue.send = send_once


@pytest.mark.usefixtures("fifo")
@pytest.mark.parametrize("lost", [1, 2, 3, 4])
def test_a_queue_that_drops_duplicates_carries_a_job_that_is_set_back(
    floor: Floor, lost: int
) -> None:
    """Continuations of the same numbers were sent before: it would wait for a sweep at each."""
    floor.submit()
    floor.work(seconds=2.0)
    older = dict(floor.register.values)
    for _ in range(lost):
        floor.work(seconds=2.0)
    floor.register.values = older
    floor.finish(seconds=2.0)
    assert floor.record.result == expected(STEPS)


def test_a_lease_that_is_lost_while_the_kernel_loads_is_told(
    floor: Floor, caplog: pytest.LogCaptureFixture
) -> None:
    """The slice would seem to run for ever, and an alarm ring for nothing."""
    caplog.set_level("WARNING", logger="outlast")

    def cancel(_: object) -> None:
        floor.clock.sleep(2.0)
        floor.change(Record.cancelled)

    floor.submit()
    floor.kernel = Counting(floor.step, prepare=cancel)
    assert floor.work()[0].ack
    assert "lease_lost" in {getattr(line, "event", None) for line in caplog.records}


def test_who_has_lost_the_lease_begins_no_other_slice_with_the_message(floor: Floor) -> None:
    """A function would be killed in the middle of it, as its time was for the first one."""
    floor.submit(send=False, steps=100)
    kick = Delivery(Message(job_id=JOB).body(), receipt="")
    late: list[int] = []

    def freeze(_: int) -> None:
        floor.watched = lambda _: None
        floor.clock.sleep(60.0)
        assert deliver(floor.process("other"), kick, seconds=3.0).record is not None
        floor.watched = late.append

    floor.watched = lambda number: freeze(number) if number == 5 else None
    assert deliver(floor.process(), kick, seconds=10.0).record is None
    assert len(late) <= 1  # the step that was begun before


def test_what_preparing_changes_in_the_parameters_does_not_reach_the_run(floor: Floor) -> None:
    """The result would depend on whether a worker had prepared the kernel before."""

    class Loose(BaseModel):
        steps: int

    def prepare(params: Loose) -> None:
        params.steps = 1

    floor.kernel = Counting(floor.step, prepare=prepare, Params=Loose)
    floor.submit()
    floor.work()
    assert floor.record.result == expected(STEPS)

"""The protocol: each row of its table, and a crash at each arrow."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import date
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from outlast.checkpoint.codec import HEAD
from outlast.checkpoint.errors import (
    CorruptRecord,
    DeletedJob,
    StoreUnavailable,
    UnknownJob,
    VersionConflict,
)
from outlast.checkpoint.jobs import JobStore
from outlast.checkpoint.parts import Lease
from outlast.checkpoint.record import Record
from outlast.checkpoint.register import Stored
from outlast.checkpoint.status import Status
from outlast.kernel import UnknownKernel
from outlast.kernel.contract import Model
from outlast.worker.jobs.sweep import sweep
from outlast.worker.queues.contract import Delivery, QueueUnavailable
from outlast.worker.queues.embedded import MAX_RECEIVES
from outlast.worker.queues.message import ForeignMessage, Message
from outlast.worker.slices.deadline import Deadline
from outlast.worker.slices.deliver import Handled, deliver
from outlast.worker.slices.loading import NewerState
from outlast.worker.slices.protocol import Drop, Resend, RunSlice, Wait, next_action
from tests import kernels, records
from tests.kernels import expected
from tests.records import changed
from tests.worker.floor import JOB, STEPS, Floor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


NOW = 1000.0
HELD = Lease(worker="w", token="t", claimed_at=990.0, expires_at=1030.0, at_risk_seconds=1.0)
LATE = HELD.model_copy(update={"expires_at": 995.0})


def is_untouched(record: Record, before: Record) -> bool:
    """Whether the job is as it was, but for the bookkeeping of what was written."""
    written = {"revision", "updated_at"}
    return record == before.model_copy(update={name: getattr(record, name) for name in written})


def job(**fields: object) -> Record:
    """A job whose next slice is 5."""
    return records.job(**{"slice_number": 5, **fields})


@pytest.mark.parametrize(
    ("record", "number", "wanted"),
    [
        *[(job(status=s), n, Drop()) for s in Status if s.is_final for n in (4, 5, 6, None)],
        *[(job(status=Status.PAUSED, lease=lease), 5, Drop()) for lease in (None, HELD)],
        (job(announced=True), 4, Drop()),
        (job(announced=True, status=Status.RUNNING, lease=HELD), 4, Drop()),
        (job(announced=True, status=Status.RUNNING, lease=LATE), 4, Drop()),
        (job(), 4, Resend()),
        (job(), 1, Resend()),
        (job(status=Status.RUNNING, lease=HELD), 5, Wait(30.0)),
        (job(status=Status.RUNNING, lease=HELD), 6, Wait(30.0)),
        (job(status=Status.RUNNING, lease=HELD), None, Wait(30.0)),
        (job(not_before=1010.0), 5, Wait(10.0)),
        (job(), 5, RunSlice()),
        (job(announced=True), 5, RunSlice()),
        (job(status=Status.RUNNING, lease=LATE), 5, RunSlice()),
        (job(not_before=1000.0), 5, RunSlice()),
        (job(), 9, RunSlice()),
        (job(), None, RunSlice()),
    ],
)
def test_each_row_of_the_table(record: Record, number: int | None, wanted: object) -> None:
    """A row that is wrong loses a job, or multiplies its messages."""
    assert next_action(record, number, NOW) == wanted


def test_a_job_goes_from_slice_to_slice_to_its_result(floor: Floor) -> None:
    """The main promise: one message at a time, and the result at the end."""
    floor.submit()
    for slice_ in count(1):
        _, delivery = floor.work(seconds=3.0)
        assert Message.parse(delivery.body) == Message(job_id=JOB, slice=slice_)
        if floor.record.status.is_final:
            break
    assert floor.record.result == expected(STEPS)
    assert floor.record.usage.slices_begun == slice_
    assert floor.messages() == []


@pytest.mark.parametrize(("hidden_seconds", "hides"), [(0.0, 1), (4.9, 1), (5.0, 0)])
def test_a_message_that_its_receipt_hid_long_enough_is_not_hidden_again(
    floor: Floor, hidden_seconds: float, hides: int
) -> None:
    """A small job would cost one request to the queue more; or two workers would share a job."""
    floor.submit()
    hidden = []
    floor.queue.hide = lambda _, seconds: hidden.append(seconds)  # type: ignore[method-assign]
    body = Message(job_id=JOB, slice=1).body()
    deliver(floor.process(), Delivery(body, "r", hidden_seconds=hidden_seconds), seconds=0)
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
    deliveries = []

    def step(number: int) -> None:
        if number == 3:
            floor.queue.send(Message(job_id=JOB, slice=1))
            deliveries.append(floor.work(floor.process("other")))

    floor.watched = step
    floor.work(seconds=4.0)
    (handled, _), *_ = deliveries
    assert not handled.ack
    assert handled.record is None
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

    class Killed(BaseException):
        pass

    def die(_: str) -> Any:
        raise Killed

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
            deliver(replace(floor.process(), jobs=jobs, kernels=die), delivery)
        floor.clock.sleep(0.01)
    assert floor.clock() - begun < 600 + 20 * slow_seconds


def test_a_duplicate_of_a_long_slice_is_seldom_received(floor: Floor) -> None:
    """The slice would use up its receives, and the queue would raise an alarm."""
    floor.submit(send=False)
    begun = floor.clock()
    lease = {"claimed_at": begun, "expires_at": begun + 5.0}
    floor.change(lambda record: record.claimed(HELD.model_copy(update=lease)))
    hidden = []
    floor.queue.hide = lambda _, seconds: hidden.append(seconds)  # type: ignore[method-assign]
    while floor.clock() - begun < 4 * 3600:
        deliver(floor.process(), Delivery(Message(job_id=JOB, slice=1).body(), "r"))
        floor.clock.sleep(hidden[-1])
        expires_at = floor.clock() + 5.0
        floor.change(lambda r, e=expires_at: r.renewed(expires_at=e, at_risk_seconds=1.0))
    assert len(hidden) < MAX_RECEIVES
    assert hidden[0] == pytest.approx(5.0)


def test_a_job_whose_worker_is_dead_waits_no_longer_than_for_its_lease(floor: Floor) -> None:
    """A clock that is a little slow would cost as long as the slice had lasted."""
    floor.submit(send=False)
    begun = floor.clock()
    lease = {"claimed_at": begun - 1000.0, "expires_at": begun + 6.0}
    floor.change(lambda record: record.claimed(HELD.model_copy(update=lease)))
    floor.clock.sleep(5.0)
    hidden = []
    floor.queue.hide = lambda _, seconds: hidden.append(seconds)  # type: ignore[method-assign]
    deliver(floor.process(), Delivery(Message(job_id=JOB, slice=1).body(), "r"))
    assert hidden == [pytest.approx(1.0)]


@pytest.mark.parametrize(
    "body",
    ["", "{}", "hello", '{"job_id":"../x"}', '{"job_id":"a","slice":0}', "\ud800", "[" * 999],
)
def test_a_foreign_message_is_left_to_the_queue(floor: Floor, body: str) -> None:
    """It would be lost, or end the worker."""
    with pytest.raises(ForeignMessage):
        deliver(floor.process(), Delivery(body, "r"), seconds=None)


def test_a_message_of_an_unknown_job_is_left_to_the_queue(floor: Floor) -> None:
    """The wrong store in the settings would silently empty the queue."""
    with pytest.raises(UnknownJob, match="there is no job 'job-1'"):
        deliver(floor.process(), Delivery(Message(job_id=JOB).body(), "r"), seconds=None)


def test_a_message_of_a_deleted_job_dies_out(floor: Floor) -> None:
    """Each job that a person deletes would raise an alarm on the dead-letter queue."""
    floor.submit()
    floor.jobs.discard(JOB)
    handled, _ = floor.work()
    assert handled == Handled(ack=True)
    assert floor.messages() == []


def test_a_job_deleted_while_its_slice_runs_is_not_written_back(floor: Floor) -> None:
    """A worker would bring the job back from the dead, or end in an error."""
    floor.submit()

    def delete(number: int) -> None:
        if number == 3:
            floor.jobs.discard(JOB)

    floor.watched = delete
    handled, _ = floor.work()
    assert handled == Handled(ack=True)
    assert floor.messages() == []
    with pytest.raises(DeletedJob):
        floor.jobs.load(JOB)


def test_a_damaged_record_is_left_as_it_is(floor: Floor) -> None:
    """What is left of the job could not be inspected."""
    floor.submit()
    key, stored = next(iter(floor.register.values.items()))
    floor.register.values[key] = Stored(stored.value[:-30], stored.version)
    with pytest.raises(CorruptRecord, match=JOB):
        floor.work()
    assert floor.register.values[key].value == stored.value[:-30]


def test_a_job_of_an_unknown_kernel_is_left_to_others(floor: Floor) -> None:
    """A worker that lacks a package would fail jobs that others could run."""

    def unknown(name: str) -> kernels.Counting:
        raise UnknownKernel(name)

    floor.submit()
    before = floor.record
    process = floor.process()
    object.__setattr__(process, "kernels", unknown)
    with pytest.raises(UnknownKernel):
        floor.work(process)
    assert is_untouched(floor.record, before)


class Requiring(kernels.Counting):
    """Needs what is missing here: requiring it raises `error`."""

    def __init__(self, floor: Floor, error: BaseException) -> None:
        super().__init__(floor.step)
        self.error = error

    def require(self, params: kernels.Params) -> None:  # noqa: ARG002 - the contract's
        """Raise the error."""
        raise self.error


@pytest.mark.parametrize("isolate", [False, True])
def test_a_job_that_lacks_a_package_here_is_left_to_others(floor: Floor, *, isolate: bool) -> None:
    """A worker without an extra would fail jobs that others could run."""
    floor.submit()
    before = floor.record
    lacking = Requiring(floor, UnknownKernel("it needs numba"))
    process = replace(floor.process(kernel=lacking), isolate=isolate)
    with pytest.raises(UnknownKernel, match="it needs numba"):
        floor.work(process)
    assert is_untouched(floor.record, before)
    floor.clock.sleep(5.0)
    assert floor.work()[0].record is not None


def test_a_kernel_that_cannot_tell_what_it_requires_is_run(floor: Floor) -> None:
    """A slip in a kernel's hook would end the worker, or keep its jobs waiting for ever."""
    floor.submit()
    floor.work(floor.process(kernel=Requiring(floor, SystemExit("a slip"))))
    assert floor.record.result == kernels.expected(STEPS)


def test_a_job_of_a_newer_kernel_is_left_to_newer_workers(floor: Floor) -> None:
    """During a deploy the workers that are left would fail the jobs of the new ones."""
    floor.submit()
    floor.work(floor.process(kernel=kernels.NewerCounting(floor.step)), seconds=2.0)
    before = floor.record
    with pytest.raises(NewerState, match="upgrade"):
        floor.work()
    assert is_untouched(floor.record, before)


def test_a_message_that_a_worker_leaves_is_soon_there_for_another(floor: Floor) -> None:
    """Every job would wait a minute for each worker that lacks its kernel."""

    def unknown(name: str) -> kernels.Counting:
        raise UnknownKernel(name)

    floor.submit()
    process = floor.process()
    object.__setattr__(process, "kernels", unknown)
    with pytest.raises(UnknownKernel):
        floor.work(process)
    floor.clock.sleep(5.0)
    assert floor.work()[0].record is not None


class Compiling(kernels.Counting):
    """Does `act` when it is prepared."""

    def __init__(self, floor: Floor, act: Callable[[], object]) -> None:
        super().__init__(floor.step)
        self.act = act

    def prepare(self, params: object) -> None:  # noqa: ARG002 - the contract's
        """Compile, or whatever takes its place."""
        self.act()


class Killed(BaseException):
    """The process ends; what is raised by the loading of a kernel nobody catches but the test."""


def test_a_process_that_dies_of_loading_a_kernel_has_been_counted(floor: Floor) -> None:
    """Such a job would end one worker after the other, for as long as the queue delivers it."""
    floor.submit(max_stalls=3)

    def die(_: str) -> kernels.Counting:
        raise Killed

    for _ in range(3):
        process = floor.process()
        object.__setattr__(process, "kernels", die)
        with pytest.raises(Killed):
            floor.work(process)
        floor.clock.sleep(1000.0)
    assert floor.work()[0].ack
    assert floor.record.status is Status.FAILED
    assert "gave up after 3 slices in a row without progress" in str(floor.record.error)


def test_preparing_takes_nothing_from_the_slice(floor: Floor) -> None:
    """On a new worker others would take the job meanwhile, and its first slice be a short one."""
    others = []

    beats: list[Callable[[], object]] = []

    @contextmanager
    def repeated(act: Callable[[], object], *, every_seconds: float) -> Iterator[None]:
        assert every_seconds < 2.0
        beats.append(act)
        yield

    def compile_() -> None:
        for _ in range(10):
            floor.clock.sleep(4.9)
            beats[0]()
        floor.clock.sleep(1.0)
        floor.queue.send(Message(job_id=JOB, slice=1))
        others.append(floor.work(floor.process("other"))[0].record)

    floor.submit()
    leases = []
    floor.watched = lambda _: leases.append(floor.record.lease)
    floor.kernel = Compiling(floor, compile_)
    process = replace(floor.process(), repeat=repeated)
    delivery = floor.receive()
    begun = floor.clock()
    handled = deliver(process, delivery, seconds=None, slice_seconds=3.0)
    assert others == [None]
    assert handled.record is not None
    assert handled.record.usage.steps == 5  # A sixth would not have fitted.
    assert floor.clock() - begun == pytest.approx(52.5)
    assert leases[0].expires_at == pytest.approx(begun + 50.0 + 5.0)
    assert process.timing.opening_seconds == process.timing.reserve_seconds == 0.0


def test_an_invocation_that_compiling_has_used_up_ends_before_the_platform_ends_it(
    floor: Floor,
) -> None:
    """Killed at its first step, it would take along what it compiled, each time until it fails."""
    floor.submit()
    process = floor.process()
    compiling = iter([11.0])
    floor.kernel = Compiling(floor, lambda: floor.clock.sleep(next(compiling, 0.0)))
    begun = floor.clock()
    handled, _ = floor.work(process, seconds=10.0)
    assert handled.ack
    assert floor.clock() - begun == 11.0
    assert (floor.record.usage.steps, floor.record.slice_number, floor.record.lease) == (0, 2, None)
    assert (floor.record.guards.stalls, floor.record.history.stretches[-1].ending) == (
        1,
        "deadline",
    )
    handled, _ = floor.work(process, seconds=10.0)
    assert handled.record is not None
    assert handled.record.usage.steps > 10


def test_a_job_that_was_taken_while_a_known_kernel_compiled_for_it_is_kept(floor: Floor) -> None:
    """A worker that has done small jobs would lose a large one, for which more is to compile."""
    begun = []

    @contextmanager
    def repeated(_: Callable[[], object], *, every_seconds: float) -> Iterator[None]:
        begun.append(every_seconds)
        yield

    def stolen(record: Record) -> Record:
        thief = {"claimed_at": floor.clock(), "expires_at": floor.clock() + 600.0}
        return record.claimed(HELD.model_copy(update=thief))

    floor.submit()
    process = replace(floor.process(), repeat=repeated)
    process.prepared.add("counting")
    floor.kernel = Compiling(floor, lambda: floor.change(stolen))
    assert not floor.work(process)[0].ack
    assert begun == []
    floor.clock.sleep(1000.0)
    floor.kernel = Compiling(floor, lambda: None)
    assert floor.work(process)[0].record is not None
    assert len(begun) == 1


def test_a_stop_signal_while_the_kernel_is_prepared_gives_the_job_to_another(floor: Floor) -> None:
    """A deploy would cost each job a stall, and the time of a long lease."""
    floor.submit()
    before = floor.record
    stop = Deadline()
    floor.kernel = Compiling(floor, lambda: setattr(stop, "_reason", "SIGTERM"))
    delivery = floor.receive()
    process = floor.process()
    assert not deliver(process, delivery, seconds=None, stop=stop).ack
    assert is_untouched(floor.record, before)
    assert floor.receive().body == delivery.body


def test_a_pause_while_the_kernel_is_prepared_stays(floor: Floor) -> None:
    """A person's decision would be undone by a worker that gives the job back."""
    floor.submit()
    stop = Deadline()

    def pause() -> None:
        floor.change(Record.paused)
        stop._reason = "SIGTERM"

    floor.kernel = Compiling(floor, pause)
    deliver(floor.process(), floor.receive(), seconds=None, stop=stop)
    assert (floor.record.status, floor.record.lease) == (Status.PAUSED, None)


def test_a_job_that_is_cancelled_while_the_kernel_is_prepared_is_not_run(floor: Floor) -> None:
    """It would be billed for up to an interval of work that nobody wants."""
    floor.submit()
    steps: list[int] = []
    floor.watched = steps.append

    def cancel() -> None:
        floor.clock.sleep(2.0)
        floor.change(Record.cancelled)

    floor.kernel = Compiling(floor, cancel)
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
        value = bytearray(stored.value)
        value[HEAD.size + HEAD.unpack_from(value)[2]] ^= 1
        floor.register.values[key] = Stored(bytes(value), "of another write")

    floor.kernel = Compiling(floor, damage)
    floor.work(floor.process())
    assert floor.record.result == expected(STEPS)


def test_a_kernel_that_ends_the_process_when_prepared_does_not(floor: Floor) -> None:
    """A package that is badly installed would end every worker, one after the other."""
    floor.kernel = kernels.Unprepared()
    floor.submit()
    handled, _ = floor.work()
    assert handled.ack


def test_strict_parameters_that_json_has_no_word_for_reach_the_kernel(floor: Floor) -> None:
    """A kernel with a date or a tuple among its parameters could never run."""

    class Dated(Model):
        steps: int
        day: date
        pair: tuple[int, ...]

    got: list[object] = []

    class Dating(kernels.Counting):
        Params = Dated  # type: ignore[assignment]

        def prepare(self, params: object) -> None:
            got.append(params)

    floor.kernel = Dating()
    floor.submit()
    params = {"steps": 3, "day": "2030-01-02", "pair": [1, 2]}
    floor.change(lambda record: record.model_copy(update={"params": params}))
    floor.work()
    assert floor.record.result == expected(3)
    assert got == [Dated(steps=3, day=date(2030, 1, 2), pair=(1, 2))]


def test_a_stop_signal_before_the_claim_gives_the_job_to_another(floor: Floor) -> None:
    """A worker that is about to be killed would claim the job and take it along."""
    floor.submit()
    before = floor.record
    stop = Deadline()
    stop._reason = "SIGTERM"
    delivery = floor.receive()
    assert not deliver(floor.process(), delivery, seconds=None, stop=stop).ack
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


def test_a_stalled_job_gets_a_longer_lease(floor: Floor) -> None:
    """A first step longer than a lease would be taken from one worker after another."""
    floor.submit()
    floor.change(lambda record: changed(record, stalls=6))
    lengths: list[float] = []

    def step(_: int) -> None:
        lease = floor.record.lease
        assert lease is not None
        lengths.append(lease.expires_at - lease.claimed_at)

    floor.watched = step
    floor.work(seconds=0)
    assert lengths == [40.0]


def test_a_new_process_keeps_time_back_for_its_first_ending(floor: Floor) -> None:
    """On a platform where each slice is a new process every slice would be killed at its end."""
    floor.submit()
    floor.register.after = lambda operation: floor.clock.sleep(0.3 if operation == "put" else 0)
    begun = floor.clock()
    floor.work(seconds=6.0)
    assert floor.record.usage.steps > 1
    assert floor.clock() - begun <= 6.0


class Crash(BaseException):
    """The process is gone."""


def crashing(at: int) -> Callable[[str], None]:
    """Return what ends the process at its `at`-th effect from now on."""
    effects = count(1)

    def effect(_: str) -> None:
        if next(effects) == at:
            raise Crash

    return effect


def work_with_crash(floor: Floor, at: int, *, after: bool) -> bool:
    """Work one delivery in a process that dies before or after its `at`-th effect."""
    effect = crashing(at)
    if after:
        floor.register.after = effect
    else:
        floor.register.before = effect
    originals = {name: getattr(floor.queue, name) for name in ("send", "hide", "ack")}

    def wrapped(name: str) -> Callable[..., None]:
        def call(*args: object, **kwargs: object) -> None:
            if not after:
                effect(name)
            originals[name](*args, **kwargs)
            if after:
                effect(name)

        return call

    for name in originals:
        setattr(floor.queue, name, wrapped(name))
    try:
        floor.work(seconds=2.0)
    except Crash:
        return True
    finally:
        floor.register.before = floor.register.after = lambda _: None
        for name in originals:
            delattr(floor.queue, name)
    return False


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, 12))
def test_a_crash_around_any_effect_leaves_a_message_that_leads_on(
    floor: Floor, at: int, after: bool
) -> None:
    """The job would stand still until a sweep, or for ever."""
    floor.submit()
    floor.work(seconds=2.0)
    crashed = work_with_crash(floor, at, after=after)
    assert crashed == (at <= 9)
    for _ in range(100):
        if floor.record.status.is_final:
            break
        floor.clock.sleep(60.0)
        floor.work(seconds=2.0)
    assert floor.record.result == expected(STEPS)
    assert floor.record.usage.steps == STEPS
    assert len(floor.messages()) <= 1


def test_a_lost_claim_looks_again(floor: Floor) -> None:
    """A worker that was slower would end in an error, or take the job from the faster one."""
    floor.submit()

    def rival(operation: str) -> None:
        if operation == "put":
            floor.register.before = lambda _: None
            lease = HELD.model_copy(update={"expires_at": floor.clock() + 60})
            floor.change(lambda record: record.claimed(lease))

    floor.register.before = rival
    handled, _ = floor.work()
    assert not handled.ack
    assert floor.record.lease is not None
    assert floor.record.lease.token == HELD.token


def test_a_job_that_moves_on_while_it_is_announced_is_no_error(floor: Floor) -> None:
    """A race between the send and the next worker would end the one that sent."""
    floor.submit()
    send = floor.queue.send

    def send_and_run(message: Message, *, again: bool = False) -> None:
        send(message, again=again)
        del floor.queue.send
        others.append(floor.work(floor.process("fast"), seconds=2.0)[0])

    others: list[Handled] = []
    floor.queue.send = send_and_run  # type: ignore[method-assign]
    handled, _ = floor.work(seconds=2.0)
    assert handled.ack
    assert [other.ack for other in others] == [True]
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

    def fail(*_: object, **__: object) -> None:
        raise QueueUnavailable("away")

    floor.queue.send = fail  # type: ignore[method-assign]
    with pytest.raises(QueueUnavailable):
        floor.work(seconds=2.0)
    del floor.queue.send
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
    while not floor.record.status.is_final:
        floor.work()
    assert floor.record.result == expected(STEPS)


@pytest.fixture
def fifo(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the queue drop every message that it has seen, unless it is sent again on purpose."""
    seen: set[str] = set()
    send = floor.queue.send

    def send_once(message: Message, *, again: bool = False) -> None:
        if again or message.body() not in seen:
            send(message)
        seen.add(message.body())

    monkeypatch.setattr(floor.queue, "send", send_once)


@pytest.mark.usefixtures("fifo")
@pytest.mark.parametrize(("lost", "sweeps"), [(1, 0), (2, 1), (3, 2), (4, 3)])
def test_a_queue_that_drops_duplicates_carries_a_job_that_is_set_back(
    floor: Floor, lost: int, sweeps: int
) -> None:
    """Its continuations were sent before: it would stand still at more than is promised."""
    floor.submit()
    floor.work(seconds=2.0)
    older = dict(floor.register.values)
    for _ in range(lost):
        floor.work(seconds=2.0)
    floor.register.values = older
    woken = 0
    while not floor.record.status.is_final:
        while delivery := floor.queue.receive(visibility_seconds=4.0, wait_seconds=0.0):
            deliver(floor.process(), delivery, seconds=2.0)
            floor.queue.ack(delivery)
        floor.clock.sleep(60.0)
        woken += len(sweep(floor.jobs, floor.queue, after_seconds=60.0))
    assert floor.record.result == expected(STEPS)
    assert woken == sweeps

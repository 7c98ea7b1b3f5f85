"""A live worker keeps its job, a dead one loses it: whatever takes long, whatever clocks say."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.record import Record
from outlast.checkpoint.record_parts import Guards, Pace
from outlast.checkpoint.status import Status
from outlast.worker.queues.message import Message
from outlast.worker.slices.claimed_job import ClaimedJob
from outlast.worker.slices.deliver import deliver
from outlast.worker.slices.protocol import RunSlice, Wait, next_action
from outlast.worker.slices.timing import Timing
from tests.fakes import MemoryRegister
from tests.kernels import AnyState, Counting, expected
from tests.records import lease
from tests.worker.floor import JOB, STEPS, Floor

if TYPE_CHECKING:
    from collections.abc import Callable

YEAR = 365 * 86_400.0


class SlowRegister(MemoryRegister):
    """A store to which a megabyte takes so many seconds, in each of which another worker looks."""

    def __init__(self, look: Callable[[float], None]) -> None:
        super().__init__()
        self.seconds_per_megabyte = 0.0
        self._look = look

    def put(self, key: str, value: bytes, *, expected: str | None) -> str:
        """Take the time that the value needs."""
        self._look(self.seconds_per_megabyte * len(value) / 1e6)
        return super().put(key, value, expected=expected)


@pytest.fixture
def slow(floor: Floor) -> Floor:
    """A floor on whose store others look at the job all the while."""

    def look(seconds: float) -> None:
        while seconds > 0:
            floor.clock.sleep(min(seconds, 1.0))
            seconds -= 1.0
            stored = register.values.get(f"jobs/{JOB}")
            if stored and (record := floor.record).status is Status.RUNNING:
                assert isinstance(next_action(record, None, floor.clock()), Wait)

    register = SlowRegister(look)
    floor.register = register
    floor.jobs = JobStore(register, clock=floor.clock)
    return floor


@pytest.mark.parametrize("seconds_per_megabyte", [0.1, 1.0, 2.0])
def test_a_live_worker_keeps_its_job_however_long_a_save_takes(
    slow: Floor, seconds_per_megabyte: float
) -> None:
    """Two workers would do the same work, save by save, and the history call the first one dead."""
    register: Any = slow.register
    register.seconds_per_megabyte = seconds_per_megabyte
    random = Random(1)  # Bytes that can be deflated to nothing would take no time.
    states = [AnyState(value=random.randbytes(1_000_000).hex()) for _ in range(4)]

    def run(*_: object) -> Any:
        for state in states:
            slow.busy(20.0)
            yield state
        return AnyState(value=1)

    slow.kernel = Counting(State=AnyState, Result=AnyState, run=run, progress=lambda *_: 0.5)
    slow.submit()
    slow.work(slow.process(timing=Timing(), max_state_bytes=4 << 20))
    record = slow.record
    assert record.status is Status.SUCCEEDED
    assert (record.usage.slices_begun, record.usage.redone_seconds) == (1, 0.0)


def test_a_slice_whose_state_has_grown_keeps_time_back_for_it(slow: Floor) -> None:
    """A function would be killed in its last save, with all that it did since the one before."""
    register: Any = slow.register
    register.seconds_per_megabyte = 0.5
    state = AnyState(value=Random(1).randbytes(1_000_000).hex())

    def run(*_: object) -> Any:
        while True:
            slow.busy(1.0)
            yield state

    slow.kernel = Counting(State=AnyState, Result=AnyState, run=run, progress=lambda *_: 0.5)
    slow.submit()
    begun = slow.clock()
    slow.work(slow.process(timing=Timing(), max_state_bytes=4 << 20), seconds=60.0)
    assert slow.record.status is Status.QUEUED
    assert 30.0 < slow.clock() - begun <= 60.0


@pytest.mark.parametrize("seconds", [45.0, 500.0])
def test_a_live_worker_keeps_its_job_through_a_long_step(floor: Floor, seconds: float) -> None:
    """Where the first step is slow each worker would take the job from the one before it."""
    others = []

    def step(_: int) -> None:
        floor.busy(seconds)
        floor.queue.send(Message(job_id=JOB))
        others.append(floor.work(floor.process("other", repeat=floor.repeat))[0].record)

    floor.submit(steps=2)
    floor.kernel = Counting(step)
    handled = deliver(floor.process(), floor.receive(), slice_seconds=3.0)
    assert handled.record is not None
    assert others == [None]
    assert handled.record.usage.steps == 1
    assert handled.record.usage.redone_seconds == 0.0


def test_the_message_of_a_long_step_stays_hidden(floor: Floor) -> None:
    """Idle workers would receive it again and again, until the queue gives it up."""
    others = []

    def step(_: int) -> None:
        floor.busy(45.0)
        others.append(floor.queue.look(1.0))

    floor.submit(steps=2)
    floor.kernel = Counting(step)
    floor.work()
    assert others == [None, None]


def test_a_live_worker_keeps_its_job_through_one_long_step_after_another(floor: Floor) -> None:
    """Ten minutes into a slice others would take the job, and do each of its steps again."""
    others = []

    def step(_: int) -> None:
        floor.busy(400.0)
        others.append(isinstance(next_action(floor.record, None, floor.clock()), Wait))

    floor.submit(steps=3)
    floor.kernel = Counting(step)
    floor.work()
    assert others == [True] * 3
    assert floor.record.result == expected(3)


def test_a_step_that_never_returns_does_not_hold_its_job_for_ever(floor: Floor) -> None:
    """A kernel that hangs on one machine would keep its job from all others."""
    others = []

    def step(_: int) -> None:
        if not others:
            floor.busy(700.0)
            others.append(next_action(floor.record, None, floor.clock()))

    floor.submit()
    floor.kernel = Counting(step)
    floor.work()
    assert others == [RunSlice()]


def test_a_worker_keeps_a_job_whose_steps_are_known_to_take_long(floor: Floor) -> None:
    """With steps of a quarter of an hour two workers would take the job from each other."""
    others = []

    def step(_: int) -> None:
        floor.busy(900.0)
        others.append(next_action(floor.record, None, floor.clock()))

    floor.submit()
    floor.change(lambda record: record.spent(steps=0, seconds=0.0, pace=Pace(step_seconds=700.0)))
    floor.kernel = Counting(step)
    floor.work(seconds=1800.0)
    assert others
    assert all(isinstance(action, Wait) for action in others)


def test_a_worker_holds_a_job_for_longer_that_was_taken_from_others(floor: Floor) -> None:
    """A first step of a quarter of an hour would never end: each worker would lose the job."""
    others = []

    def step(_: int) -> None:
        floor.busy(1100.0)
        others.append(next_action(floor.record, None, floor.clock()))

    floor.submit(steps=1)
    floor.change(lambda record: record.model_copy(update={"guards": Guards(stalls=2)}))
    floor.kernel = Counting(step)
    floor.work()
    assert [type(action) for action in others] == [Wait]


def test_a_worker_that_has_made_a_step_holds_a_job_no_longer_than_others(floor: Floor) -> None:
    """A worker that dies with its last save would keep the job for minutes."""
    floor.submit()
    floor.change(lambda record: record.model_copy(update={"guards": Guards(stalls=4)}))
    process = floor.process()
    with ClaimedJob.take(process, floor.jobs.load(JOB), floor.receive(), announced=True) as job:
        first = job.lease_seconds
        job.work.saw_step(0.5)
        assert job.work.state is None, "as where it had to be dropped"
        assert first == pytest.approx(4 * job.lease_seconds)


def test_a_dead_worker_loses_a_job_of_slow_steps_within_seconds(floor: Floor) -> None:
    """The job would wait as long as its slowest step, each time a worker is killed."""
    floor.step_seconds = 100.0
    floor.submit()
    floor.work(seconds=500.0)
    record = floor.record
    assert record.pace.step_seconds >= 100.0
    delivery = floor.receive()
    with pytest.raises(KeyboardInterrupt), floor.hooked("after", _die):
        deliver(floor.process(), delivery)
    wait = next_action(floor.record, None, floor.clock())
    assert isinstance(wait, Wait)
    assert wait.seconds <= 10.0


def _die(operation: str) -> None:
    if operation == "put":
        raise KeyboardInterrupt


@pytest.mark.parametrize("ahead", [YEAR, 3600.0, 20.0])
def test_a_lease_of_a_clock_that_is_ahead_is_none(floor: Floor, ahead: float) -> None:
    """The job would sleep for a year, and neither the sweep nor pause and resume would help."""
    floor.submit()
    now = floor.clock() + ahead
    floor.change(lambda record: record.claimed(lease(now, seconds=5.0)))
    assert floor.record.is_held(floor.clock()) is False
    assert floor.record.silent_seconds(floor.clock() + 7.0) >= 7.0
    assert next_action(floor.record, 1, floor.clock()) == RunSlice()


@pytest.mark.parametrize(("ahead", "waits"), [(YEAR, False), (0.0, True)])
def test_a_wait_of_a_clock_that_is_ahead_is_none(
    floor: Floor, ahead: float, *, waits: bool
) -> None:
    """A job with one error would be tried again in a year."""
    floor.submit()
    until = floor.clock() + ahead + 2.0
    floor.change(lambda record: record.model_copy(update={"not_before": until}))
    assert isinstance(next_action(floor.record, 1, floor.clock()), Wait) is waits


@pytest.mark.parametrize("ahead", [YEAR, -YEAR])
def test_a_worker_whose_clock_is_wrong_goes_by_the_stores(floor: Floor, ahead: float) -> None:
    """It would lose all its own jobs, and take all others' from under them."""
    jobs = JobStore(floor.register, clock=lambda: floor.clock() + ahead)
    floor.register.clock.ahead_seconds = ahead
    others: list[object] = []

    def look(_: int) -> None:
        wait = next_action(floor.record, None, floor.clock())
        others.append(wait.seconds <= 5.0 if isinstance(wait, Wait) else wait)

    floor.submit()
    floor.register.clock.ahead_seconds = 0.0
    floor.watched = look
    process = floor.process(jobs=jobs)
    floor.register.clock.ahead_seconds = ahead
    floor.jobs = JobStore(floor.register, clock=lambda: floor.clock() + ahead)
    floor.work(process)
    assert floor.record.result == expected(STEPS)
    assert set(others) == {True}


def test_a_person_frees_a_job_from_a_worker_that_hangs(floor: Floor) -> None:
    """Nothing but the end of its machine would give the job to another worker."""
    floor.submit()
    floor.at(4, lambda: floor.change(Record.freed))
    assert not floor.work()[0].record
    floor.watched = lambda _: None
    record = floor.record
    assert (record.status, record.lease, record.slice_number) == (Status.QUEUED, None, 2)
    assert record.checkpoints
    floor.queue.send(Message(job_id=JOB))
    floor.finish()
    assert floor.record.result == expected(STEPS)

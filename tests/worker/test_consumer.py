"""The loop of a worker: it goes on whatever comes, and stops when it is told to."""

from __future__ import annotations

import signal
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from outlast.checkpoint.errors import StoreUnavailable
from outlast.checkpoint.parts import Lease
from outlast.checkpoint.record import Record
from outlast.checkpoint.status import Status
from outlast.kernel import UnknownKernel
from outlast.worker.loops.consumer import LONGEST_BACKOFF_SECONDS, Consumer
from outlast.worker.loops.one_job import run_embedded
from outlast.worker.queues.contract import Delivery, QueueUnavailable
from outlast.worker.queues.memory import MemoryQueue
from outlast.worker.queues.message import Message
from outlast.worker.slices.deadline import Deadline
from outlast.worker.slices.loading import NewerState
from tests import kernels
from tests.kernels import expected
from tests.records import changed
from tests.worker.floor import JOB, STEPS, Floor

if TYPE_CHECKING:
    from collections.abc import Callable


def consumer(floor: Floor, *, sweep_seconds: float | None = None) -> Consumer:
    """A worker with slices of 3 s."""
    return Consumer(floor.process(), slice_seconds=3.0, sweep_seconds=sweep_seconds)


def is_over(floor: Floor) -> Callable[[], bool]:
    """Whether the job is over."""
    return lambda: floor.record.status.is_final


def test_a_job_is_worked_to_its_end(floor: Floor) -> None:
    """Submitted work would not be done."""
    floor.submit()
    assert consumer(floor).run(done=is_over(floor)) is None
    assert floor.record.result == expected(STEPS)
    assert floor.record.usage.slices_begun > 3
    assert floor.messages() == []


def test_it_stops_when_idle_for_long_enough(floor: Floor) -> None:
    """A worker that is paid by the second would wait for ever."""
    floor.submit(steps=2)
    begun = floor.clock()
    consumer(floor).run(max_idle_seconds=10.0)
    assert floor.record.status is Status.SUCCEEDED
    assert 10.0 <= floor.clock() - begun - 2 * floor.step_seconds < 12.0


def test_it_stops_after_so_many_slices(floor: Floor) -> None:
    """A worker on a platform that counts its uses would go on."""
    floor.submit()
    consumer(floor).run(max_slices=2)
    assert floor.record.usage.slices_begun == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_saves_and_hands_on(floor: Floor, number: signal.Signals) -> None:
    """A container that is stopped would lose its work, or hold up its own end."""
    floor.submit()
    floor.watched = lambda step: signal.raise_signal(number) if step == 2 else None
    assert consumer(floor).run() == number.name
    assert floor.record.usage.steps == 3
    assert floor.record.status is Status.QUEUED
    assert floor.messages() == [Message(job_id=JOB, slice=2).body()]


def test_a_stop_signal_while_it_waits_gives_the_message_back(floor: Floor) -> None:
    """The message would stay hidden, and the job asleep, until a time-out."""
    floor.submit()
    look = floor.queue.look

    def stopped(visibility_seconds: float) -> Delivery | None:
        signal.raise_signal(signal.SIGTERM)
        return look(visibility_seconds)

    floor.queue.look = stopped  # type: ignore[method-assign]
    assert consumer(floor).run() == "SIGTERM"
    del floor.queue.look
    assert floor.record.usage.slices_begun == 0
    assert floor.receive().body == Message(job_id=JOB, slice=1).body()


def test_a_reason_to_stop_outside_counts(floor: Floor) -> None:
    """A signal that came before the loop began would be forgotten."""
    floor.submit()
    with Deadline() as outer:
        signal.raise_signal(signal.SIGTERM)
        assert consumer(floor).run(outer=outer) == "SIGTERM"
    assert floor.record.usage.slices_begun == 0


@pytest.mark.parametrize("body", ["hello", '{"job_id":"nobody"}'])
def test_a_message_that_is_not_ours_does_not_stop_the_others(floor: Floor, body: str) -> None:
    """One bad message would end the worker, and the next one, and the next."""
    floor.queue.send(cast("Message", SimpleNamespace(body=lambda: body)))
    floor.submit()
    consumer(floor).run(done=is_over(floor))
    assert floor.record.result == expected(STEPS)
    floor.clock.sleep(3600.0)
    consumer(floor).run(max_idle_seconds=3600.0)
    assert [dead for dead, _ in floor.queue.dead] == [body]


@pytest.mark.parametrize(
    "kernel",
    [
        kernels.raising(SystemExit(1), at=3),
        kernels.raising(KeyboardInterrupt(), at=3),
        kernels.Returning({1}),
        kernels.Careless(state=float("nan")),
        kernels.Unsure(lambda: None),
        kernels.Unprepared(),
        kernels.Stubborn(),
    ],
    ids=lambda kernel: type(kernel).__name__,
)
def test_a_bad_kernel_does_not_stop_the_others(floor: Floor, kernel: kernels.Counting) -> None:
    """One job's kernel would end the worker, and with it everybody's jobs."""
    floor.submit(max_failures=2)
    other = Record(
        job_id="job-2", kernel="bad", params={"steps": 5}, created_at=0.0, updated_at=0.0
    )
    floor.jobs.submit(other)
    floor.queue.send(Message(job_id="job-2", slice=1))
    process = floor.process()
    found = {"counting": floor.kernel, "bad": kernel}
    object.__setattr__(process, "kernels", found.__getitem__)
    Consumer(process, slice_seconds=3.0).run(max_idle_seconds=600.0)
    assert floor.record.result == expected(STEPS)
    assert floor.jobs.load("job-2").record.status.is_final
    assert floor.messages() == []


def test_a_kernel_that_cannot_be_loaded_does_not_stop_the_others(floor: Floor) -> None:
    """A broken package would end every worker that has it."""

    def load(name: str) -> kernels.Counting:
        if name != "counting":
            raise UnknownKernel(name)
        return kernels.Counting()

    floor.submit()
    other = Record(job_id="job-0", kernel="bad", params={}, created_at=0.0, updated_at=0.0)
    floor.jobs.submit(other)
    floor.queue.send(Message(job_id="job-0", slice=1))
    process = floor.process()
    object.__setattr__(process, "kernels", load)
    Consumer(process, slice_seconds=3.0).run(done=is_over(floor))
    assert floor.record.result == expected(STEPS)


def test_a_store_that_is_away_for_a_night_is_waited_for(floor: Floor) -> None:
    """Every worker would be gone in the morning, and the job that it lost for good."""
    floor.submit()
    begun = floor.clock()

    def away(_: str) -> None:
        if floor.clock() < begun + 900.0:
            raise StoreUnavailable("away")

    floor.register.before = away
    worker = consumer(floor, sweep_seconds=60.0)
    worker._troubles = 5000
    worker.run(max_idle_seconds=1200.0)
    assert floor.record.result == expected(STEPS)


def test_the_back_off_doubles_to_its_limit_and_ends_with_success(floor: Floor) -> None:
    """A store under load would be hammered; after the trouble the worker would be slow."""
    sleeps: list[float] = []
    answers = iter([True] * 8 + [False] + [True] * 2)

    def receive(**_: float) -> None:
        if next(answers, False):
            raise QueueUnavailable("away")
        floor.clock.sleep(1.0)

    process = floor.process()
    object.__setattr__(process, "sleep", lambda s: (sleeps.append(s), floor.clock.sleep(s)))
    worker = Consumer(process, slice_seconds=3.0)
    worker._is_met = True  # It has had an answer before.
    waits: list[float] = []

    def receive_and_note(**kwargs: float) -> None:
        waits.append(sum(sleeps))
        sleeps.clear()
        receive(**kwargs)

    floor.queue.receive = receive_and_note  # type: ignore[method-assign, assignment]
    worker.run(max_idle_seconds=300.0)
    grown = [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, LONGEST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS]
    assert waits[:9] == grown
    assert waits[9:12] == [0.0, 0.5, 1.0]


def test_a_queue_that_was_never_there_is_an_error(floor: Floor) -> None:
    """A slip in the queue's name would look like a queue without work."""

    def away(**_: float) -> None:
        raise QueueUnavailable("no such queue")

    floor.queue.receive = away  # type: ignore[method-assign, assignment]
    with pytest.raises(QueueUnavailable, match="no such queue"):
        consumer(floor).run()


def test_a_stop_signal_ends_a_back_off(floor: Floor) -> None:
    """A worker whose store is away could not be stopped for half a minute."""
    floor.submit()
    slept: list[float] = []

    def away(_: str) -> None:
        raise StoreUnavailable("away")

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        signal.raise_signal(signal.SIGTERM)

    floor.register.before = away
    process = floor.process()
    object.__setattr__(process, "sleep", sleep)
    worker = Consumer(process, slice_seconds=3.0)
    worker._troubles = 10
    assert worker.run() == "SIGTERM"
    assert len(slept) == 1


def test_an_idle_worker_wakes_what_lost_its_message(floor: Floor) -> None:
    """A purged queue would end all jobs, unless a person noticed."""
    floor.submit(send=False)
    consumer(floor, sweep_seconds=60.0).run(done=is_over(floor), max_idle_seconds=1000.0)
    assert floor.record.result == expected(STEPS)


def test_a_busy_worker_wakes_what_lost_its_message(floor: Floor) -> None:
    """A queue that never runs empty would leave a job asleep for ever."""
    floor.submit(send=False)
    process = floor.process()
    receive = process.queue.receive

    def busy(**how: float) -> Delivery:
        floor.clock.sleep(10.0)
        return receive(**how) or Delivery(body="not ours", receipt="none")

    process.queue.receive = busy  # type: ignore[method-assign]
    end = floor.clock() + 3000.0
    worker = Consumer(process, slice_seconds=3.0, sweep_seconds=60.0)
    worker.run(done=lambda: is_over(floor)() or floor.clock() > end)
    assert floor.record.result == expected(STEPS)


def test_without_a_sweep_nothing_is_woken(floor: Floor) -> None:
    """A worker of one job alone would take over everybody's."""
    floor.submit(send=False)
    consumer(floor).run(max_idle_seconds=1000.0)
    assert floor.record.usage.slices_begun == 0


def test_an_embedded_run_works_its_job_to_the_end(floor: Floor) -> None:
    """`outlast run` would not give a result."""
    floor.submit(send=False)
    record = run_embedded(floor.process(), JOB, slice_seconds=3.0)
    assert record.result == expected(STEPS)


def test_an_embedded_run_ends_where_only_a_newer_kernel_can_go_on(floor: Floor) -> None:
    """`outlast run` would try again every few seconds, for ever."""
    floor.submit()
    floor.work(floor.process(kernel=kernels.NewerCounting(floor.step)), seconds=2.0)
    before = floor.record
    end = Deadline(3600.0, clock=floor.clock)
    with pytest.raises(NewerState, match="upgrade"):
        run_embedded(floor.process(), JOB, slice_seconds=3.0, stop=end)
    assert floor.record == before


def test_an_embedded_run_ends_where_a_package_is_missing(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`outlast run` would try again every few seconds, for ever."""

    def lacking(_: object) -> None:
        raise UnknownKernel("it needs numba")

    floor.submit(send=False)
    before = floor.record
    monkeypatch.setattr(floor.kernel, "require", lacking)
    end = Deadline(3600.0, clock=floor.clock)
    with pytest.raises(UnknownKernel, match="it needs numba"):
        run_embedded(floor.process(), JOB, slice_seconds=3.0, stop=end)
    assert floor.record == before


def test_an_embedded_run_stops_at_a_pause(floor: Floor) -> None:
    """It would wait for ever for a message that nobody sends."""
    floor.submit(send=False)

    def step(number: int) -> None:
        if number == 5:
            floor.change(Record.paused)

    floor.watched = step
    assert run_embedded(floor.process(), JOB, slice_seconds=3.0).status is Status.PAUSED


def test_an_embedded_run_waits_for_who_holds_the_job(floor: Floor) -> None:
    """Two runs of one job would do the same work; or the second would take it as done."""
    floor.submit(send=False)
    other = floor.process("other")
    floor.queue.send(Message(job_id=JOB))
    started: list[Record] = []

    def step(number: int) -> None:
        if number == 2:
            floor.watched = lambda _: None
            with Deadline() as stop:
                signal.raise_signal(signal.SIGTERM)
                started.append(
                    run_embedded(floor.process("second"), JOB, slice_seconds=3.0, stop=stop)
                )

    floor.watched = step
    floor.work(other)
    assert started[0].usage.slices_begun == 1
    floor.work(other)
    assert floor.record.result == expected(STEPS)


def test_an_embedded_run_goes_on_soon_after_who_held_the_job(floor: Floor) -> None:
    """A person would look at a run that sits idle, the longer the other one has had the job."""
    floor.queue = MemoryQueue(clock=floor.clock, sleep=floor.clock.sleep, max_receives=None)
    floor.submit(send=False)
    begun, lease_seconds = floor.clock(), 10.0

    def hold(operation: str) -> None:
        """Renew the other worker's lease whenever it is looked at, for 100 s."""
        now = floor.clock()
        if operation == "read" and now < begun + 100.0:
            floor.register.before = lambda _: None
            lease = Lease(
                worker="other",
                token="t",
                claimed_at=begun - 1000.0,
                expires_at=now + lease_seconds,
                at_risk_seconds=1.0,
            )
            floor.change(lambda record: record.claimed(lease))
            floor.change(lambda record: changed(record, stalls=0))
            floor.register.before = hold

    first_steps: list[float] = []
    floor.register.before = hold
    floor.watched = lambda _: first_steps.append(floor.clock())
    run_embedded(floor.process(), JOB, slice_seconds=3.0)
    assert first_steps[0] < begun + 100.0 + lease_seconds + 2.0

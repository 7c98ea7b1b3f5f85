"""The loop of a worker: it goes on whatever happens, and stops when it is asked to."""

from __future__ import annotations

import signal
from itertools import count
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

from outlast.checkpoint.errors import StoreUnavailable
from outlast.checkpoint.record import Record
from outlast.checkpoint.status import Status
from outlast.kernel import UnknownKernel
from outlast.worker.loops.consumer import Consumer
from outlast.worker.loops.one_job import run_to_end
from outlast.worker.queues.contract import Delivery, QueueUnavailable
from outlast.worker.queues.memory import MemoryQueue
from outlast.worker.queues.message import Message
from outlast.worker.slices.deadline import Deadline
from outlast.worker.slices.loading import NewerState
from tests.kernels import (
    FIRST,
    Counting,
    NewerCounting,
    careless,
    expected,
    raising,
    scripted,
    stubborn,
    unprepared,
)
from tests.records import changed
from tests.worker.floor import JOB, STEPS, Floor, failing

if TYPE_CHECKING:
    from collections.abc import Callable


def consumer(floor: Floor, *, sweep_seconds: float | None = None, **changes: Any) -> Consumer:
    """A worker with slices of 3 s; `changes` are those of its process."""
    return Consumer(floor.process(**changes), slice_seconds=3.0, sweep_seconds=sweep_seconds)


def run(floor: Floor, *, stop: Deadline | None = None) -> Record:
    """Run the job as `outlast run` does, in slices of 3 s."""
    return run_to_end(floor.process(), JOB, slice_seconds=3.0, stop=stop)


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


def test_an_outage_at_the_end_of_a_slice_is_no_idleness(floor: Floor) -> None:
    """A fleet that ends when it is idle would end at the first hiccup of its store, jobs or not."""
    floor.submit(steps=40)
    outage = iter(range(6))

    def away(operation: str) -> None:
        if operation == "put" and floor.clock() > begun + 2.5 and next(outage, None) is not None:
            raise StoreUnavailable("away")

    begun = floor.clock()
    floor.register.before = away
    consumer(floor).run(max_idle_seconds=2.0)
    assert next(outage, None) is None
    assert floor.record.status is Status.SUCCEEDED


def test_it_stops_after_so_many_slices(floor: Floor) -> None:
    """A worker on a platform that counts its uses would go on."""
    floor.submit()
    consumer(floor).run(max_slices=2)
    assert floor.record.usage.slices_begun == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_saves_and_hands_on(floor: Floor, number: signal.Signals) -> None:
    """A container that is stopped would lose its work, or hold up its own end."""
    floor.submit()
    floor.at(2, lambda: signal.raise_signal(number))
    assert consumer(floor).run() == number.name
    assert floor.record.usage.steps == 3
    assert floor.record.status is Status.QUEUED
    assert floor.messages() == [Message(job_id=JOB, slice=2).body()]


def test_a_stop_signal_while_it_waits_gives_the_message_back(floor: Floor) -> None:
    """The message would stay hidden, and the job asleep, until a time-out."""
    floor.submit()
    floor.queue.before = lambda operation: (
        signal.raise_signal(signal.SIGTERM) if operation == "look" else None
    )
    assert consumer(floor).run() == "SIGTERM"
    floor.queue.before = lambda _: None
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
    floor.send(body)
    floor.submit()
    consumer(floor).run(done=is_over(floor))
    assert floor.record.result == expected(STEPS)
    floor.clock.sleep(3600.0)
    consumer(floor).run(max_idle_seconds=3600.0)
    assert [dead for dead, _ in floor.queue.dead] == [body]


@pytest.mark.parametrize(
    "kernel",
    [
        raising(SystemExit(1), at=3),
        raising(KeyboardInterrupt(), at=3),
        scripted(FIRST, result={1}),
        careless(state=float("nan")),
        Counting(progress=lambda *_: None),
        unprepared(),
        stubborn(),
    ],
    ids=["exit", "ctrl-c", "no-result", "no-state", "no-progress", "unprepared", "stubborn"],
)
def test_a_bad_kernel_does_not_stop_the_others(floor: Floor, kernel: Counting) -> None:
    """One job's kernel would end the worker, and with it everybody's jobs."""
    floor.submit(max_failures=2)
    floor.submit("job-2", kernel="bad", steps=5)
    kernels = {"counting": floor.kernel, "bad": kernel}
    consumer(floor, kernels=kernels.__getitem__).run(max_idle_seconds=600.0)
    assert floor.record.result == expected(STEPS)
    assert floor.jobs.load("job-2").record.status.is_final
    assert floor.messages() == []


def test_a_kernel_that_cannot_be_loaded_does_not_stop_the_others(floor: Floor) -> None:
    """A broken package would end every worker that has it."""

    def load(name: str) -> Counting:
        if name != "counting":
            raise UnknownKernel(name)
        return Counting()

    floor.submit("job-0", kernel="bad")
    floor.submit()
    consumer(floor, kernels=load).run(done=is_over(floor))
    assert floor.record.result == expected(STEPS)


def test_jobs_for_other_workers_do_not_keep_one_that_is_idle(floor: Floor) -> None:
    """A machine that ends itself once there is nothing to do would run, and cost, for ever."""
    floor.submit(kernel="theirs")
    began = floor.clock()
    consumer(floor, kernels=Mock(side_effect=UnknownKernel("theirs"))).run(max_idle_seconds=60.0)
    assert 60.0 <= floor.clock() - began < 600.0


def test_jobs_for_other_workers_do_not_keep_this_one_from_its_own(floor: Floor) -> None:
    """A few jobs with a package that nobody has would stop all others."""

    def load(name: str) -> Counting:
        if name != "counting":
            raise UnknownKernel(name)
        return Counting()

    for number in range(50):
        floor.submit(f"job-{number + 100}", kernel="theirs")
    floor.submit()
    began = floor.clock()
    consumer(floor, kernels=load).run(done=is_over(floor))
    assert floor.clock() - began < 60.0


def test_a_store_that_is_away_for_a_night_is_waited_for(floor: Floor) -> None:
    """Every worker would be gone in the morning, and the job that it lost for good."""
    floor.submit()
    morning = floor.clock() + 12 * 3600.0  # so many troubles that a doubled wait would overflow

    def away(_: str) -> None:
        if floor.clock() < morning:
            raise StoreUnavailable("away")

    floor.register.before = away
    consumer(floor, sweep_seconds=60.0).run(done=lambda: floor.clock() > morning + 3600.0)
    assert floor.record.result == expected(STEPS)


def test_the_back_off_doubles_to_its_limit_and_ends_with_success(floor: Floor) -> None:
    """A store under load would be hammered; after the trouble the worker would be slow."""
    waits, sleeps = [], []
    # The first contact, eight times no answer, one, and twice none; then there is no work.
    answers = iter([True, *[False] * 8, True, False, False])

    def receive(**_: float) -> None:
        waits.append(sum(sleeps))
        sleeps.clear()
        if not next(answers, True):
            raise QueueUnavailable("away")
        floor.clock.sleep(1.0)

    def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        floor.clock.sleep(seconds)

    floor.queue.receive = receive
    consumer(floor, sleep=sleep).run(max_idle_seconds=300.0)
    assert waits[1:10] == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert waits[10:13] == [0.0, 0.5, 1.0]


def test_a_queue_that_was_never_there_is_an_error(floor: Floor) -> None:
    """A slip in the queue's name would look like a queue without work."""
    floor.queue.before = failing("look", QueueUnavailable("no such queue"))
    with pytest.raises(QueueUnavailable, match="no such queue"):
        consumer(floor).run()


def test_a_stop_signal_ends_a_back_off(floor: Floor) -> None:
    """A worker whose store is away could not be stopped for half a minute."""
    floor.submit()
    sleeps = count(1)

    def sleep(seconds: float) -> None:
        floor.clock.sleep(seconds)
        if next(sleeps) == 20:  # in the middle of a long wait: the sixth, of 16 s
            signal.raise_signal(signal.SIGTERM)

    floor.register.before = failing("read", StoreUnavailable("away"))
    assert consumer(floor, sleep=sleep).run() == "SIGTERM"
    assert next(sleeps) == 21


def test_an_idle_worker_wakes_what_lost_its_message(floor: Floor) -> None:
    """A purged queue would end all jobs, unless a person saw it."""
    floor.submit(send=False)
    consumer(floor, sweep_seconds=60.0).run(done=is_over(floor), max_idle_seconds=1000.0)
    assert floor.record.result == expected(STEPS)


def test_a_busy_worker_wakes_what_lost_its_message(floor: Floor) -> None:
    """A queue that never runs empty would leave a job asleep for ever."""
    floor.submit(send=False)
    receive = floor.queue.receive

    def busy(**how: float) -> Delivery:
        floor.clock.sleep(10.0)
        return receive(**how) or Delivery(body="not ours", receipt="none")

    floor.queue.receive = busy
    end = floor.clock() + 3000.0
    consumer(floor, sweep_seconds=60.0).run(done=lambda: is_over(floor)() or floor.clock() > end)
    assert floor.record.result == expected(STEPS)


def test_without_a_sweep_nothing_is_woken(floor: Floor) -> None:
    """A worker of one job alone would take over everybody's."""
    floor.submit(send=False)
    consumer(floor).run(max_idle_seconds=1000.0)
    assert floor.record.usage.slices_begun == 0


def test_an_embedded_run_works_its_job_to_the_end(floor: Floor) -> None:
    """`outlast run` would not give a result."""
    floor.submit(send=False)
    assert run(floor).result == expected(STEPS)


def test_an_embedded_run_ends_where_only_a_newer_kernel_can_go_on(floor: Floor) -> None:
    """`outlast run` would try again every few seconds, for ever."""
    floor.submit()
    floor.work(floor.process(kernel=NewerCounting(floor.step)), seconds=2.0)
    expect_the_end(floor, NewerState, "upgrade")


def test_an_embedded_run_ends_where_a_package_is_missing(floor: Floor) -> None:
    """`outlast run` would try again every few seconds, for ever."""
    floor.submit(send=False)
    floor.kernel = Counting(require=Mock(side_effect=UnknownKernel("it needs numba")))
    expect_the_end(floor, UnknownKernel, "it needs numba")


def expect_the_end(floor: Floor, error: type[Exception], message: str) -> None:
    """Expect that an embedded run raises this within an hour, and leaves the job as it was."""
    before = floor.record
    end = Deadline(3600.0, clock=floor.clock)
    with pytest.raises(error, match=message):
        run(floor, stop=end)
    assert floor.record == before


def test_an_embedded_run_stops_at_a_pause(floor: Floor) -> None:
    """It would wait for ever for a message that nobody sends."""
    floor.submit(send=False)
    floor.at(5, lambda: floor.change(Record.paused))
    assert run(floor).status is Status.PAUSED


def test_an_embedded_run_waits_for_the_worker_that_has_the_job(floor: Floor) -> None:
    """Two runs of one job would do the same work; or the second would take it as done."""
    floor.submit()
    runs: list[Record] = []

    def run_too() -> None:
        with Deadline() as stop:
            signal.raise_signal(signal.SIGTERM)
            runs.append(run(floor, stop=stop))

    floor.at(2, run_too)
    floor.work()
    assert runs[0].usage.slices_begun == 1
    floor.finish()
    assert floor.record.result == expected(STEPS)


def test_an_embedded_run_goes_on_soon_after_another_one_has_ended(floor: Floor) -> None:
    """A person would look at a run that sits idle, the longer the other one has had the job."""
    floor.queue = MemoryQueue(clock=floor.clock, sleep=floor.clock.sleep, max_receives=None)
    floor.submit(send=False)
    begun, lease_seconds = floor.clock(), 10.0

    def hold(operation: str) -> None:
        """Renew the other worker's lease whenever it is looked at, for 100 s."""
        now = floor.clock()
        if operation == "read" and now < begun + 100.0:
            floor.register.before = lambda _: None
            floor.claim(since=now - begun + 1000.0, seconds=lease_seconds)
            floor.change(lambda record: changed(record, stalls=0))
            floor.register.before = hold

    first_steps: list[float] = []
    floor.register.before = hold
    floor.watched = lambda _: first_steps.append(floor.clock())
    run(floor)
    assert first_steps[0] < begun + 100.0 + lease_seconds + 2.0


def test_a_run_goes_on_where_a_kernel_cannot_say_what_it_requires(floor: Floor) -> None:
    """A slip there would end the command in a traceback, while a worker runs the job."""
    floor.submit(send=False)
    floor.kernel = Counting(floor.step, require=Mock(side_effect=ValueError("a slip")))
    assert run_to_end(floor.process(), JOB, slice_seconds=3.0).result == expected(STEPS)

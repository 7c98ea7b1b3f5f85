"""A store or queue that is away for longer than a slice: what is done is held, and saved then."""

from __future__ import annotations

import logging
import re
import signal
from typing import TYPE_CHECKING, Any

import pytest

from outlast.checkpoint.codec import decode
from outlast.checkpoint.errors import StoreReplaced, StoreUnavailable
from outlast.checkpoint.status import Status
from outlast.worker.loops.consumer import Consumer
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.slices.deliver import deliver
from outlast.worker.slices.outages import Outages
from tests.fakes import FakeClock
from tests.kernels import expected
from tests.worker.floor import JOB, STEPS, Floor

if TYPE_CHECKING:
    from collections.abc import Callable

SLICE_SECONDS = 3.0
OUTAGE_SECONDS = 600.0


class Outage:
    """The store is away from `begin` on, for all, until its time is over.

    Attributes:
        seconds: how long it lasts. try_seconds: how long each call takes to fail.
        error: what each raises.
        attempts: which steps were done when the store was asked to write.
    """

    def __init__(self, floor: Floor, *, seconds: float = OUTAGE_SECONDS) -> None:
        self.seconds, self.try_seconds = seconds, 0.0
        self.error = StoreUnavailable("the store is away")
        self.operations = {"read", "put", "delete", "keys"}
        self.steps: list[int] = []
        self.attempts: list[int] = []
        self._floor = floor
        self._end = 0.0
        floor.register.before = self._fail
        floor.watched = self.steps.append

    def at(self, step: int) -> None:
        """Let it begin within this step."""

        def watch(number: int) -> None:
            self.steps.append(number)
            if number == step and not self._end:
                self.begin()

        self._floor.watched = watch

    def begin(self) -> None:
        """Let it begin."""
        self._end = self._floor.clock() + self.seconds

    def _fail(self, operation: str) -> None:
        if self._floor.clock() < self._end and operation in self.operations:
            if operation == "put":
                self.attempts.append(len(self.steps))
            self._floor.clock.sleep(self.try_seconds)
            raise self.error


def worker(floor: Floor, **changes: Any) -> Consumer:
    """A plain worker with short slices."""
    return Consumer(floor.process(**changes), slice_seconds=SLICE_SECONDS)


def is_over(floor: Floor) -> Callable[[], bool]:
    """Whether the job is over, as nobody asks while the store is away."""
    return lambda: floor.record.status.is_final


def test_a_slice_that_ends_in_an_outage_is_saved_when_that_is_over(floor: Floor) -> None:
    """All that was done since the last save would be done again after each restart of the store."""
    floor.submit()
    outage = Outage(floor)
    outage.at(2)
    worker(floor).run(done=is_over(floor))
    assert floor.record.result == expected(STEPS)
    assert outage.steps == [*range(STEPS)], "each step was done once"
    assert floor.record.usage.redone_seconds == 0.0
    assert floor.record.guards.stalls == 0


def test_an_outage_does_not_shorten_the_slices_after_it(floor: Floor) -> None:
    """For an hour after the outage half of each slice would be kept back for its end."""
    floor.submit(steps=6)
    Outage(floor).at(2)
    process = floor.process()
    Consumer(process, slice_seconds=SLICE_SECONDS).run(done=is_over(floor))
    assert process.timing.reserve_seconds() < 1.0


def test_a_job_that_another_worker_has_taken_is_let_go(floor: Floor) -> None:
    """Two workers would go on with one job, after a network that was down for one of them."""
    floor.submit()
    outage = Outage(floor)
    other: list[str] = []

    def claim_elsewhere(operation: str) -> None:
        if outage.attempts and not other:
            floor.register.before = lambda _: None
            floor.clock.sleep(60.0)
            other.append(operation)
            floor.claim()
        outage._fail(operation)

    outage.at(2)
    floor.register.before = claim_elsewhere
    worker(floor).run(done=lambda: bool(other) and floor.record.status is Status.RUNNING)
    assert floor.record.usage.steps < len(outage.steps)
    assert floor.record.lease
    assert floor.record.lease.token == "other's"


def test_on_a_platform_the_tries_end_with_its_time(floor: Floor) -> None:
    """A function would be killed at its time-out, and the other jobs of its batch with it."""
    floor.submit()
    Outage(floor).at(2)
    begun = floor.clock()
    with pytest.raises(StoreUnavailable):
        floor.work(seconds=20.0)
    assert 16.0 <= floor.clock() - begun <= 22.0


def test_after_a_stop_signal_the_tries_go_on(floor: Floor) -> None:
    """A worker would end with time left, and what it has done be lost, while its store restarts."""
    floor.submit()
    outage = Outage(floor, seconds=6.0)
    outage.at(2)

    def sleep(seconds: float) -> None:
        floor.clock.sleep(seconds)
        if len(outage.attempts) == 3:
            signal.raise_signal(signal.SIGTERM)

    assert worker(floor, sleep=sleep).run() == "SIGTERM"
    assert floor.record.usage.steps == len(outage.steps)


def test_a_store_that_answers_and_takes_no_write_is_no_outage(floor: Floor) -> None:
    """A job with a state that its store refuses would keep a worker for good, and never fail."""
    floor.submit(max_stalls=2)
    outage = Outage(floor, seconds=1e9)
    outage.operations = {"put"}
    outage.at(2)
    begun = floor.clock()
    worker(floor).run(done=lambda: floor.clock() > begun + 30.0)
    assert 50.0 < floor.clock() - begun < 70.0


def test_a_long_outage_is_no_fault_of_the_kernel(
    floor: Floor, caplog: pytest.LogCaptureFixture
) -> None:
    """A person would mend a kernel that is well, and a second worker come for its job."""
    floor.submit()
    Outage(floor, seconds=900.0).at(2)
    hidden_at: list[float] = []
    begun = floor.clock()

    def note(operation: str) -> None:
        if operation == "hide":
            hidden_at.append(floor.clock() - begun)

    floor.queue.before = note
    worker(floor, sleep=floor.busy).run(max_slices=1)
    assert "has come to no safe point" not in caplog.text
    assert any(800.0 < at < 900.0 for at in hidden_at)


@pytest.mark.parametrize("try_seconds", [5.0, 20.0])
def test_refusals_are_counted_by_what_they_take(floor: Floor, try_seconds: float) -> None:
    """A store that takes long to refuse a state would keep a worker from its other jobs."""
    floor.submit(max_stalls=2)
    outage = Outage(floor, seconds=1e9)
    outage.at(2)
    outage.operations, outage.try_seconds = {"put"}, try_seconds
    begun = floor.clock()
    with pytest.raises(StoreUnavailable):
        deliver(floor.process(), floor.receive(), slice_seconds=SLICE_SECONDS)
    assert 50.0 < floor.clock() - begun < 110.0


def test_no_try_begins_that_would_outlast_the_platform(floor: Floor) -> None:
    """A function would be killed in the middle of a try, with the other jobs of its batch."""
    floor.submit()
    outage = Outage(floor)
    outage.at(3)
    outage.try_seconds = 2.0
    begun = floor.clock()
    with pytest.raises(StoreUnavailable):
        deliver(floor.process(), floor.receive(), seconds=40.0, slice_seconds=SLICE_SECONDS)
    assert 20.0 < floor.clock() - begun <= 40.0


def test_a_file_that_was_replaced_is_not_waited_for(floor: Floor) -> None:
    """A worker would hold its job for ever, while its log says that only a new start helps."""
    floor.submit()
    outage = Outage(floor)
    outage.error = StoreReplaced("it was replaced; start this process again")
    outage.at(2)
    begun = floor.clock()
    with pytest.raises(StoreReplaced):
        floor.work(seconds=SLICE_SECONDS)
    assert floor.clock() - begun < STEPS


def test_a_kernel_goes_on_while_the_store_hangs(floor: Floor) -> None:
    """Each save takes ten seconds to fail: a kernel would stand still for most of an outage."""
    floor.submit(steps=100)
    outage = Outage(floor, seconds=1e9)
    outage.try_seconds = 5.0
    outage.at(2)
    begun = floor.clock()
    with pytest.raises(StoreUnavailable):
        floor.work(seconds=80.0)
    assert floor.step_seconds * len(outage.steps) > 0.6 * 80.0
    assert floor.clock() - begun < 110.0, "the time is up, and a try takes 15 s"


def _is_released(floor: Floor) -> bool:
    """Whether the job has no lease, as a look past all hooks shows."""
    return decode(floor.register.values[f"jobs/{JOB}"].value).lease is None


def test_a_write_that_the_hanging_store_did_in_the_end_counts(
    floor: Floor, caplog: pytest.LogCaptureFixture
) -> None:
    """After a long outage a worker would take its own save for another's, and give up its job."""
    floor.submit(steps=40)
    outage = Outage(floor)
    outage.at(2)
    landed: list[int] = []

    def land_first(operation: str) -> None:
        if operation == "put" and _is_released(floor) and not landed:
            landed.append(1)
            outage.begin()
            raise StoreUnavailable("no answer")

    floor.register.after = land_first
    worker(floor).run(max_slices=2)
    assert landed
    assert floor.record.usage.slices_begun == 2
    assert "claimed by another worker" not in caplog.text


def test_an_outage_is_told_of_once_a_minute(floor: Floor, caplog: pytest.LogCaptureFixture) -> None:
    """Each of a fleet would write 155 lines a minute, and who looks for the reason would drown."""
    caplog.set_level(logging.INFO, "outlast")
    floor.submit()
    outage = Outage(floor)
    outage.at(2)
    worker(floor).run(done=is_over(floor))
    lines = [record.getMessage() for record in caplog.records if record.name == "outlast.outage"]
    first, *_, last = lines
    assert first == "job job-1 goes on without a save: the store is away"
    assert last == f"the store answers again, after {OUTAGE_SECONDS:.0f} s"
    assert len(lines) <= OUTAGE_SECONDS / 60 + 2
    assert re.fullmatch(
        "job job-1 holds its last state and tries to save it until that works: the store is away "
        r"\(away for 6\d s, \d\d more calls failed\)",
        lines[1],
    )


def counted(caplog: pytest.LogCaptureFixture) -> int:
    """Return how many failures the log has told of, as the metrics count them."""
    return sum(getattr(record, "failures", 0) for record in caplog.records)


def test_no_failure_is_missing_in_the_metrics(caplog: pytest.LogCaptureFixture) -> None:
    """An alarm on many failures would stay silent, as the log has few lines."""
    caplog.set_level(logging.INFO, "outlast")
    clock = FakeClock()
    outages = Outages(clock, are_one=False)
    for _ in range(150):
        outages.failed(StoreUnavailable("away"), "waits")
        clock.sleep(1.0)
    outages.store_answered()
    assert counted(caplog) == 150


def test_a_store_that_comes_and_goes_has_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    """One that refuses each tenth request would fill the log as an outage did."""
    caplog.set_level(logging.INFO, "outlast")
    clock = FakeClock()
    outages = Outages(clock, are_one=False)
    for _ in range(300):
        outages.failed(StoreUnavailable("away"), "waits")
        outages.store_answered()
        clock.sleep(1.0)
    assert len(caplog.records) == 3 * 2 * 300 / 60


def test_a_second_outage_soon_after_the_first_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """Work that it costs would be lost without a word on why."""
    caplog.set_level(logging.INFO, "outlast")
    clock = FakeClock()
    outages = Outages(clock, are_one=False)
    for _ in range(2):
        outages.failed(StoreUnavailable("away"), "waits")
        clock.sleep(6.0)
        outages.store_answered()
    lines = [record.getMessage() for record in caplog.records]
    assert lines == 2 * ["waits: away", "the store answers again, after 6 s"]


def test_store_and_queue_have_outages_of_their_own(caplog: pytest.LogCaptureFixture) -> None:
    """A queue that answers would hide that the store does not."""
    caplog.set_level(logging.INFO, "outlast")
    outages = Outages(FakeClock(), are_one=False)
    outages.failed(StoreUnavailable("store away"), "waits")
    outages.failed(QueueUnavailable("queue away"), "waits")
    outages.queue_answered()
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        "waits: store away",
        "waits: queue away",
        "the queue answers again, after 0 s",
    ]


def test_one_database_has_one_outage(caplog: pytest.LogCaptureFixture) -> None:
    """With Redis alone each outage would be told of twice."""
    caplog.set_level(logging.INFO, "outlast")
    outages = Outages(FakeClock(), are_one=True)
    outages.failed(QueueUnavailable("redis is away"), "waits")
    outages.failed(StoreUnavailable("redis is away"), "waits")
    outages.queue_answered()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]

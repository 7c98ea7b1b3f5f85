"""One slice: it advances the job, saves in time, and survives whatever a kernel does."""

from __future__ import annotations

import json
import math
import re
import signal
import sys
from subprocess import CalledProcessError
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

from outlast.checkpoint.errors import LeaseLost, StoreUnavailable
from outlast.checkpoint.record import Record
from outlast.checkpoint.status import Status
from outlast.kernel import NonRetryable
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.queues.message import Message
from outlast.worker.slices.kernel_errors import line
from tests import kernels
from tests.kernels import Counting, FloatResult, careless, expected, scripted
from tests.misfits import Unasked, Unshowable
from tests.records import changed
from tests.worker.floor import JOB, STEPS, Floor

if TYPE_CHECKING:
    from collections.abc import Generator


def without_location(error: str | None) -> str:
    """The error without the line in the kernel that it came from, which must be there."""
    message, locations = re.subn(r" \(kernels\.py:\d+\)", "", error or "")
    assert locations == 1, error
    return message


def test_a_slice_without_a_limit_ends_in_the_result(floor: Floor) -> None:
    """The job that fits one slice is the least a user expects."""
    floor.submit()
    handled, _ = floor.work()
    assert handled.record == floor.record
    assert floor.record.status is Status.SUCCEEDED
    assert floor.record.result == expected(STEPS)
    assert floor.record.usage.steps == STEPS
    assert floor.record.usage.compute_seconds == STEPS * floor.step_seconds


def test_a_slice_stops_before_the_step_that_would_not_fit(floor: Floor) -> None:
    """A worker that is killed at its time limit would lose the work since the last save."""
    floor.submit()
    begun = floor.clock()
    floor.work(seconds=4.2)
    assert floor.clock() - begun <= 4.2
    assert floor.record.status is Status.QUEUED
    assert floor.record.slice_number == 2
    assert floor.record.usage.steps == 7
    assert floor.record.checkpoints[0].progress == 7 / STEPS


@pytest.mark.parametrize("seconds", [-5.0, 0.0, 0.001])
def test_a_slice_does_at_least_one_step(floor: Floor, seconds: float) -> None:
    """With a budget that is too short a job would be handed on for ever and never advance."""
    floor.submit()
    floor.work(seconds=seconds)
    assert floor.record.usage.steps == 1


def test_a_checkpoint_is_saved_when_the_interval_has_passed(floor: Floor) -> None:
    """A hard kill would lose the whole slice."""
    floor.submit()
    seen: list[tuple[int, int]] = []
    floor.watched = lambda number: seen.append((number, floor.record.usage.steps))
    floor.work()
    # A save every second is one every second step: never more than that is at risk.
    assert {number - saved for number, saved in seen} == {0, 1}
    assert floor.record.usage.saves == STEPS // 2


def test_the_first_step_says_nothing_about_the_next(floor: Floor) -> None:
    """A slice whose first step rebuilds tables would stop after it, with time to spare."""
    floor.submit()
    floor.at(0, lambda: floor.clock.sleep(5.0))
    floor.work(seconds=10.0)
    assert floor.record.usage.steps > 5


def test_each_save_renews_the_lease_and_hides_the_message(floor: Floor) -> None:
    """A second worker would take a job that is well."""
    floor.submit()
    begun = floor.clock()
    leases: list[float] = []
    others: list[object] = []

    def look(_: int) -> None:
        lease = floor.record.lease
        assert lease is not None
        leases.append(lease.expires_at - floor.clock())
        others.append(floor.queue.look(1.0))

    floor.watched = look
    floor.work()
    assert floor.clock() - begun > 10
    assert min(leases) > 0
    assert others == [None] * STEPS


def test_a_cancel_ends_the_slice_at_its_next_save(floor: Floor) -> None:
    """A person who cancels would go on paying; a result after a cancel would be a surprise."""
    floor.submit()
    begun: list[int] = []

    def step(number: int) -> None:
        begun.append(number)
        if number == 10:
            floor.change(Record.cancelled)

    floor.watched = step
    handled, _ = floor.work()
    assert floor.record.status is Status.CANCELLED
    assert begun[-1] <= 12
    assert handled.ack
    assert floor.messages() == []


def test_a_pause_ends_the_slice_and_keeps_its_work(floor: Floor) -> None:
    """What was computed before the pause would be lost, or the job would go on regardless."""
    floor.submit()
    floor.at(10, lambda: floor.change(Record.paused))
    handled, _ = floor.work()
    assert floor.record.status is Status.PAUSED
    assert floor.record.lease is None
    assert 11 <= floor.record.usage.steps <= 13
    assert floor.record.checkpoints[0].progress == floor.record.usage.steps / STEPS
    assert handled.ack
    assert floor.messages() == []


def test_a_slice_that_lost_its_lease_writes_and_sends_nothing(floor: Floor) -> None:
    """Two workers would write over each other, and a wrong checkpoint could come of it."""
    floor.submit()
    claims: list[Record] = []

    def lose() -> None:
        floor.clock.sleep(3600.0)
        claims.append(floor.claim())

    floor.at(10, lose)
    handled, _ = floor.work()
    assert not handled.ack
    assert [floor.record] == claims
    assert floor.record.usage.steps == 10
    assert [Message.parse(body).slice for body in floor.messages()] == [1]


def test_the_last_save_is_tried_again(floor: Floor) -> None:
    """A store that stumbles at the wrong moment would cost the whole slice."""
    floor.submit(steps=1)
    attempts: list[str] = []

    def fail(operation: str) -> None:
        if operation == "put" and len(attempts) < 3:
            attempts.append(operation)
            raise StoreUnavailable("try again")

    floor.watched = lambda _: setattr(floor.register, "before", fail)
    floor.work()
    assert len(attempts) == 3
    assert floor.record.result == expected(1)


def test_a_failed_periodic_save_does_not_end_the_slice(floor: Floor) -> None:
    """A store that is away for a moment would cost a slice, and a stall."""
    floor.submit()
    begun: list[int] = []

    def fail(operation: str) -> None:
        if operation == "put" and begun and 5 <= begun[-1] < 15:
            raise StoreUnavailable("away")

    floor.watched = begun.append
    floor.register.before = fail
    floor.work()
    assert begun == list(range(STEPS))
    assert floor.record.result == expected(STEPS)


def test_a_save_that_failed_is_tried_again_after_an_interval(floor: Floor) -> None:
    """A store that is away would cost each step the time of an attempt, which may be seconds."""
    floor.submit()
    begun: list[int] = []
    attempts: list[int] = []

    def fail(operation: str) -> None:
        if operation == "put" and begun and 5 <= begun[-1] < 12:
            attempts.append(begun[-1])
            raise StoreUnavailable("away")

    floor.watched = begun.append
    floor.register.before = fail
    floor.work()
    assert attempts == [5, 7, 9, 11], "an interval is two steps"
    assert floor.record.result == expected(STEPS)


@pytest.mark.parametrize("nth", range(2, 18))
def test_a_save_whose_answer_is_lost_counts_its_steps_once(floor: Floor, nth: int) -> None:
    """The account of steps and seconds, and with it the bill, would be too high."""
    floor.submit()
    done: list[str] = []

    def lose(operation: str) -> None:
        done.append(operation)
        # The answer to the write, and that to the read that would tell whether it happened.
        if done.count("put") == nth and "put" in done[-2:]:
            raise StoreUnavailable("no answer")

    floor.register.after = lose
    floor.work()
    floor.register.after = lambda _: None
    assert floor.record.usage.steps == STEPS
    assert floor.record.usage.compute_seconds == STEPS * floor.step_seconds
    assert floor.record.result == expected(STEPS)


def test_a_queue_that_is_away_does_not_end_the_slice(floor: Floor) -> None:
    """Five hiccups of the queue would be counted as five stalls and end the job."""
    floor.submit()
    floor.queue.hide = Mock(side_effect=QueueUnavailable("away"))
    floor.work()
    assert floor.record.result == expected(STEPS)


def test_an_error_keeps_the_work_before_it_and_waits(floor: Floor) -> None:
    """A passing fault at the end of a slice would cost the slice."""
    record = floor.run(kernels.raising(ValueError("no such row"), at=7))
    assert (record.status, record.usage.steps) == (Status.QUEUED, 7)
    assert without_location(record.error) == "ValueError: no such row"
    assert record.not_before == floor.clock() + 1.0


def test_errors_without_progress_end_the_job_with_the_reason(floor: Floor) -> None:
    """A kernel that always raises would be run, and paid for, for ever."""
    floor.kernel = kernels.raising(ValueError("no such row"), at=7)
    floor.submit(max_failures=3)
    floor.finish(pause_seconds=400.0)
    assert floor.record.status is Status.FAILED
    message = "ValueError: no such row (error 3 in a row without progress)"
    assert without_location(floor.record.error) == message
    assert floor.record.checkpoints[0].progress == 7 / STEPS


@pytest.mark.parametrize("at", [7, 8])  # after a step that was saved, and after one that was not
def test_a_state_that_the_failing_step_has_changed_is_not_stored(floor: Floor, at: int) -> None:
    """After a passing fault the job would go on from a state in which a step is half done."""
    floor.kernel = kernels.InPlace(floor.step)
    floor.submit()
    faults = [OSError("a passing fault")]

    def fail(number: int) -> None:
        if number == at and faults:
            raise faults.pop()

    floor.watched = fail
    floor.work(seconds=2.0)  # a checkpoint, from which it can go on
    floor.work()
    assert not faults
    assert floor.record.status is Status.QUEUED
    floor.clock.sleep(2.0)
    floor.work()
    assert floor.record.result == expected(STEPS)


def test_only_what_was_not_saved_counts_as_thrown_away(floor: Floor) -> None:
    """After one error a person would read that all the slice's work had been done for nothing."""
    floor.kernel = kernels.InPlace(floor.step)
    floor.submit()

    def fail(number: int) -> None:
        if number == 9:
            raise ValueError("an error")

    floor.watched = fail
    floor.work()
    usage = floor.record.usage
    assert usage.compute_seconds == 10 * floor.step_seconds
    assert usage.redone_seconds == (10 - usage.steps) * floor.step_seconds
    assert usage.steps >= 8


def test_a_state_that_the_last_step_has_changed_is_not_stored_without_a_result(
    floor: Floor,
) -> None:
    """The job would go on, and a fork begin, from a state that never was a safe point."""

    def run(*arguments: Any) -> Generator[Any, None, Any]:
        for state in kernels.InPlace(floor.step).run(*arguments):
            yield state
        state.total = -1

    # Of seven steps the last one is not saved before it ends.
    record = floor.run(kernels.InPlace(floor.step, run=run), steps=7, max_failures=1)
    assert record.status is Status.FAILED
    state = json.loads(record.checkpoints[0].state)
    assert {"total": state["total"]} == expected(state["at"])


def test_an_error_that_could_only_repeat_ends_the_job_at_once(floor: Floor) -> None:
    """A job of hours that failed its last check would fail it again and again, minutes apart."""
    record = floor.run(kernels.raising(NonRetryable("the sum is wrong"), at=7))
    assert (record.status, record.usage.slices_begun) == (Status.FAILED, 1)
    assert without_location(record.error) == "NonRetryable: the sum is wrong"
    assert record.checkpoints[0].progress == 7 / STEPS
    assert floor.messages() == []


@pytest.mark.parametrize("isolate", [False, True])
def test_a_run_without_a_yield_ends_the_job_at_once(floor: Floor, isolate: bool) -> None:
    """Its author would read that a result is no iterator, after five attempts."""
    record = floor.run(kernels.Plain(), isolate=isolate)
    assert record.status is Status.FAILED
    assert "NonRetryable: run must be a generator: it has no yield" in str(record.error)


def test_a_slice_of_hours_ends_at_the_ceiling_on_compute_time(floor: Floor) -> None:
    """A budget would be overdrawn by as much as a slice lasts, which on a laptop is hours."""
    record = floor.run(floor.kernel, max_compute_seconds=3.2)
    assert record.status is Status.FAILED
    assert "reached its ceiling of 3.2 compute seconds" in str(record.error)
    assert (record.usage.compute_seconds, record.usage.slices_begun) == (3.5, 1)
    assert record.checkpoints[0].progress == 7 / STEPS
    floor.change(lambda record: record.retried(max_compute_seconds=100.0))
    floor.queue.send(Message(job_id=JOB))
    floor.work()
    assert floor.record.result == expected(STEPS)


def cut_off(number: int) -> None:
    """Stop this process and, as one signal may do both, a program that the kernel waits for."""
    if number == 7:
        signal.raise_signal(signal.SIGTERM)
        raise CalledProcessError(-signal.SIGTERM, "solve")


def test_an_error_in_a_step_that_a_stop_cuts_off_is_no_failure(
    floor: Floor, caplog: pytest.LogCaptureFixture
) -> None:
    """The fifth stop of workers whose kernel runs a program would fail its job."""
    caplog.set_level("INFO", "outlast")
    floor.watched = cut_off
    record = floor.run(floor.kernel, max_failures=1)
    assert (record.status, record.guards.failures, record.usage.steps) == (Status.QUEUED, 0, 7)
    ending = record.history.latest.ending
    assert ending.startswith("SIGTERM: the step was cut off by CalledProcessError: ")
    (ended,) = [event for event in caplog.records if event.event == "slice_ended"]
    assert (ended.outcome, ended.ending) == ("SIGTERM", ending)
    floor.watched = lambda _: None
    floor.work()
    assert floor.record.result == expected(STEPS)


def test_a_stop_may_reach_the_worker_last(floor: Floor) -> None:
    """Whether a stop is a failure would be decided by which process the system signals first."""
    floor.kernel = kernels.raising(CalledProcessError(-signal.SIGTERM, "solve"), at=7)
    floor.submit()

    def sleep(_: float) -> None:
        signal.raise_signal(signal.SIGTERM)

    floor.work(floor.process(sleep=sleep))
    assert (floor.record.guards.failures, floor.record.usage.steps) == (0, 7)


def test_a_job_that_only_ever_is_cut_off_is_given_up(floor: Floor) -> None:
    """A kernel that sends itself a stop signal would cost money for ever."""
    floor.watched = lambda _: cut_off(7)
    floor.submit(max_stalls=3)
    assert floor.finish() == 4
    assert "gave up after 3 slices in a row without progress" in str(floor.record.error)


def test_the_back_off_has_an_end(floor: Floor) -> None:
    """A job allowed thousands of failures would end the worker with an overflow."""
    floor.kernel = kernels.raising(ValueError("no"), at=0)
    floor.submit(max_failures=10**6)
    floor.change(lambda record: changed(record, failures=5000))
    floor.work()
    assert floor.record.not_before == floor.clock() + 300.0


class Wrapping(Exception):
    """An error that looks up what it lacks in what it was raised for, and fails at that."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name) if name.startswith("__") else KeyError(name)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("two\nlines"), "ValueError: two lines"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt:"),
        (GeneratorExit(), "GeneratorExit:"),
        (MemoryError(), "MemoryError:"),
        (LeaseLost("mine"), "LeaseLost: mine"),
        (StoreUnavailable("mine"), "StoreUnavailable: mine"),
        (ValueError("\ud800"), "ValueError: \\ud800"),
        (ValueError("no \x1b[31mred ü"), "ValueError: no \\x1b[31mred ü"),
        (Unshowable(), "Unshowable: <exception str() failed>"),
        (Wrapping("no"), "Wrapping: no"),
        (ValueError("x" * 9999), "ValueError: " + "x" * 488),
        (StopIteration(), "RuntimeError: generator raised StopIteration"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_any_exception_of_a_kernel_is_the_jobs_error(
    floor: Floor, error: BaseException, message: str
) -> None:
    """A kernel could end the worker, and with it the other jobs."""
    record = floor.run(kernels.raising(error, at=2))
    assert without_location(record.error) == message
    assert record.usage.steps == 2


def test_an_error_that_python_cannot_show_is_named() -> None:
    """The worker would end where it tells of it."""
    # From Python 3.13 on it can be shown, and has no message.
    assert line(Unasked()) in {"Unasked: <exception cannot be shown>", "Unasked:"}


@pytest.mark.parametrize(
    ("kernel", "complaint"),
    [
        (scripted(kernels.FIRST, None), "yielded NoneType instead of its State"),
        (scripted(kernels.FIRST, {"at": 1}), "yielded dict instead of its State"),
        (scripted(kernels.FIRST, result=None), "returned NoneType instead of its Result"),
        (scripted(kernels.FIRST, result={1, 2}), "returned set instead of its Result"),
        (careless(state=math.nan), "does not survive being stored"),
        (careless(state={1, 2}), "does not survive being stored"),
        (careless(state="\ud800"), "yielded a state that cannot be stored"),
        (careless(state=10**5000), "yielded a state that cannot be"),
        (careless(state=object()), "yielded a state that cannot be stored"),
        (careless(result=math.nan, result_model=FloatResult), "a result that cannot be stored"),
        (careless(result=math.inf, result_model=FloatResult), "a result that cannot be stored"),
        (careless(result=math.nan), "does not survive being stored"),
        (careless(result={1, 2}), "does not survive being stored"),
        (careless(result={1: 2}), "does not survive being stored"),
        (careless(result="\ud800"), "returned a result that cannot be stored"),
        (careless(result=object()), "returned a result that cannot be stored"),
        (Counting(progress=lambda *_: 1 / 0), "cannot tell its progress: ZeroDivisionError"),
        (Counting(progress=lambda *_: sys.exit()), "cannot tell its progress: SystemExit"),
        (Counting(progress=lambda *_: "half"), "cannot tell its progress: ValueError"),
    ],
)
def test_what_cannot_be_stored_is_the_kernels_error(
    floor: Floor, kernel: Counting, complaint: str
) -> None:
    """A wrong value would end the worker, or be stored and end every later one."""
    record = floor.run(kernel)
    assert (record.status, record.guards.failures) == (Status.QUEUED, 1)
    assert complaint in str(record.error)
    # What is not in the checkpoint does not count as work either.
    assert record.usage.steps == record.usage.saves


def test_what_is_json_is_stored(floor: Floor) -> None:
    """An author could not return a table."""
    record = floor.run(careless(state=[1, {"a": None}], result={"primes": [2, 3, 5]}))
    assert record.result == {"value": {"primes": [2, 3, 5]}}


@pytest.mark.parametrize("depth", range(190, 205))
def test_a_result_that_is_stored_can_be_read(floor: Floor, depth: int) -> None:
    """A job of days would be done, and its record unreadable for ever."""
    record = floor.run(careless(result=nested(depth)), max_failures=1)
    assert record.status is (Status.SUCCEEDED if record.result else Status.FAILED)


def nested(depth: int) -> Any:
    """A list in a list in a list, so many times."""
    return [nested(depth - 1)] if depth else 0


@pytest.mark.parametrize(("share", "stored"), [(math.nan, 0.0), (-3, 0.0), (7, 1.0), (0.25, 0.25)])
def test_a_share_outside_of_0_to_1_is_clamped(floor: Floor, share: float, stored: float) -> None:
    """Not a number would make the record unreadable for ever."""
    record = floor.run(Counting(progress=lambda *_: share), seconds=0)
    assert record.checkpoints[0].progress == stored


def test_a_state_over_the_limit_fails_the_job_at_once(floor: Floor) -> None:
    """It would be computed again and again, only to be refused, and its author not know the way."""
    record = floor.run(careless(state="x" * 20_000))
    assert record.status is Status.FAILED
    assert "its state of 20,0" in str(record.error)
    assert "keep what is large in an Array or a Blob" in str(record.error)
    assert "or raise OUTLAST_MAX_STATE_BYTES on all workers, and retry" in str(record.error)


def test_a_result_over_the_limit_fails_the_job_at_once(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slice would be done again until the queue gives up its message."""
    monkeypatch.setattr("outlast.checkpoint.job_store.MAX_RECORD_BYTES", 5_000)
    record = floor.run(careless(state=1, result="x" * 20_000))
    assert record.status is Status.FAILED
    assert "over the limit of 5,000" in str(record.error)


def test_a_kernel_that_goes_on_when_closed_does_not_hold_the_worker(floor: Floor) -> None:
    """Its job could not be handed on."""
    assert floor.run(kernels.stubborn(), seconds=0).slice_number == 2


def test_a_kernel_that_never_advances_is_given_up(floor: Floor) -> None:
    """It would cost money for ever and never come to anything."""
    floor.kernel = kernels.stalling(floor.step)
    floor.submit()
    floor.finish(seconds=2.0)
    assert floor.record.status is Status.FAILED
    assert "gave up after 10 slices in a row without progress" in str(floor.record.error)


def test_a_job_goes_on_under_a_newer_kernel(floor: Floor) -> None:
    """A deploy in the middle of a job would cost all its work."""
    floor.submit()
    floor.work(seconds=4.0)
    newer = kernels.NewerCounting(floor.step)
    floor.work(floor.process(kernel=newer))
    assert floor.record.result == expected(STEPS)
    assert floor.record.checkpoints[0].version == 2


def test_a_state_without_a_migration_fails_clearly_and_is_kept(floor: Floor) -> None:
    """The work would be gone; so it can go on once the migration is written."""
    floor.submit()
    floor.work(seconds=4.0)
    before = floor.record.checkpoints
    floor.work(floor.process(kernel=Counting(version=3)))
    assert floor.record.status is Status.FAILED
    assert "cannot go on from a state of version 1" in str(floor.record.error)
    assert floor.record.checkpoints == before


@pytest.mark.parametrize(
    ("migrate", "complaint"),
    [
        (Mock(side_effect=SystemExit(1)), "cannot go on from its checkpoint: SystemExit"),
        (Mock(side_effect=ValueError("no")), "cannot go on from its checkpoint: ValueError: no"),
        (lambda *_: {"at": math.nan}, "migrate is to return a dict of JSON values"),
    ],
    ids=["exit", "error", "no-json"],
)
def test_a_bad_migration_fails_the_job_and_not_the_worker(
    floor: Floor, migrate: object, complaint: str
) -> None:
    """It could end every worker in turn, or a job run for days without a checkpoint."""
    floor.submit()
    floor.work(seconds=4.0)
    floor.work(floor.process(kernel=Counting(version=2, migrate=migrate)))
    assert complaint in str(floor.record.error)


def test_the_display_sees_each_step(floor: Floor) -> None:
    """The progress bar would stand still between two saves."""
    floor.submit()
    shares: list[float] = []
    floor.work(floor.process(watch=lambda job: shares.append(job.progress)))
    assert shares == [(n + 1) / STEPS for n in range(STEPS)]

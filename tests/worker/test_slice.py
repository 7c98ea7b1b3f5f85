"""One slice: it advances the job, saves in time, and survives whatever a kernel does."""

from __future__ import annotations

import json
import math
import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from outlast.checkpoint.errors import LeaseLost, StoreUnavailable
from outlast.checkpoint.record import Record
from outlast.checkpoint.status import Status
from outlast.kernel import NonRetryable
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.queues.message import Message
from outlast.worker.slices.kernel_output import line
from tests import kernels
from tests.kernels import Counting, expected
from tests.misfits import Unasked, Unshowable
from tests.records import changed
from tests.worker.floor import JOB, STEPS, Floor

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from outlast.worker.slices.process import RunningJob


def unplaced(error: str | None) -> str:
    """The error without the line in the kernel that it came from, which must be there."""
    told, places = re.subn(r" \(kernels\.py:\d+\)", "", error or "")
    assert places == 1, error
    return told


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


def test_the_next_slice_goes_on_from_the_checkpoint(floor: Floor) -> None:
    """Each slice would otherwise begin again."""
    floor.submit()
    begun: list[int] = []
    floor.watched = begun.append
    for _ in range(100):
        if floor.record.status.is_final:
            break
        floor.work(seconds=2.0)
    assert floor.record.result == expected(STEPS)
    assert begun == list(range(STEPS))


def test_a_checkpoint_is_saved_when_the_interval_has_passed(floor: Floor) -> None:
    """A hard kill would lose the whole slice."""
    floor.submit()
    seen: list[tuple[int, int]] = []
    floor.watched = lambda number: seen.append((number, floor.record.usage.steps))
    floor.work()
    # A save every second is one every second step: never more than that is at risk.
    assert {number - saved for number, saved in seen} == {0, 1}
    assert floor.record.usage.saves == STEPS // 2


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

    def step(number: int) -> None:
        if number == 10:
            floor.change(Record.paused)

    floor.watched = step
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

    def step(number: int) -> None:
        if number == 10:
            floor.clock.sleep(3600.0)
            thief = floor.record.lease
            assert thief is not None
            stolen = thief.model_copy(
                update={"token": "thief", "expires_at": floor.clock() + 600.0}
            )
            floor.change(lambda record: record.claimed(stolen))

    floor.watched = step
    handled, _ = floor.work()
    assert not handled.ack
    assert floor.record.lease is not None
    assert floor.record.lease.token == "thief"
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


def test_a_queue_that_is_away_does_not_end_the_slice(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five hiccups of the queue would be counted as five stalls and end the job."""
    floor.submit()

    def away(*_: object) -> None:
        raise QueueUnavailable("away")

    monkeypatch.setattr(floor.queue, "hide", away)
    floor.work()
    assert floor.record.result == expected(STEPS)


def test_an_error_keeps_the_work_before_it_and_waits(floor: Floor) -> None:
    """A passing fault at the end of a slice would cost the slice."""
    floor.kernel = kernels.raising(ValueError("no such row"), at=7)
    floor.submit()
    handled, _ = floor.work()
    assert floor.record.status is Status.QUEUED
    assert floor.record.usage.steps == 7
    assert unplaced(floor.record.error) == "ValueError: no such row"
    assert floor.record.not_before == floor.clock() + 1.0
    assert handled.ack


def test_errors_without_progress_end_the_job_with_the_reason(floor: Floor) -> None:
    """A kernel that always raises would be run, and paid for, for ever."""
    floor.kernel = kernels.raising(ValueError("no such row"), at=7)
    floor.submit(max_failures=3)
    for _ in range(50):
        if floor.record.status.is_final:
            break
        floor.work()
        floor.clock.sleep(400.0)
    assert floor.record.status is Status.FAILED
    told = "ValueError: no such row (error 3 in a row without progress)"
    assert unplaced(floor.record.error) == told
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


class Spoiling(kernels.InPlace):
    """Changes the last state that it has yielded, and returns what is no result."""

    def run(self, *given: Any) -> Generator[Any, None, Any]:
        """Count, and keep no result."""
        for state in super().run(*given):
            yield state
        state.total = -1


def test_a_state_that_the_last_step_has_changed_is_not_stored_without_a_result(
    floor: Floor,
) -> None:
    """The job would go on, and a fork begin, from a state that never was a safe point."""
    floor.kernel = Spoiling(floor.step)
    floor.submit(steps=7, max_failures=1)  # of which the last one is not saved before it ends
    floor.work()
    assert floor.record.status is Status.FAILED
    at, total = (json.loads(floor.record.checkpoints[0].state)[key] for key in ("at", "total"))
    assert {"total": total} == expected(at)


def test_an_error_that_could_only_repeat_ends_the_job_at_once(floor: Floor) -> None:
    """A job of hours that failed its last check would fail it again and again, minutes apart."""
    floor.kernel = kernels.raising(NonRetryable("the sum is wrong"), at=7)
    floor.submit()
    handled, _ = floor.work()
    assert handled.ack
    assert (floor.record.status, floor.record.usage.slices_begun) == (Status.FAILED, 1)
    assert str(floor.record.error).startswith("NonRetryable: the sum is wrong")
    assert floor.record.checkpoints[0].progress == 7 / STEPS
    assert floor.messages() == []


@pytest.mark.parametrize("isolate", [False, True])
def test_a_run_without_a_yield_ends_the_job_at_once(floor: Floor, isolate: bool) -> None:
    """Its author would read that a result is no iterator, after five attempts."""
    floor.kernel = kernels.Plain()
    floor.submit()
    floor.work(replace(floor.process(), isolate=isolate))
    assert floor.record.status is Status.FAILED
    assert str(floor.record.error).startswith(
        "NonRetryable: run must be a generator: it has no yield"
    )


def test_a_slice_of_hours_ends_at_the_ceiling_on_compute_time(floor: Floor) -> None:
    """A budget would be overdrawn by as much as a slice lasts, which on a laptop is hours."""
    floor.submit(max_compute_seconds=3.2)
    floor.work()
    assert floor.record.status is Status.FAILED
    assert "reached its ceiling of 3.2 compute seconds" in str(floor.record.error)
    assert (floor.record.usage.compute_seconds, floor.record.usage.slices_begun) == (3.5, 1)
    assert floor.record.checkpoints[0].progress == 7 / STEPS
    floor.change(lambda record: record.retried(max_compute_seconds=100.0))
    floor.queue.send(Message(job_id=JOB))
    floor.work()
    assert floor.record.result == expected(STEPS)


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
    ("error", "told"),
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
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_any_exception_of_a_kernel_is_the_jobs_error(
    floor: Floor, error: BaseException, told: str
) -> None:
    """A kernel could end the worker, and with it the other jobs."""
    floor.kernel = kernels.raising(error, at=2)
    floor.submit()
    handled, _ = floor.work()
    assert handled.ack
    assert unplaced(floor.record.error) == told
    assert floor.record.usage.steps == 2


def test_an_error_that_python_cannot_show_is_named() -> None:
    """The worker would end where it tells of it."""
    assert line(Unasked()) == "Unasked: <exception cannot be shown>"


def test_a_stop_iteration_of_a_kernels_own_is_no_result(floor: Floor) -> None:
    """A slip inside a kernel would be taken for its end."""
    floor.kernel = kernels.raising(StopIteration(), at=2)
    floor.submit()
    floor.work()
    assert str(floor.record.error).startswith("RuntimeError: generator raised StopIteration")


@pytest.mark.parametrize(
    ("kernel", "complaint"),
    [
        (kernels.Yielding(None), "yielded NoneType instead of its State"),
        (kernels.Yielding({"at": 1}), "yielded dict instead of its State"),
        (kernels.Returning(None), "returned NoneType instead of its Result"),
        (kernels.Returning({1, 2}), "returned set instead of its Result"),
        (kernels.Careless(state=math.nan), "does not survive being stored"),
        (kernels.Careless(state={1, 2}), "does not survive being stored"),
        (kernels.Careless(state="\ud800"), "yielded a state that cannot be stored"),
        (kernels.Careless(state=10**5000), "yielded a state that cannot be"),
        (kernels.Careless(state=object()), "yielded a state that cannot be stored"),
        (kernels.Measuring(result=math.nan), "returned a result that cannot be stored"),
        (kernels.Measuring(result=math.inf), "returned a result that cannot be stored"),
        (kernels.Careless(result=math.nan), "does not survive being stored"),
        (kernels.Careless(result={1, 2}), "does not survive being stored"),
        (kernels.Careless(result={1: 2}), "does not survive being stored"),
        (kernels.Careless(result="\ud800"), "returned a result that cannot be stored"),
        (kernels.Careless(result=object()), "returned a result that cannot be stored"),
        (kernels.Unsure(lambda: 1 / 0), "cannot tell its progress: ZeroDivisionError"),
        (kernels.Unsure(sys.exit), "cannot tell its progress: SystemExit"),
        (kernels.Unsure(lambda: "half"), "cannot tell its progress: ValueError"),
    ],
)
def test_what_cannot_be_stored_is_the_kernels_error(
    floor: Floor, kernel: Counting, complaint: str
) -> None:
    """A wrong value would end the worker, or be stored and end every later one."""
    floor.kernel = kernel
    floor.submit()
    handled, _ = floor.work()
    assert handled.ack
    assert floor.record.status is Status.QUEUED
    assert floor.record.guards.failures == 1
    assert complaint in str(floor.record.error)


def test_a_step_whose_state_cannot_be_stored_is_not_counted(floor: Floor) -> None:
    """A person would be told of more work than there is in the checkpoint."""
    floor.kernel = kernels.Careless(state=math.nan)
    floor.submit()
    floor.work()
    assert (floor.record.usage.steps, floor.record.usage.saves) == (0, 0)


def test_what_is_json_is_stored(floor: Floor) -> None:
    """An author could not return a table."""
    floor.kernel = kernels.Careless(state=[1, {"a": None}], result={"primes": [2, 3, 5]})
    floor.submit()
    floor.work()
    assert floor.record.result == {"value": {"primes": [2, 3, 5]}}


@pytest.mark.parametrize("depth", range(190, 205))
def test_a_result_that_is_stored_can_be_read(floor: Floor, depth: int) -> None:
    """A job of days would be done, and its record unreadable for ever."""
    floor.kernel = kernels.Careless(result=nested(depth))
    floor.submit(max_failures=1)
    floor.work()
    assert floor.record.status is (Status.SUCCEEDED if floor.record.result else Status.FAILED)


def nested(depth: int) -> Any:
    """A list in a list in a list, so many times."""
    return [nested(depth - 1)] if depth else 0


@pytest.mark.parametrize(("told", "kept"), [(math.nan, 0.0), (-3, 0.0), (7, 1.0), (0.25, 0.25)])
def test_a_share_outside_of_0_to_1_is_brought_into_it(
    floor: Floor, told: float, kept: float
) -> None:
    """Not a number would make the record unreadable for ever."""
    floor.kernel = kernels.Unsure(lambda: told)
    floor.submit()
    floor.work(seconds=0)
    assert floor.record.checkpoints[0].progress == kept


def test_a_state_over_the_limit_fails_the_job_at_once(floor: Floor) -> None:
    """It would be computed again and again, only to be refused."""
    floor.kernel = kernels.Careless(state="x" * 20_000)
    floor.submit()
    handled, _ = floor.work()
    assert handled.ack
    assert floor.record.status is Status.FAILED
    assert "its state of 20,0" in str(floor.record.error)
    assert "OUTLAST_MAX_STATE_BYTES" in str(floor.record.error)


def test_a_result_over_the_limit_fails_the_job_and_keeps_its_checkpoint(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slice would be done again until the queue gives up its message."""
    monkeypatch.setattr("outlast.checkpoint.jobs.MAX_RECORD_BYTES", 5_000)
    floor.kernel = kernels.Careless(state=1, result="x" * 20_000)
    floor.submit()
    handled, _ = floor.work()
    assert handled.ack
    assert floor.record.status is Status.FAILED
    assert "over the limit of 5,000" in str(floor.record.error)


def test_a_kernel_that_goes_on_when_closed_does_not_hold_the_worker(floor: Floor) -> None:
    """Its job could not be handed on."""
    floor.kernel = kernels.Stubborn()
    floor.submit()
    handled, _ = floor.work(seconds=0)
    assert handled.ack
    assert floor.record.slice_number == 2


def test_a_kernel_that_never_advances_is_given_up(floor: Floor) -> None:
    """It would cost money for ever and never come to anything."""
    floor.kernel = kernels.Stalling(floor.step)
    floor.submit()
    for _ in range(50):
        if floor.record.status.is_final:
            break
        floor.work(seconds=2.0)
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


class Refusing(kernels.NewerCounting):
    """A newer version whose author wrote no migration."""

    version = 3

    def migrate(self, state: dict[str, Any], version: int) -> dict[str, Any]:
        """Refuse."""
        return Counting.migrate(self, state, version)


def test_a_state_without_a_migration_fails_clearly_and_is_kept(floor: Floor) -> None:
    """The work would be gone; so it can go on once the migration is written."""
    floor.submit()
    floor.work(seconds=4.0)
    before = floor.record.checkpoints
    floor.work(floor.process(kernel=Refusing()))
    assert floor.record.status is Status.FAILED
    assert "cannot go on from a state of version 1" in str(floor.record.error)
    assert floor.record.checkpoints == before


@pytest.mark.parametrize("crash", [SystemExit(1), ValueError("no")])
def test_a_migration_that_raises_fails_the_job_and_not_the_worker(
    floor: Floor, crash: BaseException
) -> None:
    """One job's migration could end every worker in turn."""

    def migrate(*_: object) -> None:
        raise crash

    floor.submit()
    floor.work(seconds=4.0)
    newer = kernels.NewerCounting(floor.step)
    newer.migrate = migrate  # type: ignore[method-assign, assignment]
    floor.work(floor.process(kernel=newer))
    assert "cannot go on from its checkpoint" in str(floor.record.error)


def test_a_migration_to_what_is_no_json_fails_the_job(floor: Floor) -> None:
    """The job would go on, perhaps for days, from a state that can never be stored."""
    floor.kernel = kernels.Careless(state=1)
    floor.submit()
    floor.work(seconds=0)
    newer = kernels.Careless(state=2)
    newer.version = 2  # type: ignore[misc]
    newer.migrate = lambda *_: {"value": math.nan}  # type: ignore[method-assign, assignment]
    floor.work(floor.process(kernel=newer))
    assert "migrate is to return a dict of JSON values" in str(floor.record.error)


def test_the_display_sees_each_step(floor: Floor) -> None:
    """The progress bar would stand still between two saves."""
    floor.submit()
    shares: list[float] = []
    watch: Callable[[RunningJob], None] = lambda job: shares.append(job.progress)  # noqa: E731
    process = floor.process()
    object.__setattr__(process, "watch", watch)
    floor.work(process)
    assert shares == [(n + 1) / STEPS for n in range(STEPS)]

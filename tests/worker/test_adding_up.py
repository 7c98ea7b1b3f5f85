"""The parts of a job are added up, whoever dies or fails at it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from outlast.checkpoint.record_parts import Limits
from outlast.checkpoint.status import Status
from outlast.kernel import UnknownKernel
from tests.kernels import Dividing, Params, Pieces, Result, State, Stretch, expected
from tests.records import changed
from tests.worker.floor import JOB, Killed
from tests.worker.parts import (
    STEPS,
    GoesOn,
    divided,
    fleet,
    part,
    parts_stored,
    submit,
    work,
    work_though_killed,
)

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record
    from tests.worker.floor import Floor

floor = pytest.fixture(divided)


def test_a_worker_without_the_packages_adds_nothing_up(floor: Floor) -> None:
    """One small worker among many would fail a job at the last part of a group."""

    class Bare(Dividing):
        def require(self, params: Params) -> None:  # noqa: ARG002 - the contract's
            raise UnknownKernel("numpy is missing")

    def is_done() -> bool:
        last = part(floor, 15)
        return last is not None and last.status is Status.SUCCEEDED

    def die(operation: str) -> None:
        if operation == "put" and is_done():
            raise Killed

    def narrow(job: Record) -> Record:
        assert job.fleet
        return changed(job, fleet=job.fleet.model_copy(update={"window": 1}))

    submit(floor)
    floor.change(narrow)  # Else there are messages of the next group already.
    with floor.hooked("after", die), pytest.raises(Killed):
        work(floor)
    floor.clock.sleep(120)
    with pytest.raises(UnknownKernel):
        floor.work(floor.process(kernel=Bare(floor.step)))
    assert floor.queue.is_empty(), "it sends nothing on either"
    floor.clock.sleep(3600)
    work(floor)
    assert floor.record.result == expected(STEPS)


class Flaky(Dividing):
    """Its `combine` fails as often as it is told to."""

    left = 0

    def combine(self, plan: Pieces, a: Stretch, b: Stretch) -> Stretch:
        """Fail, or combine."""
        if self.left:
            self.left -= 1
            raise ConnectionError("away")
        return super().combine(plan, a, b)


def test_an_error_in_adding_up_is_tried_again(floor: Floor) -> None:
    """One time-out would throw away what a thousand workers did in a day.

    The errors count in a row: they are forgotten when a group is added up.
    """
    kernel = floor.kernel = Flaky(floor.step)
    kernel.left = 2
    submit(floor)
    while not (groups := [key for key in parts_stored(floor) if "/1/" in key]):
        floor.work()
        if kernel.left == 1:
            assert "ConnectionError: away" in (floor.record.error or "")
        floor.clock.sleep(1)
    assert len(groups) == 1
    assert floor.record.error is None
    kernel.left = Limits().max_failures - 1
    while not floor.record.status.is_final:
        work(floor)
        floor.clock.sleep(60)
    assert floor.record.result == expected(STEPS)


def test_adding_up_that_always_fails_ends_the_job(floor: Floor) -> None:
    """It would be tried for ever, and nobody learn why the job does not end."""
    kernel = floor.kernel = Flaky(floor.step)
    kernel.left = 10_000
    submit(floor)
    rounds = 0
    while not floor.record.status.is_final:
        rounds += 1
        work(floor)
        floor.clock.sleep(60)
    assert rounds <= Limits().max_failures
    assert floor.record.status is Status.FAILED
    error = floor.record.error or ""
    assert error.startswith("adding up its parts: ConnectionError: away (test_adding_up.py:")
    assert error.endswith("(error 5 in a row)")


@pytest.mark.parametrize("kernel", [Dividing, GoesOn])
def test_what_a_worker_that_died_at_the_end_left_is_removed(
    floor: Floor, kernel: type[Dividing]
) -> None:
    """Thousands of records would stay in a bucket, until somebody thinks of a prune."""
    floor.kernel = kernel(floor.step)
    submit(floor)
    work_though_killed(floor, lambda: fleet(floor).concluded)
    assert floor.record.result == expected(STEPS)
    assert parts_stored(floor) == []


@pytest.mark.parametrize(
    ("method", "returns", "told"),
    [
        ("combine", None, "combine returned NoneType instead of its Stretch"),
        ("conclude", 7, "conclude returned int instead of its Result or State"),
    ],
)
def test_what_is_no_partial_or_result_is_told_by_its_method(
    floor: Floor, method: str, returns: object, told: str
) -> None:
    """An author would look for the fault in the wrong method, and wait for five attempts."""
    kernel = floor.kernel = Dividing(floor.step)
    setattr(kernel, method, lambda *_: returns)
    submit(floor)
    work(floor)
    assert floor.record.status is Status.FAILED
    assert f"adding up its parts: NonRetryable: {told}" in (floor.record.error or "")


class LongResult(Result):
    """A result that no record has room for."""

    listing: str = "x" * 20_000


class LongState(State):
    """A state that is over the limit of a worker."""

    listing: str = "x" * 20_000


class LongStretch(Stretch):
    """A partial that no record has room for, once it is combined."""

    listing: str = ""


@pytest.mark.parametrize(
    ("replaced", "told"),
    [
        (
            {"Result": LongResult, "conclude": lambda *_: LongResult(total=0)},
            f"StateTooLarge: job {JOB}: its record of ",
        ),
        (
            {"State": LongState, "conclude": lambda *_: LongState(at=0, total=0)},
            "StateTooLarge: its state of 20,0",
        ),
        (
            {"Partial": LongStretch, "combine": lambda *_: LongStretch(listing="x" * 20_000)},
            f"StateTooLarge: job {JOB}: its record of ",
        ),
    ],
    ids=["result", "state", "partial"],
)
def test_what_is_too_large_to_be_stored_fails_the_job_at_once(
    floor: Floor, monkeypatch: pytest.MonkeyPatch, replaced: dict[str, Any], told: str
) -> None:
    """Its parts would be added up again and again, and no line say what is too large."""
    monkeypatch.setattr("outlast.checkpoint.job_store.MAX_RECORD_BYTES", 8_000)
    vars(floor.kernel).update(replaced)
    submit(floor)
    work(floor)
    assert floor.record.status is Status.FAILED
    assert (floor.record.error or "").startswith(f"adding up its parts: {told}")
    assert " is over the limit of " in (floor.record.error or "")
    assert floor.messages() == []


def test_errors_of_many_groups_at_a_time_count_once(floor: Floor) -> None:
    """A wide job would have its last error a moment after its first one."""
    kernel = floor.kernel = Flaky(floor.step)
    floor.step_seconds = 0.0
    kernel.left = 20
    submit(floor, parallel=40, steps=2000)
    while kernel.left:
        work(floor)
        assert not floor.record.status.is_final
        assert floor.record.guards.failures < Limits().max_failures
        if kernel.left:
            floor.clock.sleep(0.5)
            if floor.record.guards.failures >= 3:
                kernel.left = 0
    for _ in range(100):
        floor.clock.sleep(10)
        work(floor)
    assert floor.record.result == expected(2000)

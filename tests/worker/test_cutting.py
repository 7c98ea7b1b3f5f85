"""Into which parts a job is cut, and what is stored of that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from outlast.checkpoint.fleet import MAX_PARTS, Fleet
from outlast.checkpoint.status import Status
from outlast.worker.jobs.new_job import MAX_PARALLEL
from outlast.worker.jobs.parts import parts_of
from outlast.worker.slices.fleet.cutting import shares_of
from tests.kernels import Dividing, Params, Pieces
from tests.worker.parts import divided, part, submit, work

if TYPE_CHECKING:
    from tests.worker.floor import Floor

floor = pytest.fixture(divided)


def test_a_plan_that_is_too_large_fails_the_job(floor: Floor) -> None:
    """Its message would go round until it is a dead letter, and nothing say why."""

    class LargePieces(Pieces):
        listing: str

    class Large(Dividing):
        Plan = LargePieces

        def plan(self, params: Params) -> LargePieces:
            return LargePieces(steps=params.steps, listing="x" * 20_000)

    floor.kernel = Large(floor.step)
    submit(floor)
    work(floor)
    assert floor.record.status is Status.FAILED
    assert "its plan of 20,026 bytes is over the limit of 10,000: keep what is large" in (
        floor.record.error or ""
    )


def test_the_largest_number_of_workers_has_no_more_parts_than_a_job_can_have() -> None:
    """A job for all workers of a large account would be stored as one that cannot be read."""
    for seconds, part_seconds in ((None, None), (1e9, 1e-9), (1.0, 60.0)):
        fleet = Fleet.of(MAX_PARALLEL, part_seconds)
        assert sum(1 for _ in shares_of(fleet, seconds)) < MAX_PARTS


def test_progress_is_by_work_and_not_by_pieces(floor: Floor) -> None:
    """A job would stand at 99% for most of its time, and tell a wrong time for its end."""

    class Growing(Dividing):
        def share(self, plan: Pieces, first: int) -> float:
            return (first / plan.steps) ** 3

    floor.kernel = Growing(floor.step)
    submit(floor)
    work(floor, until=lambda: (part(floor, 9) or floor.record).status is Status.SUCCEEDED)
    told = parts_of(floor.jobs, floor.record)
    assert told is not None
    lengths = floor.record.lengths
    assert told.progress == pytest.approx((sum(lengths[:10]) / sum(lengths)) ** 3)


@pytest.mark.parametrize(
    ("method", "returns", "told"),
    [
        ("pieces", 20.0, "pieces returned 20.0: a whole number from 1 on is asked for"),
        ("pieces", 0, "pieces returned 0: a whole number from 1 on is asked for"),
        ("share", float("nan"), "share returned nan for piece"),
        ("share", 2.0, "share returned 2.0 for piece"),
    ],
)
def test_a_division_that_cannot_be_is_told_by_its_method(
    floor: Floor, method: str, returns: float, told: str
) -> None:
    """An author would be told of a type somewhere, five times, and not of the method."""
    kernel = floor.kernel = Dividing(floor.step)
    setattr(kernel, method, lambda *_: returns)
    submit(floor)
    work(floor)
    assert floor.record.status is Status.FAILED
    assert floor.record.error is not None
    assert f"NonRetryable: {told}" in floor.record.error

"""One job on many workers: its parts are called, computed and added up, each exactly once."""

from __future__ import annotations

import errno
import re
from itertools import count
from typing import TYPE_CHECKING, NoReturn

import pytest

from outlast.checkpoint.errors import VersionConflict
from outlast.checkpoint.status import Status
from outlast.kernel import Model, NonRetryable
from outlast.worker.jobs.prune import clear_parts
from outlast.worker.jobs.sweep import sweep
from outlast.worker.queues.message import Message
from outlast.worker.slices.deliver import deliver
from outlast.worker.slices.fleet.last_cut import LastCut
from outlast.worker.slices.health import BrokenWorker
from outlast.worker.slices.loading import NewerState
from tests.kernels import Dividing, Params, Pieces, expected
from tests.worker.floor import JOB, Floor
from tests.worker.parts import (
    STEPS,
    GoesOn,
    divided,
    fleet,
    part,
    parts_stored,
    receive,
    submit,
    wake,
    work,
    work_though_killed,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.checkpoint.record import Record

SWEEP_SECONDS = 60.0
# As the workers of a floor save.
SAVE_SECONDS = 1.0

floor = pytest.fixture(divided)


def bad_row() -> NoReturn:
    """Fail for good."""
    raise NonRetryable("bad row")


def work_until_stopped(floor: Floor, move: Callable[[Record], Record]) -> None:
    """Work while a person stops the job, and see that no step is taken after the next save."""
    after: list[int] = []

    def step(number: int) -> None:
        after.append(number)
        if number == 40:
            after.clear()
            floor.change(move)

    floor.watched = step
    work(floor)
    floor.watched = lambda _: None
    assert len(after) * floor.step_seconds <= SAVE_SECONDS


def test_a_divided_job_has_the_result_of_one_worker(floor: Floor) -> None:
    """More workers would cost the right answer, or leave thousands of records behind."""
    submit(floor)
    work(floor)
    assert floor.record.result == expected(STEPS)
    assert floor.record.usage.steps == STEPS
    assert parts_stored(floor) == []
    assert floor.messages() == []


def test_parts_of_many_groups_are_opened_one_group_after_the_other(floor: Floor) -> None:
    """Only the first groups would ever run, or their messages come many times over."""
    floor.step_seconds = 0.01
    submit(floor, parallel=30, steps=2000)
    floor.work()
    first = fleet(floor)
    assert first.parts > 3 * 16 * first.window
    count = work(floor)
    assert floor.record.result == expected(2000)
    assert first.parts <= count < 1.2 * first.parts, "few messages come twice"


def test_a_job_of_one_piece_is_one_part(floor: Floor) -> None:
    """A person submits a small job in the same way."""
    submit(floor, steps=1, parallel=1000)
    work(floor)
    assert floor.record.result == expected(1)


def test_a_part_goes_on_in_slices(floor: Floor) -> None:
    """A part that takes longer than an invocation would never end."""
    submit(floor, parallel=1, steps=600)
    work(floor, seconds=6.0)
    assert floor.record.result == expected(600)
    assert floor.record.usage.slices_begun > 2 * fleet(floor).parts


def test_a_failed_part_fails_the_job_and_a_retry_goes_on_from_what_is_there(floor: Floor) -> None:
    """Hours of the other parts would be computed again, or the job never end."""
    submit(floor)
    floor.at(55, bad_row)
    work(floor)
    assert floor.record.status is Status.FAILED
    assert floor.record.error is not None
    assert "bad row" in floor.record.error
    assert floor.record.error.startswith("part ")
    done: list[int] = []
    floor.watched = done.append
    floor.change(lambda job: job.retried())
    wake(floor)
    work(floor)
    assert floor.record.result == expected(STEPS)
    assert len(done) < STEPS
    assert parts_stored(floor) == []


def test_a_failure_from_before_a_retry_does_not_fail_the_job_again(floor: Floor) -> None:
    """A message that was late would undo what a person has decided."""
    submit(floor)
    floor.watched = lambda _: bad_row()
    work(floor, until=lambda: floor.record.status is Status.FAILED)
    failed = next(n for n in range(100) if (p := part(floor, n)) and p.status is Status.FAILED)
    floor.watched = lambda _: None
    floor.change(lambda job: job.retried())
    floor.messages()
    floor.queue.send(Message(job_id=JOB, slice=1, birth=fleet(floor).birth, part=failed))
    floor.work()
    assert floor.record.status is not Status.FAILED


def test_a_paused_job_stops_its_parts_and_a_resume_calls_them_again(floor: Floor) -> None:
    """A pause would leave some of a thousand workers at it, or a resume forget some of them."""
    submit(floor)
    work_until_stopped(floor, lambda job: job.paused())
    assert floor.record.status is Status.PAUSED
    assert floor.messages() == []
    begun = [each for number in range(32) if (each := part(floor, number))]
    assert "paused" in {stretch.ending for each in begun for stretch in each.history.stretches}
    floor.change(lambda job: job.resumed())
    wake(floor)
    work(floor)
    assert floor.record.result == expected(STEPS)


def test_a_resume_in_the_middle_of_a_call_is_not_lost(floor: Floor) -> None:
    """The messages that met the pause are gone: the job would stand still for good."""
    submit(floor)
    sends = 0

    def pause_and_resume(operation: str) -> None:
        nonlocal sends
        sends += operation == "send"
        if operation == "send" and sends == 5:
            sends += 1
            floor.change(lambda job: job.paused())
            floor.messages()
            floor.change(lambda job: job.resumed())
            wake(floor)

    with floor.hooked("after", pause_and_resume):
        floor.work()
    work(floor)
    floor.clock.sleep(60)
    work(floor)
    assert floor.record.result == expected(STEPS)


def test_a_cancelled_job_stops_its_parts(floor: Floor) -> None:
    """A thousand workers would go on to compute, and cost, what nobody wants."""
    submit(floor)
    work_until_stopped(floor, lambda job: job.cancelled())
    assert floor.record.status is Status.CANCELLED
    assert floor.messages() == []
    clear_parts(floor.jobs)
    assert parts_stored(floor) == []


def test_a_deleted_job_leaves_no_part(floor: Floor) -> None:
    """A deleted job would cost for as long as the store is there."""
    submit(floor)
    work(floor, until=lambda: part(floor, 3) is not None)
    floor.jobs.delete(floor.jobs.load(JOB))
    work(floor)
    assert parts_stored(floor) == []
    assert floor.messages() == []


def test_a_worker_of_an_earlier_job_of_that_id_changes_nothing(floor: Floor) -> None:
    """A part of the job before would be added to the new one."""
    submit(floor)
    work(floor, until=lambda: part(floor, 3) is not None)
    late = receive(floor)
    floor.jobs.delete(floor.jobs.load(JOB))
    floor.messages()
    submit(floor, steps=STEPS // 2)
    floor.work()
    assert deliver(floor.process(), late).ack
    work(floor)
    assert floor.record.result == expected(STEPS // 2)
    assert parts_stored(floor) == []


def test_a_part_killed_in_the_middle_is_taken_up_by_another_worker(floor: Floor) -> None:
    """One killed worker of a thousand would end the job."""
    submit(floor)
    work_though_killed(floor, lambda: part(floor, 4) is not None)
    assert floor.record.result == expected(STEPS)


def test_a_lost_message_of_a_part_is_sent_again_by_the_sweep(floor: Floor) -> None:
    """A purged queue would leave the job for ever at the parts that it had come to."""
    submit(floor)
    work(floor, until=lambda: part(floor, 3) is not None)
    floor.messages()
    floor.clock.sleep(10 * SWEEP_SECONDS)
    assert sweep(floor.jobs, floor.queue, after_seconds=SWEEP_SECONDS) == [JOB]
    work(floor)
    assert floor.record.result == expected(STEPS)


def test_the_sweep_leaves_a_job_alone_whose_parts_are_at_work(floor: Floor) -> None:
    """Each sweep would send a message for every part of a job that runs for hours."""
    submit(floor)
    woken: list[list[str]] = []

    def look(step: int) -> None:
        if step % 20 == 19:
            floor.clock.sleep(SWEEP_SECONDS)
            woken.append(sweep(floor.jobs, floor.queue, after_seconds=SWEEP_SECONDS))

    floor.watched = look
    work(floor)
    assert woken
    assert not any(woken)


def test_a_ceiling_holds_over_all_parts_together(floor: Floor) -> None:
    """A thousand workers would spend a thousand times what a person has allowed."""
    floor.step_seconds = 0.1
    submit(floor, parallel=4, steps=4000, max_compute_seconds=100.0)
    done: list[int] = []
    floor.watched = done.append
    work(floor)
    assert floor.record.status is Status.FAILED
    assert "100 compute seconds" in (floor.record.error or "")
    assert 1000 <= len(done) < 2000


def test_a_kernel_may_go_on_alone_after_its_parts(floor: Floor) -> None:
    """A computation whose end cannot be divided could not be divided at all."""
    floor.kernel = GoesOn(floor.step)
    submit(floor)
    work(floor, seconds=4.0)
    assert floor.record.result == expected(STEPS)
    assert floor.record.usage.steps == STEPS
    assert parts_stored(floor) == []


def test_a_worker_that_dies_before_it_wakes_the_rest_is_made_good(floor: Floor) -> None:
    """The job would sleep for ever between its parts and its last steps."""
    floor.kernel = GoesOn(floor.step)
    submit(floor)
    work_though_killed(floor, lambda: fleet(floor).concluded)
    assert floor.record.result == expected(STEPS)


def test_a_machine_that_cannot_plan_is_not_the_jobs_fault(floor: Floor) -> None:
    """One worker with a full disk would fail the jobs that hundreds of others could divide."""

    class Full(Dividing):
        def plan(self, params: Params) -> Pieces:  # noqa: ARG002 - the contract's
            raise OSError(errno.ENOSPC, "No space left on device")

    submit(floor)
    before = floor.record
    with pytest.raises(BrokenWorker, match=JOB):
        floor.work(floor.process(kernel=Full()))
    after = floor.record
    assert (after.usage, after.lease, after.guards.failures) == (before.usage, None, 0)
    work(floor)
    assert floor.record.result == expected(STEPS)


def test_a_plan_that_fails_is_an_error_of_the_job(floor: Floor) -> None:
    """A listing that finds nothing would be tried for ever."""

    class NoPlan(Dividing):
        def plan(self, params: Params) -> Pieces:  # noqa: ARG002 - the contract's
            raise NonRetryable("no such folder")

    floor.kernel = NoPlan(floor.step)
    submit(floor)
    work(floor)
    assert floor.record.status is Status.FAILED
    assert "no such folder" in (floor.record.error or "")


def test_a_job_that_has_just_ended_has_no_parts(floor: Floor) -> None:
    """A late message of a part would take down the worker that has claimed it a moment before."""
    submit(floor)
    work(floor)
    with pytest.raises(VersionConflict):
        LastCut().of(floor.jobs, JOB, fleet(floor).birth or "")


class RenamedPieces(Model):
    """A plan of another version."""

    rows: int


class NextDividing(Dividing):
    """The next version, which old plans do not fit."""

    version = 2
    Plan = RenamedPieces  # type: ignore[assignment]


@pytest.mark.parametrize("last", [0, STEPS - 1], ids=["a part", "adding up"])
def test_a_plan_of_an_older_version_fails_the_job_with_the_way_out(floor: Floor, last: int) -> None:
    """An upgrade would end a job by pydantic's words on a model that its owner has never seen."""
    submit(floor)
    floor.at(last, lambda: setattr(floor, "kernel", NextDividing(floor.step)))
    work(floor)
    assert floor.record.status is Status.FAILED
    assert re.sub(r"^part \d+: ", "", floor.record.error or "") == (
        "its plan was made by version 1 of kernel 'dividing' and does not fit version 2, which "
        "this worker has (rows: Field required): submit the job again, or retry it where version 1 "
        "is installed"
    )


def test_a_plan_of_a_newer_version_is_left_to_workers_that_have_it(floor: Floor) -> None:
    """An old worker that still runs during an upgrade would fail a job of the new ones."""
    floor.kernel = NextDividing(floor.step)
    floor.kernel.Plan = Pieces
    submit(floor)
    work(floor, until=lambda: fleet(floor).is_cut)
    floor.kernel = Dividing(floor.step)
    with pytest.raises(NewerState, match=r"was cut by version 2 .* has version 1: upgrade it"):
        work(floor)
    assert not floor.record.status.is_final


def test_a_part_that_is_begun_again_survives_its_worker(floor: Floor) -> None:
    """A retried job would sleep until a sweep, if the worker died that has begun its part again."""
    submit(floor)
    floor.at(STEPS // 2, bad_row)
    work(floor)
    assert floor.record.status is Status.FAILED
    floor.watched = lambda _: None
    floor.change(lambda job: job.retried())
    wake(floor)
    puts = count(1)
    # Two of the call, then the part's: the claim, and the save that does not happen.
    work_though_killed(floor, lambda: next(puts) == 4, "before")
    assert floor.record.result == expected(STEPS)

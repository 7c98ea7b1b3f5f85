"""The moves between a job's states: what a guard counts, what a person may do, what stays."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from pydantic import BaseModel

from outlast.checkpoint.blobs.contract import Chunk
from outlast.checkpoint.errors import WrongStatus
from outlast.checkpoint.packed import Packed
from outlast.checkpoint.record import Record
from outlast.checkpoint.record_parts import Checkpoint, Dropped, Limits
from outlast.checkpoint.status import Status
from tests.records import changed, checkpoint, lease
from tests.records import job as record

if TYPE_CHECKING:
    from collections.abc import Callable

FINAL = [Status.SUCCEEDED, Status.FAILED, Status.CANCELLED]
OPEN = [Status.QUEUED, Status.RUNNING, Status.PAUSED]


BAD = checkpoint(b"bad").with_state(Packed.of(b"BAD"))


def with_status(status: Status) -> Record:
    """A job of this status, with a lease where it has one."""
    return record(status=status, lease=lease() if status is Status.RUNNING else None)


def test_a_claim_counts_the_slice_before_it_runs() -> None:
    """A slice that kills its worker would otherwise never be counted, and kill for ever."""
    claimed = record().claimed(lease())
    assert (claimed.status, claimed.announced) == (Status.RUNNING, True)
    assert (claimed.usage.slices_begun, claimed.guards.stalls, claimed.slice_number) == (1, 1, 1)


def test_progress_clears_the_guards_and_a_repeated_state_does_not() -> None:
    """A job that advances would be given up, or one that does not would run for ever."""
    stalled = record(failures=3).claimed(lease())
    advanced = stalled.spent(steps=2, seconds=0.5).saved(checkpoint(b"1"))
    assert (advanced.guards.failures, advanced.guards.stalls) == (0, 0)
    again = advanced.released().claimed(lease()).saved(checkpoint(b"1"))
    assert again.guards.stalls == 1
    assert (again.usage.steps, again.usage.saves, again.usage.compute_seconds) == (2, 2, 0.5)


def test_a_copy_is_what_pydantic_makes_it() -> None:
    """A record would lose fields with each move, or change one that was stored already."""
    before = record(tags=("a",))
    for deep in (False, True):
        after = before.model_copy(update={"tags": ("b",), "error": "lost"}, deep=deep)
        assert after == BaseModel.model_copy(before, update={"tags": ("b",), "error": "lost"})
        assert after.model_dump_json() != before.model_dump_json()
    assert before == record(tags=("a",))


def test_two_generations_are_kept() -> None:
    """Without the second there is nothing to fall back on; with more the record would grow."""
    moved = record().claimed(lease())
    for state in (b"1", b"2", b"3"):
        moved = moved.saved(checkpoint(state))
    assert [c.state for c in moved.checkpoints] == [b"3", b"2"]
    assert [c.sequence for c in moved.checkpoints] == [3, 2]


def test_a_damaged_checkpoint_goes_to_quarantine_and_the_one_before_serves() -> None:
    """The job would fail, or go on from a wrong state, or the evidence would be gone."""
    good = checkpoint(b"good")
    claimed = record(checkpoints=(BAD, good)).claimed(lease())
    assert (claimed.checkpoints, claimed.quarantine) == ((good,), (BAD,))


def test_no_intact_checkpoint_is_an_error_and_not_a_new_start() -> None:
    """Days of work would otherwise begin again from nothing without a word."""
    claimed = record(checkpoints=(BAD, BAD)).claimed(lease())
    assert (claimed.status, claimed.lease) == (Status.FAILED, None)
    assert "none of its 2 checkpoints" in str(claimed.error)
    assert claimed.checkpoints == (BAD, BAD)


def test_quarantine_keeps_the_two_newest() -> None:
    """A store that damages every write would otherwise grow the record without end."""
    older, oldest = (BAD.model_copy(update={"sequence": n}) for n in (8, 7))
    checkpoints = (BAD, checkpoint(b"good"))
    claimed = record(checkpoints=checkpoints, quarantine=(older, oldest)).claimed(lease())
    assert claimed.quarantine == (BAD, older)


@pytest.mark.parametrize(
    ("crashed_for", "lost"), [(3.0, 3.0), (60.0, 7.0), (-60.0, 0.0)], ids=["soon", "late", "skewed"]
)
def test_work_lost_to_a_crash_is_bounded_by_what_was_at_risk(
    crashed_for: float, lost: float
) -> None:
    """The bill for crashes would be overstated by the time that nobody worked."""
    held = record().claimed(lease(at=100.0))
    assert held.claimed(lease(at=100.0 + crashed_for)).usage.redone_seconds == lost


def test_work_that_was_saved_is_not_counted_as_lost() -> None:
    """Each crash would otherwise be billed from the start of the slice."""
    held = record().claimed(lease(at=100.0)).saved(checkpoint(b"1", saved_at=104.0))
    assert held.claimed(lease(at=105.0)).usage.redone_seconds == 1.0


def test_a_release_moves_to_the_next_slice_and_nobody_holds_the_job() -> None:
    """The next worker would wait for a lease that nobody uses."""
    released = record().claimed(lease()).released(not_before=5.0)
    assert (released.status, released.slice_number, released.lease) == (Status.QUEUED, 2, None)
    assert (released.announced, released.not_before) == (False, 5.0)


def test_errors_back_off_and_then_fail_with_the_reason() -> None:
    """A job whose kernel always raises would run, and cost, for ever."""
    job = record(limits=Limits(max_failures=2)).claimed(lease()).errored("E: x", not_before=9.0)
    assert (job.status, job.guards.failures) == (Status.QUEUED, 1)
    assert (job.error, job.not_before) == ("E: x", 9.0)
    job = job.claimed(lease()).errored("E: x", not_before=9.0)
    assert (job.status, job.lease) == (Status.FAILED, None)
    assert job.error == "E: x (error 2 in a row without progress)"


def test_an_error_is_shown_until_the_job_advances() -> None:
    """A job that runs well would look as if it needed somebody, or one that is stuck would not."""
    job = record().claimed(lease()).saved(checkpoint(b"1")).errored("E: x", not_before=9.0)
    again = job.claimed(lease())
    assert again.saved(checkpoint(b"1")).error == "E: x"
    assert again.saved(checkpoint(b"2")).error is None
    assert again.unclaimed(job).error == "E: x"
    assert again.unclaimed(job, "no numba here").error == "no numba here"


@pytest.mark.parametrize(
    ("fields", "limits", "reason"),
    [
        ({"stalls": 10}, {}, "max_stalls=10"),
        ({"slices_begun": 7}, {"max_slices": 7}, "ceiling of 7 slices"),
        ({"compute_seconds": 60.0}, {"max_compute_seconds": 60.0}, "ceiling of 60 compute seconds"),
        ({"stalls": 9, "slices_begun": 99_999, "compute_seconds": 1e9}, {}, None),
        ({"slices_begun": 10**9}, {"max_slices": None}, None),
    ],
)
def test_guards_name_the_limit(
    fields: dict[str, object], limits: dict[str, object], reason: str | None
) -> None:
    """The person would not know which limit to raise, or a job would be stopped without need."""
    exhausted = record(limits=Limits.model_validate(limits), **fields).exhausted()
    assert exhausted is None if reason is None else reason in str(exhausted)


def test_success_stores_the_result_and_ends_the_job() -> None:
    """A finished job would be run again, or an error of its past would be shown."""
    done = record(error="E: x", failures=2).claimed(lease()).succeeded({"prime": 2})
    assert (done.status, done.result, done.progress) == (Status.SUCCEEDED, {"prime": 2}, 1.0)
    assert (done.error, done.lease) == (None, None)
    assert (done.guards.failures, done.guards.stalls) == (0, 0)


def test_progress_is_that_of_the_newest_checkpoint() -> None:
    """The bar that a person watches would show nothing."""
    assert record().progress == 0.0
    assert record(checkpoints=(checkpoint(b"1"),)).progress == 0.25


@pytest.mark.parametrize("status", OPEN)
def test_a_job_that_is_not_over_can_be_cancelled(status: Status) -> None:
    """A person could not stop what costs money; the lease must go so that the slice finds out."""
    cancelled = with_status(status).cancelled()
    assert (cancelled.status, cancelled.lease) == (Status.CANCELLED, None)
    assert cancelled.cancelled() is cancelled


def test_a_pause_leaves_the_slice_its_lease_and_outlasts_its_release() -> None:
    """The running slice could not save, or its release would start the job again."""
    paused = with_status(Status.RUNNING).paused()
    assert (paused.status, paused.lease) == (Status.PAUSED, lease())
    assert paused.released().status is Status.PAUSED
    assert paused.paused() is paused


@pytest.mark.parametrize(
    ("status", "move"),
    [
        *[(status, Record.cancelled) for status in (Status.SUCCEEDED, Status.FAILED)],
        *[(status, Record.paused) for status in FINAL],
        *[(status, Record.resumed) for status in FINAL],
        *[(s, Record.retried) for s in (Status.SUCCEEDED, Status.CANCELLED, Status.PAUSED)],
    ],
)
def test_a_move_that_does_not_fit_the_status_is_refused(
    status: Status, move: Callable[[Record], Record]
) -> None:
    """A finished job would come back to life, or a result that was paid for be gone."""
    with pytest.raises(WrongStatus, match=f"job a {status.phrase}: it cannot be {move.__name__}"):
        move(with_status(status))


def test_what_does_not_fit_the_status_names_what_does() -> None:
    """A person would take a job for lost that one other word lets go on."""
    with pytest.raises(WrongStatus, match=r"be resumed; outlast retry a lets it go on$"):
        with_status(Status.FAILED).resumed()
    with pytest.raises(WrongStatus, match=r"be retried; outlast resume a lets it go on$"):
        with_status(Status.PAUSED).retried()
    with pytest.raises(WrongStatus, match=r"be resumed$"):
        with_status(Status.SUCCEEDED).resumed()


def test_a_resumed_job_wants_its_message_sent_again() -> None:
    """The message was acked during the pause: without a new one the job would never wake."""
    resumed = record(status=Status.PAUSED, announced=True).resumed()
    assert (resumed.status, resumed.announced) == (Status.QUEUED, False)
    assert resumed.resumed() is resumed
    assert with_status(Status.RUNNING).paused().resumed().status is Status.RUNNING


def test_a_failed_job_can_be_retried_with_its_guards_set_back() -> None:
    """After the cause is mended days of work would have to begin again."""
    failed = record(checkpoints=(checkpoint(b"1"),), failures=5, stalls=5).failed("E: x")
    retried = failed.retried()
    assert (retried.status, retried.error) == (Status.QUEUED, None)
    assert (retried.guards.failures, retried.guards.stalls, retried.exhausted()) == (0, 0, None)
    assert retried.checkpoints == failed.checkpoints
    assert retried.slice_number == failed.slice_number + 1
    assert retried.retried() is retried


def test_a_job_at_its_ceiling_is_retried_with_a_higher_one() -> None:
    """It would fail again at once, and the way out be a copy of it under another id."""
    limits = Limits(max_slices=3, max_compute_seconds=9.0)
    failed = record(limits=limits, slices_begun=3, compute_seconds=9.5).failed("ceiling")
    with pytest.raises(WrongStatus, match=r"job a reached its ceiling of 3 slices .*higher one"):
        failed.retried()
    with pytest.raises(WrongStatus, match="ceiling of 9 compute seconds"):
        failed.retried(max_slices=4)
    retried = failed.retried(max_slices=4, max_compute_seconds=20.0)
    assert (retried.status, retried.exhausted()) == (Status.QUEUED, None)
    assert retried.limits == Limits(max_slices=4, max_compute_seconds=20.0)
    assert retried.retried(max_slices=9).limits.max_slices == 9
    with pytest.raises(WrongStatus, match=r"ceiling of 3 slices .*higher one"):
        retried.retried(max_slices=3)
    running = retried.claimed(lease())
    assert running.retried(max_slices=3).limits.max_slices == 3


def test_a_lease_ends_at_its_time() -> None:
    """A job whose worker was killed would wait for ever, or be taken from one that lives."""
    held = record().claimed(lease(at=100.0))
    assert held.is_held(109.9)
    assert not held.is_held(110.0)
    assert not record().is_held(0.0)


def test_a_renewal_needs_a_lease() -> None:
    """A job that was released would be held by nobody."""
    free = record()
    assert free.renewed(1.0, 4.0, at_risk_seconds=1.0) is free
    held = free.claimed(lease()).renewed(490.0, 10.0, at_risk_seconds=1.0)
    assert held.is_held(499.0)


def chunk(name: str) -> Chunk:
    """Return a chunk of this name."""
    return Chunk(f"a/t/{name}", 100, "0" * 64)


def state_in(*names: str, at: float = 100.0) -> Checkpoint:
    """A checkpoint whose arrays are in these chunks."""
    chunks = [chunk(name) for name in names]
    return checkpoint(json.dumps(names).encode(), chunks=chunks, saved_at=at)


def test_a_chunk_is_dropped_once_neither_generation_needs_it() -> None:
    """The bytes of old states would be paid for for ever, or those of new ones deleted."""
    job = record(lease=lease(100.0)).saved(state_in("1", "2")).saved(state_in("1", "3"))
    assert (set(job.chunks), job.dropped) == ({"a/t/1", "a/t/2", "a/t/3"}, ())
    job = job.saved(state_in("1", "4", at=130.0))
    assert set(job.chunks) == {"a/t/1", "a/t/3", "a/t/4"}
    assert job.dropped == (Dropped("a/t/2", 130.0, 3),)


def test_a_dropped_chunk_waits_for_another_save_and_half_a_minute() -> None:
    """A Redis that fails over and forgets its last seconds would find its checkpoint without it."""
    job = record(lease=lease(100.0)).saved(state_in("1")).saved(state_in("2")).saved(state_in("3"))
    assert job.ripe(1e6, 30.0) == []
    job = job.saved(state_in("3", at=101.0))
    assert job.ripe(129.9, 30.0) == []
    assert job.ripe(130.0, 30.0) == ["a/t/1"]
    left = job.forgot(["a/t/1"])
    assert [dropped.name for dropped in left.dropped] == ["a/t/2"]


def test_chunks_of_parameters_results_and_quarantine_are_needed() -> None:
    """A clean-up would delete what a person still looks at."""
    job = record(params_chunks=(chunk("p"),), lease=lease(100.0)).saved(state_in("1"))
    job = job.saved(state_in("2")).unreadable(job.checkpoints[0], 130.0).saved(state_in("3"))
    job = job.saved(state_in("4")).succeeded({}, (chunk("r"),))
    names = {name.rpartition("/")[2] for name in job.chunks}
    assert names == {"p", "1", "3", "4", "r"}
    assert [dropped.name for dropped in job.dropped] == ["a/t/2"]


def test_other_arrays_with_the_same_json_are_progress() -> None:
    """A training whose step number stands in an array would be given up as stalled."""
    job = record(lease=lease(100.0)).saved(state_in("1"))
    other = checkpoint(b'["1"]', chunks=[chunk("1")._replace(digest="1" * 64)])
    stalled = changed(job, stalls=3)
    assert stalled.saved(other).guards.stalls == 0
    assert stalled.saved(state_in("1")).guards.stalls == 3

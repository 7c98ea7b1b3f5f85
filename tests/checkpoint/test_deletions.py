"""Deleted jobs: their values are gone, and a mark distinguishes them from unknown jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from outlast.checkpoint.deletions import PREFIX
from outlast.checkpoint.errors import DeletedJob, StoreFull, StoreUnavailable, UnknownJob
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.record import Record
from outlast.checkpoint.status import Status
from tests.fakes import START, FakeClock, MemoryRegister

if TYPE_CHECKING:
    from outlast.checkpoint.register import Register

DAY = 86_400.0


@pytest.fixture
def clock() -> FakeClock:
    """The time of the store."""
    return FakeClock()


def submit(jobs: JobStore, job_id: str = "a") -> None:
    """Store a job."""
    jobs.submit(Record(job_id=job_id, kernel="k", params={}, created_at=START, updated_at=START))


def test_a_deleted_job_differs_from_one_that_never_was(
    register: Register, clock: FakeClock
) -> None:
    """A late message for it would end as a dead letter; or a wrong store would empty the queue."""
    jobs = JobStore(register, clock=clock)
    submit(jobs)
    submit(jobs, "b")
    jobs.delete(jobs.load("a"))
    jobs.discard("b")
    for job_id in "ab":
        with pytest.raises(DeletedJob, match=f"job {job_id} was deleted on 2027-01-15 at 08:00"):
            jobs.load(job_id)
        with pytest.raises(DeletedJob):
            jobs.discard(job_id)
    with pytest.raises(UnknownJob) as caught:
        jobs.load("c")
    assert not isinstance(caught.value, DeletedJob)
    assert list(jobs.ids()) == []


def test_an_id_can_be_used_and_deleted_again(register: Register, clock: FakeClock) -> None:
    """A name would be used up for ever."""
    jobs = JobStore(register, clock=clock)
    for _ in range(2):
        submit(jobs)
        assert jobs.load("a").record.status is Status.QUEUED
        jobs.discard("a")


def test_marks_are_forgotten_by_age(register: Register, clock: FakeClock) -> None:
    """They would fill the store for ever; or be gone while messages are still under way."""
    jobs = JobStore(register, clock=clock)
    for job_id in ("old", "new"):
        submit(jobs, job_id)
        jobs.discard(job_id)
        clock.now += 2 * DAY
    assert jobs.deletions.forget(clock.now - 3 * DAY) == 1
    assert jobs.deletions.deleted_at("old") is None
    assert jobs.deletions.deleted_at("new") == clock.now - 2 * DAY


def test_a_mark_dates_from_the_last_deletion(register: Register, clock: FakeClock) -> None:
    """Messages of a job whose id was deleted long before would become dead letters."""
    jobs = JobStore(register, clock=clock)
    for _ in range(2):
        submit(jobs)
        jobs.discard("a")
        clock.now += 30 * DAY
    assert jobs.deletions.forget(clock.now - 30 * DAY) == 0
    with pytest.raises(DeletedJob):
        jobs.load("a")


def test_what_cannot_be_read_can_be_discarded(clock: FakeClock) -> None:
    """A damaged record could be removed by means of the store only."""
    register = MemoryRegister()
    register.put("jobs/a", b"foreign", expected=None)
    register.put(PREFIX + "a", b"foreign, too", expected=None)
    jobs = JobStore(register, clock=clock)
    jobs.discard("a")
    with pytest.raises(DeletedJob):
        jobs.load("a")


@pytest.mark.parametrize("moment", ["17e99", "1e999", "NaN", "-1", "[1]", "null"])
def test_a_mark_with_a_damaged_time_still_says_deleted(clock: FakeClock, moment: str) -> None:
    """A worker would end at a late message, and each one after it as well."""
    register = MemoryRegister()
    register.put(PREFIX + "a", f'{{"deleted_at": {moment}}}'.encode(), expected=None)
    jobs = JobStore(register, clock=clock)
    with pytest.raises(DeletedJob, match="job a was deleted on 1970"):
        jobs.load("a")
    assert jobs.deletions.forget(clock.now) == 1


def test_a_discard_takes_what_was_written_meanwhile(clock: FakeClock) -> None:
    """A busy job could not be deleted by force: its worker would always be faster."""
    register = MemoryRegister()
    jobs = JobStore(register, clock=clock)
    submit(jobs)
    others = JobStore(register, clock=clock)
    writes = iter([Record.paused, Record.resumed, Record.cancelled])

    def interfere(operation: str) -> None:
        if operation == "delete" and (move := next(writes, None)):
            others.change("a", move)

    register.before = interfere
    jobs.discard("a")
    assert list(register.keys("jobs/")) == []


@pytest.mark.parametrize("is_room_made", [True, False])
def test_a_full_store_gives_up_the_job_before_it_takes_the_mark(
    is_room_made: bool, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """No job could be deleted where there is no room, which is when it must be."""
    register = MemoryRegister()
    jobs = JobStore(register, clock=clock)
    submit(jobs)

    def full(operation: str) -> None:
        if operation == "put" and ("jobs/a" in register.values or not is_room_made):
            raise StoreFull("full")

    register.before = full
    jobs.discard("a")
    with pytest.raises(DeletedJob if is_room_made else UnknownJob):
        jobs.load("a")
    assert ("job a is deleted, but the store has no room" in caplog.text) == (not is_room_made)


def test_a_store_that_is_away_deletes_no_job_without_its_mark(clock: FakeClock) -> None:
    """A message under way would end as a dead letter, and a person look for a lost job."""
    register = MemoryRegister()
    jobs = JobStore(register, clock=clock)
    submit(jobs)

    def away(operation: str) -> None:
        if operation == "put":
            raise StoreUnavailable("away")

    register.before = away
    with pytest.raises(StoreUnavailable):
        jobs.discard("a")
    assert list(jobs.ids()) == ["a"]


def test_a_crash_between_mark_and_removal_leaves_a_job_that_can_be_deleted(
    clock: FakeClock,
) -> None:
    """A job would be half deleted: neither there nor known as deleted."""
    register = MemoryRegister()
    jobs = JobStore(register, clock=clock)
    submit(jobs)

    def away(operation: str) -> None:
        if operation == "delete":
            raise StoreUnavailable("away")

    register.before = away
    with pytest.raises(StoreUnavailable):
        jobs.discard("a")
    register.before = lambda _: None
    assert jobs.load("a").record.status is Status.QUEUED
    jobs.discard("a")
    assert list(register.keys("jobs/")) == []

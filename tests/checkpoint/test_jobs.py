"""Jobs in a register: every change is one compare-and-set, and the fence holds."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from outlast.checkpoint.errors import (
    CorruptRecord,
    JobExists,
    LeaseLost,
    StateTooLarge,
    StoreUnavailable,
    UnknownJob,
    VersionConflict,
)
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.record import Record
from outlast.checkpoint.record_parts import Checkpoint, Lease
from outlast.checkpoint.register import Stored
from outlast.checkpoint.status import Status
from tests.fakes import FakeClock
from tests.records import job

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.checkpoint.job_store import StoredJob
    from tests.fakes import MemoryRegister

LEASE = Lease(worker="w", token="t", claimed_at=1.0, expires_at=2.0, at_risk_seconds=1.0)


def claimed(jobs: JobStore, token: str = "t") -> StoredJob:
    """The job with a lease on it."""
    lease = LEASE.model_copy(update={"token": token})
    return jobs.change("a", lambda r: r.claimed(lease))


def lose(_: str) -> None:
    """Be the hook of a store that does not answer."""
    raise StoreUnavailable("no answer")


def lose_writes(operation: str) -> None:
    """Be the hook of a store that answers reads only."""
    if operation == "put":
        lose(operation)


def once(memory: MemoryRegister, act: Callable[[], object]) -> None:
    """Let `act` happen between someone's read and its write, once."""

    def before(operation: str) -> None:
        if operation == "put":
            memory.before = lambda _: None
            act()

    memory.before = before


def test_a_submitted_job_is_stored(jobs: JobStore) -> None:
    """An accepted job would be forgotten."""
    held, created = jobs.submit(job(params={"n": 1}))
    assert created
    assert jobs.load("a") == held
    assert (held.record.params, held.record.updated_at, held.record.revision.writes) == (
        {"n": 1},
        5.0,
        1,
    )


def test_the_same_job_twice_is_one_job(jobs: JobStore) -> None:
    """A submission that is repeated after a lost answer would run, and cost, twice."""
    first, _ = jobs.submit(job(params={"n": 1}))
    again, created = jobs.submit(job(params={"n": 1}))
    assert (again, created) == (first, False)


def test_an_id_with_other_parameters_is_refused(jobs: JobStore) -> None:
    """A person would get the result of another question."""
    jobs.submit(job(params={"n": 1}))
    with pytest.raises(JobExists, match="exists with other parameters: k n=1; choose"):
        jobs.submit(job(params={"n": 2}))


def test_an_unknown_job_is_named(jobs: JobStore) -> None:
    """A slip in the id would look like a job that waits."""
    with pytest.raises(UnknownJob, match="'nope'"):
        jobs.load("nope")


def test_a_change_is_applied_to_the_newest_record(memory: MemoryRegister, jobs: JobStore) -> None:
    """A person's cancel would overwrite a checkpoint, or be overwritten by one."""
    jobs.submit(job())
    once(memory, lambda: jobs.change("a", lambda r: r.spent(steps=3, seconds=1.0)))
    held = jobs.change("a", Record.cancelled)
    assert (held.record.status, held.record.usage.steps) == (Status.CANCELLED, 3)


def test_a_change_that_changes_nothing_writes_nothing(
    memory: MemoryRegister, jobs: JobStore
) -> None:
    """A cancel that is repeated would look like activity."""
    jobs.submit(job())
    before = dict(memory.values)
    assert jobs.change("a", lambda r: r).record.status is Status.QUEUED
    assert memory.values == before


def test_replace_needs_the_record_to_stand(jobs: JobStore) -> None:
    """Two workers could both claim the job."""
    held, _ = jobs.submit(job())
    jobs.change("a", lambda r: r.spent(steps=1, seconds=0.0))
    with pytest.raises(VersionConflict):
        jobs.replace(held, held.record.claimed(LEASE))


def test_a_holder_writes_over_what_leaves_its_lease_alone(
    memory: MemoryRegister, jobs: JobStore
) -> None:
    """A pause would cost the work of the slice that it interrupts."""
    jobs.submit(job())
    held = claimed(jobs)
    once(memory, lambda: jobs.change("a", Record.paused))
    after = jobs.advance(held, "t", lambda r: r.spent(steps=3, seconds=1.0))
    assert (after.record.status, after.record.usage.steps) == (Status.PAUSED, 3)


@pytest.mark.parametrize("how", ["claimed by another", "cancelled", "released"])
def test_a_holder_that_lost_its_lease_cannot_write(jobs: JobStore, how: str) -> None:
    """The fence: a frozen worker that wakes up would overwrite the work of the one after it."""
    jobs.submit(job())
    held = claimed(jobs)
    after = {
        "claimed by another": lambda: claimed(jobs, "u"),
        "cancelled": lambda: jobs.change("a", Record.cancelled),
        "released": lambda: jobs.change("a", Record.released),
    }[how]()
    with pytest.raises(LeaseLost):
        jobs.advance(held, "t", lambda r: r.spent(steps=3, seconds=1.0))
    assert jobs.load("a") == after


def claimed_and_released_unheard(memory: MemoryRegister, jobs: JobStore) -> StoredJob:
    """The job as its holder knows it, whose release was stored and not answered."""
    jobs.submit(job())
    held = claimed(jobs)
    memory.after = lose
    with pytest.raises(StoreUnavailable):
        jobs.advance(held, "t", Record.released)
    memory.after = lambda _: None
    return held


@pytest.mark.parametrize("more_failures", [0, 1])
def test_a_holder_knows_its_own_release_though_its_answer_was_lost(
    memory: MemoryRegister, jobs: JobStore, more_failures: int
) -> None:
    """A slice that ended well would be reported as lost, and its continuation not be sent."""
    held = claimed_and_released_unheard(memory, jobs)
    memory.before = lose
    for _ in range(more_failures):
        with pytest.raises(StoreUnavailable):
            jobs.advance(held, "t", Record.released)
    memory.before = memory.after
    assert jobs.advance(held, "t", Record.released).record == jobs.load("a").record
    assert jobs.load("a").record.slice_number == 2
    with pytest.raises(LeaseLost):
        JobStore(memory).advance(held, "t", Record.released)


def test_a_holder_whose_claim_the_store_has_lost_finds_out(
    memory: MemoryRegister, jobs: JobStore
) -> None:
    """It would work on to its deadline, and take each save for stored, where none is."""
    claimed_and_released_unheard(memory, jobs)
    older = memory.values["jobs/a"]
    again = claimed(jobs, "u")
    memory.values["jobs/a"] = older
    with pytest.raises(LeaseLost):
        jobs.advance(again, "u", lambda r: r.spent(steps=3, seconds=1.0))


def test_a_holder_whose_record_was_never_leased_cannot_write(jobs: JobStore) -> None:
    """A slip in the order of calls would go round the fence."""
    held, _ = jobs.submit(job())
    with pytest.raises(LeaseLost):
        jobs.advance(held, "t", lambda r: r)


def test_a_job_deleted_meanwhile_is_unknown(jobs: JobStore) -> None:
    """A worker would write a deleted job back."""
    held, _ = jobs.submit(job())
    jobs.delete(held)
    with pytest.raises(UnknownJob):
        jobs.change("a", Record.cancelled)
    assert list(jobs.ids()) == []


def test_a_delete_needs_the_record_to_stand(jobs: JobStore) -> None:
    """A job that has just finished would be deleted with its result."""
    held, _ = jobs.submit(job())
    jobs.change("a", Record.cancelled)
    with pytest.raises(VersionConflict):
        jobs.delete(held)


def test_no_two_stored_values_are_the_same_bytes(memory: MemoryRegister) -> None:
    """On S3 a version is a hash: a value that came back would let a stale writer through."""
    writers = [JobStore(memory, clock=FakeClock(5.0)) for _ in range(2)]
    writers[0].submit(job())
    seen = set()
    for n in range(20):
        writers[n % 2].change("a", lambda r: r.model_copy(update={"announced": True}))
        seen.add(memory.values["jobs/a"].value)
    assert len(seen) == 20


@pytest.mark.parametrize("read_fails", [False, True])
def test_a_write_whose_answer_was_lost_is_read_back(
    memory: MemoryRegister, jobs: JobStore, read_fails: bool
) -> None:
    """A job that was stored would be reported as failed, or one that was not as stored."""

    def lose_answers(operation: str) -> None:
        if "jobs/a" in memory.values:  # The job's mark was written before it.
            (lose if read_fails else lose_writes)(operation)

    memory.after = lose_answers
    if read_fails:
        with pytest.raises(StoreUnavailable):
            jobs.submit(job())
    else:
        assert jobs.submit(job())[1]
    memory.after = lambda _: None
    assert jobs.load("a").record.revision.writes == 1


def test_a_write_that_did_not_happen_is_an_error(memory: MemoryRegister, jobs: JobStore) -> None:
    """A checkpoint would be taken for stored."""
    memory.before = lose_writes
    with pytest.raises(StoreUnavailable, match="no answer"):
        jobs.submit(job())
    assert memory.values == {}


def test_a_record_beyond_all_limits_is_refused(
    jobs: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store would refuse it in words of its own, or take it and never give it back."""
    monkeypatch.setattr("outlast.checkpoint.job_store.MAX_RECORD_BYTES", 1500)
    jobs.submit(job())
    held = claimed(jobs)
    noise = random.Random(1).randbytes(2000)
    big = Checkpoint.of(noise, version=1, slice=1, progress=0.0, saved_at=0.0)
    with pytest.raises(StateTooLarge, match=r"job a: its record of .* is over the limit of 1,500"):
        jobs.advance(held, "t", lambda r: r.saved(big))
    assert jobs.load("a") == held


def test_foreign_bytes_name_the_job(memory: MemoryRegister, jobs: JobStore) -> None:
    """An operator would not know which of a thousand values is bad."""
    memory.values["jobs/a"] = Stored(b"hello", "1")
    with pytest.raises(CorruptRecord, match="job a: not a record of Outlast"):
        jobs.load("a")


def test_a_record_under_another_jobs_key_is_refused(memory: MemoryRegister, jobs: JobStore) -> None:
    """A copy by hand would make two jobs write to each other's record."""
    jobs.submit(job())
    memory.values["jobs/b"] = memory.values["jobs/a"]
    with pytest.raises(CorruptRecord, match="the record found there is of 'jobs/a'"):
        jobs.load("b")

"""Jobs in a register: every change is one compare-and-set, and the fence holds."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from outlast.checkpoint.errors import (
    CorruptRecord,
    InvalidJobId,
    JobExists,
    LeaseLost,
    StateTooLarge,
    StoreUnavailable,
    UnknownJob,
    VersionConflict,
)
from outlast.checkpoint.jobs import HEAD_BYTES, HEADS_AT_ONCE, JobStore, checked_id
from outlast.checkpoint.parts import Checkpoint, Lease, digest_of
from outlast.checkpoint.record import Record
from outlast.checkpoint.register import Stored
from outlast.checkpoint.status import Status
from tests.fakes import FakeClock, MemoryRegister

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.checkpoint.jobs import Held

LEASE = Lease(worker="w", token="t", claimed_at=1.0, expires_at=2.0, at_risk_seconds=1.0)


@pytest.fixture
def register() -> MemoryRegister:
    """An empty store."""
    return MemoryRegister()


@pytest.fixture
def jobs(register: MemoryRegister) -> JobStore:
    """The jobs in it."""
    return JobStore(register, clock=FakeClock(5.0))


def record(job_id: str = "a", **params: object) -> Record:
    """A new job."""
    return Record(job_id=job_id, kernel="k", params=params, created_at=1.0, updated_at=1.0)


def claimed(jobs: JobStore, token: str = "t") -> Held:
    """The job with a lease on it."""
    lease = LEASE.model_copy(update={"token": token})
    return jobs.change("a", lambda r: r.claimed(lease))


def once(register: MemoryRegister, act: Callable[[], object]) -> None:
    """Let `act` happen between someone's read and its write, once."""

    def before(operation: str) -> None:
        if operation == "put":
            register.before = lambda _: None
            act()

    register.before = before


def test_a_submitted_job_is_stored(jobs: JobStore) -> None:
    """An accepted job would be forgotten."""
    held, created = jobs.submit(record(n=1))
    assert created
    assert jobs.load("a") == held
    assert (held.record.params, held.record.updated_at, held.record.revision.writes) == (
        {"n": 1},
        5.0,
        1,
    )


def test_the_same_job_twice_is_one_job(jobs: JobStore) -> None:
    """A submission that is repeated after a lost answer would run, and cost, twice."""
    first, _ = jobs.submit(record(n=1))
    again, created = jobs.submit(record(n=1))
    assert (again, created) == (first, False)


def test_an_id_with_other_parameters_is_refused(jobs: JobStore) -> None:
    """A person would get the result of another question."""
    jobs.submit(record(n=1))
    with pytest.raises(JobExists, match="exists with other parameters: k n=1; choose"):
        jobs.submit(record(n=2))


def test_an_unknown_job_is_named(jobs: JobStore) -> None:
    """A slip in the id would look like a job that waits."""
    with pytest.raises(UnknownJob, match="'nope'"):
        jobs.load("nope")


@pytest.mark.parametrize("job_id", ["a", "0", "nth-prime-00ff", "A.b_c-9", "x" * 128, "a.."])
def test_plain_ids_are_accepted(job_id: str) -> None:
    """A person could not name a job."""
    assert checked_id(job_id) == job_id
    assert record(job_id).job_id == job_id


@pytest.mark.parametrize(
    "job_id",
    ["", "x" * 129, "../x", "a/b", "a b", "a\n", "\na", ".a", "-a", "{a}", "ä", "a\x00", "a*", "٣"],
)
def test_ids_that_a_store_could_mistake_are_refused(jobs: JobStore, job_id: str) -> None:
    """A key could leave its prefix, or one job be taken for another."""
    with pytest.raises(InvalidJobId):
        checked_id(job_id)
    with pytest.raises(InvalidJobId):
        jobs.load(job_id)
    with pytest.raises(ValueError, match="job_id"):
        record(job_id)


def test_a_change_is_applied_to_the_newest_record(register: MemoryRegister, jobs: JobStore) -> None:
    """A person's cancel would overwrite a checkpoint, or be overwritten by one."""
    jobs.submit(record())
    once(register, lambda: jobs.change("a", lambda r: r.spent(steps=3, seconds=1.0)))
    held = jobs.change("a", Record.cancelled)
    assert (held.record.status, held.record.usage.steps) == (Status.CANCELLED, 3)


def test_a_change_that_changes_nothing_writes_nothing(
    register: MemoryRegister, jobs: JobStore
) -> None:
    """A cancel that is repeated would look like activity."""
    jobs.submit(record())
    before = dict(register.values)
    assert jobs.change("a", lambda r: r).record.status is Status.QUEUED
    assert register.values == before


def test_replace_needs_the_record_to_stand(jobs: JobStore) -> None:
    """Two workers could both claim the job."""
    held, _ = jobs.submit(record())
    jobs.change("a", lambda r: r.spent(steps=1, seconds=0.0))
    with pytest.raises(VersionConflict):
        jobs.replace(held, held.record.claimed(LEASE))


def test_a_holder_writes_over_what_leaves_its_lease_alone(
    register: MemoryRegister, jobs: JobStore
) -> None:
    """A pause would cost the work of the slice that it interrupts."""
    jobs.submit(record())
    held = claimed(jobs)
    once(register, lambda: jobs.change("a", Record.paused))
    after = jobs.advance(held, "t", lambda r: r.spent(steps=3, seconds=1.0))
    assert (after.record.status, after.record.usage.steps) == (Status.PAUSED, 3)


@pytest.mark.parametrize("how", ["claimed by another", "cancelled", "released"])
def test_a_holder_that_lost_its_lease_cannot_write(jobs: JobStore, how: str) -> None:
    """The fence: a frozen worker that wakes up would overwrite the work of the one after it."""
    jobs.submit(record())
    held = claimed(jobs)
    after = {
        "claimed by another": lambda: claimed(jobs, "u"),
        "cancelled": lambda: jobs.change("a", Record.cancelled),
        "released": lambda: jobs.change("a", Record.released),
    }[how]()
    with pytest.raises(LeaseLost):
        jobs.advance(held, "t", lambda r: r.spent(steps=3, seconds=1.0))
    assert jobs.load("a") == after


def lose(_: str) -> None:
    """Be the hook of a register whose answers do not arrive."""
    raise StoreUnavailable("no answer")


def claimed_and_released_unheard(register: MemoryRegister, jobs: JobStore) -> Held:
    """The job as its holder knows it, whose release was stored and not answered."""
    jobs.submit(record())
    held = claimed(jobs)
    register.after = lose
    with pytest.raises(StoreUnavailable):
        jobs.advance(held, "t", Record.released)
    register.after = lambda _: None
    return held


@pytest.mark.parametrize("more_failures", [0, 1])
def test_a_holder_knows_its_own_release_though_its_answer_was_lost(
    register: MemoryRegister, jobs: JobStore, more_failures: int
) -> None:
    """A slice that ended well would be reported as lost, and its continuation not be sent."""
    held = claimed_and_released_unheard(register, jobs)
    register.before = lose
    for _ in range(more_failures):
        with pytest.raises(StoreUnavailable):
            jobs.advance(held, "t", Record.released)
    register.before = register.after
    assert jobs.advance(held, "t", Record.released).record == jobs.load("a").record
    assert jobs.load("a").record.slice_number == 2
    with pytest.raises(LeaseLost):
        JobStore(register).advance(held, "t", Record.released)


def test_a_holder_whose_claim_the_store_has_lost_finds_out(
    register: MemoryRegister, jobs: JobStore
) -> None:
    """It would work on to its deadline, and take each save for stored, where none is."""
    claimed_and_released_unheard(register, jobs)
    older = register.values["jobs/a"]
    again = claimed(jobs, "u")
    register.values["jobs/a"] = older
    with pytest.raises(LeaseLost):
        jobs.advance(again, "u", lambda r: r.spent(steps=3, seconds=1.0))


def test_a_holder_whose_record_was_never_leased_cannot_write(jobs: JobStore) -> None:
    """A slip in the order of calls would go round the fence."""
    held, _ = jobs.submit(record())
    with pytest.raises(LeaseLost):
        jobs.advance(held, "t", lambda r: r)


def test_a_job_deleted_meanwhile_is_unknown(jobs: JobStore) -> None:
    """A worker would write a deleted job back."""
    held, _ = jobs.submit(record())
    jobs.delete(held)
    with pytest.raises(UnknownJob):
        jobs.change("a", Record.cancelled)
    assert list(jobs.ids()) == []


def test_a_delete_needs_the_record_to_stand(jobs: JobStore) -> None:
    """A job that has just finished would be deleted with its result."""
    held, _ = jobs.submit(record())
    jobs.change("a", Record.cancelled)
    with pytest.raises(VersionConflict):
        jobs.delete(held)


def test_no_two_stored_values_are_the_same_bytes(register: MemoryRegister) -> None:
    """On S3 a version is a hash: a value that came back would let a stale writer through."""
    writers = [JobStore(register, clock=FakeClock(5.0)) for _ in range(2)]
    writers[0].submit(record())
    seen = set()
    for n in range(20):
        writers[n % 2].change("a", lambda r: r.model_copy(update={"announced": True}))
        seen.add(register.values["jobs/a"].value)
    assert len(seen) == 20


@pytest.mark.parametrize("read_fails", [False, True])
def test_a_write_whose_answer_was_lost_is_read_back(
    register: MemoryRegister, jobs: JobStore, read_fails: bool
) -> None:
    """A job that was stored would be reported as failed, or one that was not as stored."""

    def lose(operation: str) -> None:
        if operation == "put" or read_fails:
            raise StoreUnavailable("no answer")

    register.after = lose
    if read_fails:
        with pytest.raises(StoreUnavailable):
            jobs.submit(record())
    else:
        assert jobs.submit(record())[1]
    register.after = lambda _: None
    assert jobs.load("a").record.revision.writes == 1


def test_a_write_that_did_not_happen_is_an_error(register: MemoryRegister, jobs: JobStore) -> None:
    """A checkpoint would be taken for stored."""

    def refuse(operation: str) -> None:
        if operation == "put":
            raise StoreUnavailable("full")

    register.before = refuse
    with pytest.raises(StoreUnavailable, match="full"):
        jobs.submit(record())
    assert register.values == {}


def test_a_record_beyond_all_limits_is_refused(
    jobs: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store would refuse it in words of its own, or take it and never give it back."""
    monkeypatch.setattr("outlast.checkpoint.jobs.MAX_RECORD_BYTES", 1000)
    jobs.submit(record())
    held = claimed(jobs)
    noise = random.Random(1).randbytes(1000)
    big = Checkpoint(
        state=noise, digest=digest_of(noise), version=1, slice=1, progress=0.0, saved_at=0.0
    )
    with pytest.raises(StateTooLarge, match=r"job a: its record of .* is over the limit of 1,000"):
        jobs.advance(held, "t", lambda r: r.saved(big))
    assert jobs.load("a") == held


def test_foreign_bytes_name_the_job(register: MemoryRegister, jobs: JobStore) -> None:
    """An operator would not know which of a thousand values is bad."""
    register.values["jobs/a"] = Stored(b"hello", "1")
    with pytest.raises(CorruptRecord, match="job a: not a record of Outlast"):
        jobs.load("a")


def test_a_record_under_another_jobs_key_is_refused(
    register: MemoryRegister, jobs: JobStore
) -> None:
    """A copy by hand would make two jobs write to each other's record."""
    jobs.submit(record())
    register.values["jobs/b"] = register.values["jobs/a"]
    with pytest.raises(CorruptRecord, match="the record found there is of 'a'"):
        jobs.load("b")


def test_ids_come_in_order_and_after_a_place(jobs: JobStore) -> None:
    """A long list could not be read page by page."""
    for job_id in ("c", "a", "b"):
        jobs.submit(record(job_id))
    assert list(jobs.ids()) == ["a", "b", "c"]
    assert list(jobs.ids(after="a")) == ["b", "c"]


def test_keys_that_are_no_jobs_are_passed_over(
    jobs: JobStore, register: MemoryRegister, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder marker that an S3 console leaves would end `outlast list` and every sweep."""
    for job_id in ("a", "b"):
        jobs.submit(record(job_id))
    for key in ("jobs/", "jobs/a b", "jobs/a/b", "jobs/\xff"):
        register.values[key] = Stored(b"", "v")
    with caplog.at_level("DEBUG", "outlast"):
        assert list(jobs.ids()) == ["a", "b"]
    assert "'jobs/a b'" in caplog.text


def saved(state: bytes) -> Record:
    """A job with a checkpoint of this state."""
    return record().saved(
        Checkpoint(
            state=state, digest=digest_of(state), version=1, slice=1, progress=0.5, saved_at=1.0
        )
    )


def test_heads_are_the_jobs_without_their_states(jobs: JobStore) -> None:
    """A list of jobs would load the states of all, or leave out or repeat a job."""
    made = [f"job-{n:03}" for n in range(HEADS_AT_ONCE + 2)]
    for job_id in reversed(made):
        jobs.submit(saved(os.urandom(2 * HEAD_BYTES)).model_copy(update={"job_id": job_id}))
    heads = list(jobs.heads())
    assert [head.job_id for head in heads] == made
    assert {(head.progress, head.checkpoints[0].state) for head in heads} == {(0.5, b"")}
    assert [head.job_id for head in jobs.heads(after=made[-2])] == made[-1:]


def test_a_head_with_a_long_result_is_read_whole(jobs: JobStore) -> None:
    """A job with a long result would be missing from the list."""
    jobs.submit(saved(b"state").succeeded("x" * 2 * HEAD_BYTES))
    (head,) = jobs.heads()
    assert (head.result, head.checkpoints[0].state) == ("x" * 2 * HEAD_BYTES, b"")


def test_a_head_that_cannot_be_read_is_told_and_the_others_follow(
    jobs: JobStore, register: MemoryRegister
) -> None:
    """One damaged record would hide all jobs behind it."""
    for job_id in "abcde":
        jobs.submit(record(job_id))
    jobs.submit(record("long").succeeded("x" * 2 * HEAD_BYTES))
    values = register.values
    values["jobs/a"] = Stored(b"theirs", "1")
    values["jobs/b"] = values["jobs/c"]
    values["jobs/d"] = Stored(values["jobs/d"].value[:-1], "1")
    values["jobs/long"] = Stored(values["jobs/long"].value[:-1], "1")
    told: list[CorruptRecord] = []
    assert [head.job_id for head in jobs.heads(on_corrupt=told.append)] == ["c", "e"]
    assert [str(error).partition(": ")[0] for error in told] == [
        "job a",
        "job b",
        "job d",
        "job long",
    ]


def test_a_job_that_is_deleted_while_heads_are_read_is_left_out(
    jobs: JobStore, register: MemoryRegister
) -> None:
    """A list would fail because another person tidies up."""
    for job_id in "ab":
        jobs.submit(record(job_id).succeeded("x" * 2 * HEAD_BYTES))
    reads: list[str] = []

    def before(operation: str) -> None:
        reads.append(operation)
        if reads.count("read") == 3:  # both starts are read; now a's whole value would be
            register.values.pop("jobs/a", None)

    register.before = before
    assert [head.job_id for head in jobs.heads()] == ["b"]

"""Many jobs at a time: ids in order, records without states."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from outlast.checkpoint.job_heads import HEAD_BYTES, HEADS_AT_ONCE
from outlast.checkpoint.record_parts import Checkpoint, digest_of
from outlast.checkpoint.register import Stored
from tests.records import job

if TYPE_CHECKING:
    import pytest

    from outlast.checkpoint.errors import CorruptRecord
    from outlast.checkpoint.job_store import JobStore
    from outlast.checkpoint.record import Record
    from tests.fakes import MemoryRegister


def test_ids_come_in_order_and_go_on_after_one(jobs: JobStore) -> None:
    """A long list could not be read page by page."""
    for job_id in ("c", "a", "b"):
        jobs.submit(job(job_id=job_id))
    assert list(jobs.ids()) == ["a", "b", "c"]
    assert list(jobs.ids(after="a")) == ["b", "c"]


def test_keys_that_are_no_jobs_are_left_out(
    jobs: JobStore, memory: MemoryRegister, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder marker that an S3 console leaves would end `outlast list` and every sweep."""
    for job_id in ("a", "b"):
        jobs.submit(job(job_id=job_id))
    for key in ("jobs/", "jobs/a b", "jobs/a/b", "jobs/\xff"):
        memory.values[key] = Stored(b"", "v")
    with caplog.at_level("DEBUG", "outlast"):
        assert list(jobs.ids()) == ["a", "b"]
    assert "'jobs/a b'" in caplog.text


def saved(state: bytes) -> Record:
    """A job with a checkpoint of this state."""
    return job().saved(
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


def test_a_head_that_cannot_be_read_hides_no_other(jobs: JobStore, memory: MemoryRegister) -> None:
    """One damaged record would hide all jobs behind it."""
    for job_id in "abcde":
        jobs.submit(job(job_id=job_id))
    jobs.submit(job(job_id="long").succeeded("x" * 2 * HEAD_BYTES))
    values = memory.values
    values["jobs/a"] = Stored(b"theirs", "1")
    values["jobs/b"] = values["jobs/c"]
    values["jobs/d"] = Stored(values["jobs/d"].value[:-1], "1")
    values["jobs/long"] = Stored(values["jobs/long"].value[:-1], "1")
    errors: list[CorruptRecord] = []
    assert [head.job_id for head in jobs.heads(on_corrupt=errors.append)] == ["c", "e"]
    assert [str(error).partition(": ")[0] for error in errors] == [
        "job a",
        "job b",
        "job d",
        "job long",
    ]


def test_a_job_that_is_deleted_while_heads_are_read_is_left_out(
    jobs: JobStore, memory: MemoryRegister
) -> None:
    """A list would fail because another person tidies up."""
    for job_id in "ab":
        jobs.submit(job(job_id=job_id).succeeded("x" * 2 * HEAD_BYTES))
    reads: list[str] = []

    def before(operation: str) -> None:
        reads.append(operation)
        if reads.count("read") == 3:  # both starts are read; now a's whole value would be
            memory.values.pop("jobs/a", None)

    memory.before = before
    assert [head.job_id for head in jobs.heads()] == ["b"]

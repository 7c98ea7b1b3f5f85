"""Many jobs at a time: ids in order, heads, records without states."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from outlast.checkpoint.job_heads import BODY_BYTES, HEAD_BYTES, HEADS_AT_ONCE
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.record_parts import Checkpoint
from outlast.checkpoint.register import Stored
from tests.fakes import MemoryRegister
from tests.records import RecordBytes, job

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outlast.checkpoint.errors import CorruptRecord
    from outlast.checkpoint.record import Record

LONG = "x" * 2 * BODY_BYTES


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
    return job().saved(Checkpoint.of(state, version=1, slice=1, progress=0.5, saved_at=1.0))


def test_heads_are_the_jobs_in_order(jobs: JobStore) -> None:
    """A list of jobs would leave out or repeat a job."""
    made = [f"job-{n:03}" for n in range(HEADS_AT_ONCE + 2)]
    for job_id in reversed(made):
        jobs.submit(saved(os.urandom(10)).model_copy(update={"job_id": job_id}))
    heads = list(jobs.heads())
    assert [head.job_id for head in heads] == made
    assert {head.progress for head in heads} == {0.5}
    assert [head.job_id for head in jobs.heads(after=made[-2])] == made[-1:]


def test_a_record_comes_with_all_but_its_states(jobs: JobStore) -> None:
    """A job with a long result would be missing from the list, or look as if it had none."""
    for job_id, result in (("short", 1), ("long", LONG)):
        whole = saved(os.urandom(BODY_BYTES)).succeeded(result)
        jobs.submit(whole.model_copy(update={"job_id": job_id}))
    records = list(jobs.records())
    assert [(record.job_id, record.result) for record in records] == [("long", LONG), ("short", 1)]
    with pytest.raises(ValueError, match="load the job"):
        _ = records[0].checkpoints[0].state


def test_of_jobs_that_are_not_wanted_no_more_is_read_than_the_head(
    jobs: JobStore, memory: MemoryRegister
) -> None:
    """A list of the failed jobs would read what all others were given and have computed."""
    for job_id in ("bad", "good"):
        jobs.submit(job(job_id=job_id).succeeded(LONG))
    jobs.change("bad", lambda record: record.model_copy(update={"tags": ("wanted",)}))
    reads: list[str] = []
    memory.before = reads.append
    records = list(jobs.records(where=lambda head: "wanted" in head.tags))
    assert [record.job_id for record in records] == ["bad"]
    assert reads == ["keys", "read", "read", "read"]  # both starts, and one to its end


class Counting(MemoryRegister):
    """A register that counts how many bytes are read."""

    read_bytes = 0

    def read(self, key: str) -> Stored | None:
        """Return the current value and its version."""
        stored = super().read(key)
        self.read_bytes += len(stored.value) if stored else 0
        return stored

    def peek(self, keys: Sequence[str], limit_bytes: int) -> list[bytes | None]:
        """Return the first bytes of each value."""
        starts = [self.values[key].value[:limit_bytes] for key in keys]
        self.read_bytes += sum(map(len, starts))
        return [*starts]


def test_a_look_through_all_jobs_reads_little_of_each() -> None:
    """Each sweep would read all that is stored: 424 MB of 200 jobs."""
    jobs = JobStore(register := Counting())
    state = os.urandom(10 * BODY_BYTES)
    for n in range(20):
        long = saved(state).model_copy(update={"job_id": f"job-{n}", "params": {"seeds": LONG}})
        jobs.submit(long)
    assert len(list(jobs.heads())) == 20
    assert register.read_bytes <= 20 * 2048
    register.read_bytes = 0
    assert len(list(jobs.records())) == 20
    assert register.read_bytes <= 20 * (BODY_BYTES + HEAD_BYTES + len(LONG))


def test_a_long_head_is_read_to_its_end_and_no_further() -> None:
    """A job with a long error would be missing from the list, or cost all its states."""
    jobs = JobStore(register := Counting())
    tags = tuple(f"{'t' * 60}-{n:02}" for n in range(16))
    failed = saved(os.urandom(10 * HEAD_BYTES)).failed("e" * HEAD_BYTES)
    jobs.submit(failed.model_copy(update={"tags": tags}))
    (head,) = jobs.heads()
    assert (head.error, head.tags) == (failed.error, tags)
    assert register.read_bytes < 4 * HEAD_BYTES


def test_a_head_that_grows_while_it_is_read_is_read_again(
    jobs: JobStore, memory: MemoryRegister
) -> None:
    """A job that is written at that moment would be called damaged."""
    jobs.submit(job().failed("e" * HEAD_BYTES))
    reads: list[str] = []

    def before(operation: str) -> None:
        reads.append(operation)
        if reads.count("read") == 2:
            memory.before = lambda _: None
            jobs.change("a", lambda record: record.model_copy(update={"error": "f" * 9999}))

    memory.before = before
    assert [head.error for head in jobs.heads()] == ["f" * 9999]


def test_a_head_that_cannot_be_read_hides_no_other(jobs: JobStore, memory: MemoryRegister) -> None:
    """One damaged record would hide all jobs behind it."""
    for job_id in "abcde":
        jobs.submit(job(job_id=job_id))
    jobs.submit(job(job_id="long").failed("x" * 2 * HEAD_BYTES))
    values = memory.values
    values["jobs/a"] = Stored(b"theirs", "1")
    values["jobs/b"] = values["jobs/c"]
    for name in ("d", "long"):
        short = len(RecordBytes.of(values[f"jobs/{name}"].value).body) + 1
        values[f"jobs/{name}"] = Stored(values[f"jobs/{name}"].value[:-short], "1")
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
        jobs.submit(job(job_id=job_id).failed("x" * 2 * HEAD_BYTES))
    reads: list[str] = []

    def before(operation: str) -> None:
        reads.append(operation)
        if reads.count("read") == 3:  # both starts are read; now a's would be to its end
            memory.values.pop("jobs/a", None)

    memory.before = before
    assert [head.job_id for head in jobs.heads()] == ["b"]

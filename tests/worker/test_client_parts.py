"""What a client does to a divided job that has failed: forks, retries and cancels it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from outlast import Client
from outlast.checkpoint.blobs.orphans import orphans
from outlast.checkpoint.errors import JobExists, WrongStatus
from outlast.checkpoint.fleet import Place
from outlast.checkpoint.status import Status
from outlast.worker.jobs.parts import parts_of
from outlast.worker.loops.one_job import run_to_end
from outlast.worker.queues.memory import MemoryQueue
from outlast.worker.slices.worker_process import make_process
from tests.worker.parts import STEPS
from tests.worker.rows import EXPECTED, Rows

if TYPE_CHECKING:
    from pathlib import Path

    from outlast.checkpoint.record import Record

FAILS_AT = 70


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A client of a new SQLite file, whose jobs fail at their first error."""
    monkeypatch.setattr("outlast.worker.jobs.new_job.load", lambda _: Rows())
    monkeypatch.setenv("OUTLAST_MAX_FAILURES", "1")
    url = f"sqlite:///{tmp_path}/outlast.db"
    return Client(url, url)


def work(client: Client, job_id: str, kernel: Rows) -> Record:
    """Run the job and its parts until it is over; return it."""
    process = make_process(client.settings, client.jobs, MemoryQueue(max_receives=None))
    process = replace(process, kernels=lambda _: kernel)
    return run_to_end(process, job_id, slice_seconds=None)


@pytest.fixture
def failed(client: Client) -> Record:
    """A job of which a group of parts is added up, and one of another has failed."""

    def step(number: int) -> None:
        if number == FAILS_AT:
            raise RuntimeError("told to")

    client.submit("rows", job_id="failed", steps=STEPS, parallel=2)
    record = work(client, "failed", Rows(step))
    assert record.status is Status.FAILED
    return record


def chunks(client: Client) -> list[str]:
    """The names of all chunks that are there."""
    assert client.blobs is not None
    return [found.name for found in client.blobs.names()]


@pytest.mark.parametrize("is_elsewhere", [False, True])
def test_a_fork_begins_with_the_parts_that_are_done(
    client: Client, failed: Record, tmp_path: Path, is_elsewhere: bool
) -> None:
    """Who forks a job that failed after a day of a thousand workers would pay for it again."""
    store = f"sqlite:///{tmp_path}/elsewhere.db" if is_elsewhere else None
    client.fork(failed.job_id, new_id="copy", store=store)
    other = Client(store, store) if store else client
    client.delete(failed.job_id)
    fork = other.status("copy")
    parts = parts_of(other.jobs, fork)
    assert parts is not None
    assert parts.succeeded > 16, "of more than one group"
    assert parts.progress > 0.6
    assert (parts.rate.per_second, parts.usage.slices_begun) == (None, 0)

    done: list[int] = []
    record = work(other, "copy", Rows(done.append))
    assert other.result("copy") == EXPECTED
    assert record.usage.steps == len(done)
    assert min(done) > STEPS * 0.6, "no part that was done is done again"
    assert sorted(done) == [*range(min(done), STEPS)]
    assert [*other.jobs.nodes.job_ids()] == []
    assert chunks(other) == []


def test_a_fork_that_cannot_be_stored_leaves_no_parts(client: Client, failed: Record) -> None:
    """A store would fill with the parts of jobs that are not there."""
    client.submit("rows", job_id="mine", steps=3)
    before = [*client.jobs._register.keys("parts/")], chunks(client)
    for new_id in ("mine", failed.job_id):
        with pytest.raises(JobExists):
            client.fork(failed.job_id, new_id=new_id)
    assert before == ([*client.jobs._register.keys("parts/")], chunks(client))


def test_a_fork_of_a_cancelled_job_begins_anew(client: Client, failed: Record) -> None:
    """The parts of a cancelled job are removed: its fork would wait for them for ever."""
    client.jobs.change(failed.job_id, lambda record: record.retried())
    client.cancel(failed.job_id)
    client.fork(failed.job_id, new_id="copy")
    fork = client.status("copy")
    assert fork.fleet is not None
    assert not fork.fleet.is_cut
    work(client, "copy", Rows())
    assert client.result("copy") == EXPECTED


def test_a_retry_keeps_the_parts_that_are_done_with_their_arrays(
    client: Client, failed: Record
) -> None:
    """A job that failed after a day of a thousand workers could never succeed."""
    assert client.blobs is not None
    assert [*orphans(client.blobs, client.jobs, grace_seconds=0)] == []
    client.retry(failed.job_id)
    done: list[int] = []
    record = work(client, failed.job_id, Rows(done.append))
    assert client.result(failed.job_id) == EXPECTED
    assert min(done) > STEPS * 0.6
    assert record.usage.steps == STEPS
    assert chunks(client) == []


def test_a_part_whose_arrays_are_lost_is_done_again_by_a_retry(
    client: Client, failed: Record
) -> None:
    """One lost object of a bucket would make all that a thousand workers did worthless."""
    assert client.blobs is not None
    assert failed.fleet is not None
    for place in (Place(1, 0), Place(0, 16)):
        stored = client.jobs.load_node(failed.job_id, failed.fleet.node(place))
        assert stored is not None
        client.blobs.delete([chunk.name for chunk in stored.record.result_chunks])
    for _ in range(3):  # One is found after the other.
        client.retry(failed.job_id)
        if work(client, failed.job_id, Rows()).status is Status.SUCCEEDED:
            break
        assert "DamagedChunk" in (client.status(failed.job_id).error or "")
    assert client.result(failed.job_id) == EXPECTED


def test_a_ceiling_over_all_parts_needs_a_higher_one(client: Client, failed: Record) -> None:
    """Each retry would pay for another group of parts, whatever the job may cost."""
    with pytest.raises(WrongStatus, match=r"ceiling of 10 slices .*: retry it with a higher one"):
        client.retry(failed.job_id, max_slices=10)
    with pytest.raises(WrongStatus, match="compute seconds"):
        client.retry(failed.job_id, max_compute_seconds=1e-9)
    assert client.status(failed.job_id).status is Status.FAILED
    client.retry(failed.job_id, max_slices=10_000)
    assert work(client, failed.job_id, Rows()).status is Status.SUCCEEDED


def test_a_job_with_a_damaged_part_can_be_cancelled(
    client: Client, failed: Record, caplog: pytest.LogCaptureFixture
) -> None:
    """It would go on for ever, or have to be deleted by force."""
    client.jobs.change(failed.job_id, lambda record: record.retried())
    key = next(key for key in client.jobs._register.keys("parts/") if key.endswith("/0/16"))
    stored = client.jobs._register.read(key)
    assert stored is not None
    client.jobs._register.put(key, b"theirs", expected=stored.version)
    assert client.cancel(failed.job_id).status is Status.CANCELLED
    assert "what its parts have taken is not known" in caplog.text

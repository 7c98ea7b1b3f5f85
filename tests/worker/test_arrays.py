"""States with arrays: sent while the kernel goes on, read back, and deleted when they are old."""

from __future__ import annotations

import json
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest

from outlast.checkpoint.errors import StoreUnavailable
from outlast.checkpoint.record import Record
from outlast.checkpoint.status import Status
from outlast.kernel.bulk import Bulk, loaded
from outlast.worker.queues.message import Message
from outlast.worker.slices.deadline import Deadline
from outlast.worker.slices.deliver import deliver
from outlast.worker.slices.tidying import tidy
from tests.blobs import MemoryBlobs, settle
from tests.field import Field, Result, expected
from tests.worker.floor import JOB, Floor

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.worker.slices.worker_process import WorkerProcess

LARGE = 100_000  # numbers of an array that has a chunk of its own


class Hall(Floor):
    """A floor with a place for arrays, on which all that is sent is there before the next step."""

    def __init__(self) -> None:
        super().__init__()
        self.blobs = MemoryBlobs(self.clock)
        self.kernel = Field(self.step)
        self.settles = True
        self.done = 0

    def step(self, number: int) -> None:
        """Let a step take its time, and those who send theirs."""
        if self.settles:
            settle()
        self.done = number
        super().step(number)

    def process(self, worker: str = "w", **changes: Any) -> WorkerProcess:  # type: ignore[override]
        """A worker of its own, with this place for arrays."""
        return super().process(worker, **{"blobs": self.blobs} | changes)

    def result(self) -> Result:
        """The job's result, with its arrays."""
        record = self.record
        assert record.status is Status.SUCCEEDED, record.error
        return result_in(record, self.blobs)

    def needed(self) -> set[str]:
        """The names of the chunks that the job needs, or that wait to be deleted."""
        record = self.record
        return set(record.chunks) | {dropped.name for dropped in record.dropped}


def result_in(record: Record, blobs: MemoryBlobs) -> Result:
    """Return the result in a record, with its arrays from a place of chunks."""
    row = b"".join(blobs.chunks[chunk.name] for chunk in record.result_chunks)
    bulk = Bulk.of(memoryview(bytearray(row)))
    return loaded(Result, json.dumps(record.result), bulk)


@pytest.fixture
def hall() -> Hall:
    """An empty hall."""
    return Hall()


def test_a_job_with_arrays_has_the_result_of_an_uncut_run(hall: Hall) -> None:
    """A simulation would go on from a state that never was: its arrays of two different steps."""
    hall.submit(kernel="field", steps=60, numbers=LARGE)
    assert hall.finish(seconds=6.0) > 4
    assert hall.result() == expected(steps=60, numbers=LARGE)
    assert hall.record.usage.saves > 2 * hall.record.usage.slices_begun


class Killed(BaseException):
    """Ends a worker where it stands, as a kill does."""


def killed_at(steps: int, hall: Hall) -> Callable[[str], None]:
    """Return a hook of the store that ends the worker at its first write after so many steps."""

    def hook(operation: str) -> None:
        if operation == "put" and hall.done >= steps:
            raise Killed

    return hook


def test_a_killed_worker_loses_no_more_than_an_interval_and_a_step(hall: Hall) -> None:
    """Hours of a training would be lost with each machine that is taken away."""
    hall.submit(kernel="field", steps=30, numbers=LARGE)
    hall.register.before = killed_at(20, hall)
    with pytest.raises(Killed):
        hall.work()
    hall.register.before = lambda _: None
    assert hall.record.usage.steps >= 15
    hall.clock.sleep(600.0)
    hall.finish()
    assert hall.result() == expected(steps=30, numbers=LARGE)


def test_what_did_not_change_is_not_sent_again(hall: Hall) -> None:
    """Each save of a model of gigabytes would send all of it for the one layer that was trained."""
    hall.submit(kernel="field", steps=20, arrays=50, numbers=LARGE)
    hall.work(seconds=9.0)
    every, later = hall.blobs.sent[:51], hall.blobs.sent[51:]
    assert sum(every) >= 50 * 4 * LARGE
    saves = hall.record.usage.saves - 1
    # A second has two steps of half a second: two arrays change, and the trail.
    assert sum(later) <= saves * 2.5 * (4 * LARGE + 1000)


def test_a_state_is_stored_as_it_was_when_the_kernel_stood_still(hall: Hall) -> None:
    """Arrays would be stored as they become while they are sent, half one step, half another."""
    sending, go_on = threading.Event(), threading.Event()

    def slowly(operation: str) -> None:
        if operation == "put":
            sending.set()
            assert go_on.wait(60)

    hall.blobs.before = slowly
    hall.settles = False
    hall.submit(kernel="field", steps=20, numbers=LARGE)

    def ends() -> None:  # All steps up to here have changed the arrays that are being sent.
        go_on.set()
        settle()

    hall.at(11, ends)
    hall.register.before = killed_at(12, hall)
    with pytest.raises(Killed):
        hall.work()
    assert sending.is_set()
    hall.register.before = lambda _: None
    hall.clock.sleep(600.0)
    assert 0 < hall.record.usage.steps < 4
    hall.finish()
    assert hall.result() == expected(steps=20, numbers=LARGE)


def test_a_failed_step_goes_back_to_the_last_save(hall: Hall) -> None:
    """A state would be stored whose arrays the failed step has half changed."""

    def fails(number: int) -> None:
        hall.step(number)
        if number == 13 and not hall.record.guards.failures:
            raise ValueError("once")

    hall.kernel = Field(fails)
    hall.submit(kernel="field", steps=20, numbers=LARGE)
    hall.finish(pause_seconds=5.0)
    assert hall.result() == expected(steps=20, numbers=LARGE)
    assert hall.record.usage.redone_seconds > 0


def test_old_chunks_are_deleted_and_none_that_is_needed(hall: Hall) -> None:
    """A month of saves would fill the bucket, or a checkpoint would miss its arrays."""
    hall.submit(kernel="field", steps=400, numbers=LARGE)
    for _ in range(5):
        hall.work(seconds=40.0)
        assert set(hall.blobs.chunks) == hall.needed()
        assert len(hall.blobs.chunks) < 5 * (2 + 31)


def test_a_damaged_chunk_costs_one_generation(hall: Hall) -> None:
    """One bad disk block would end a job that has a sound checkpoint besides."""
    hall.submit(kernel="field", steps=30, numbers=LARGE)
    hall.work(seconds=6.0)
    newest, older = hall.record.checkpoints
    only = {chunk.name for chunk in newest.chunks} - {chunk.name for chunk in older.chunks}
    hall.blobs.chunks[min(only)] = b"rotten"
    hall.finish(seconds=6.0)
    assert hall.result() == expected(steps=30, numbers=LARGE)
    assert [kept.sequence for kept in hall.record.quarantine] == [newest.sequence]


def test_a_job_of_which_no_checkpoint_can_be_read_fails_and_keeps_them(hall: Hall) -> None:
    """A worker with another place for arrays would begin the job anew, and drop what it has."""
    hall.submit(kernel="field", steps=30, numbers=LARGE)
    hall.work(seconds=6.0)
    before = hall.record.checkpoints
    hall.work(hall.process(blobs=MemoryBlobs(hall.clock)))
    assert hall.record.status is Status.FAILED
    assert "none of its checkpoints can be read" in str(hall.record.error)
    hall.change(Record.retried)
    assert hall.record.checkpoints == before
    hall.queue.send(Message(job_id=JOB))
    hall.finish()
    assert hall.result() == expected(steps=30, numbers=LARGE)


def test_a_place_that_does_not_answer_costs_no_attempt(hall: Hall) -> None:
    """An outage of a bucket would fail every job that is woken in it."""
    hall.submit(kernel="field", steps=30, numbers=LARGE)
    hall.work(seconds=6.0)

    def away(_: str) -> None:
        raise StoreUnavailable("away")

    hall.blobs.before = away
    before = hall.record
    with pytest.raises(StoreUnavailable):
        deliver(hall.process(), hall.receive())
    assert hall.record.guards == before.guards
    assert hall.record.usage == before.usage
    hall.blobs.before = lambda _: None
    hall.clock.sleep(60.0)
    hall.finish()
    assert hall.result() == expected(steps=30, numbers=LARGE)


def test_an_outage_in_a_slice_costs_a_save(hall: Hall, caplog: pytest.LogCaptureFixture) -> None:
    """The job would fail, or be stored with arrays that are not there."""

    def away(operation: str) -> None:
        if operation == "put" and 5 <= hall.done <= 9:
            raise StoreUnavailable("the bucket is away")

    hall.blobs.before = away
    hall.submit(kernel="field", steps=30, numbers=LARGE)
    with caplog.at_level(logging.WARNING):
        hall.finish(seconds=60.0)
    assert hall.result() == expected(steps=30, numbers=LARGE)
    assert "goes on without a save: the bucket is away" in caplog.text


def test_without_a_place_the_job_fails_with_advice(hall: Hall) -> None:
    """A user of Redis would look for what is wrong with the kernel, five attempts later."""
    hall.submit(kernel="field", steps=30)
    hall.work(hall.process(blobs=None))
    assert hall.record.status is Status.FAILED
    assert "set OUTLAST_BLOBS" in str(hall.record.error)
    assert hall.record.usage.slices_begun == 1


def test_too_many_bytes_of_arrays_fail_the_job(hall: Hall) -> None:
    """A slip in a shape would fill the bucket."""
    hall.submit(kernel="field", steps=30, numbers=LARGE)
    hall.work(hall.process(max_blob_bytes=1_000_000))
    assert hall.record.status is Status.FAILED
    assert "OUTLAST_MAX_BLOB_BYTES" in str(hall.record.error)


def test_without_memory_for_a_copy_the_kernel_waits(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state of more than half of the memory would end its worker at the first save."""
    monkeypatch.setattr("outlast.worker.slices.arrays.available_bytes", lambda: 1000)
    hall.settles = False
    hall.submit(kernel="field", steps=30, numbers=LARGE)
    hall.finish(seconds=6.0)
    assert hall.result() == expected(steps=30, numbers=LARGE)


def test_what_killed_workers_left_goes_with_the_end_of_the_job(
    hall: Hall, caplog: pytest.LogCaptureFixture
) -> None:
    """A job on machines that are taken away would leave as much as it computes."""
    hall.submit(kernel="field", steps=30, numbers=LARGE)
    hall.register.before = killed_at(20, hall)
    with pytest.raises(Killed):
        hall.work()
    hall.register.before = lambda _: None
    left = set(hall.blobs.chunks) - hall.needed()
    assert left
    hall.clock.sleep(600.0)

    def away(operation: str) -> None:
        if operation == "names":
            raise StoreUnavailable("the bucket is away")

    hall.blobs.before = away
    with caplog.at_level(logging.DEBUG):
        hall.finish()
    assert "chunks are left to prune: the bucket is away" in caplog.text
    assert left <= set(hall.blobs.chunks)
    hall.blobs.before = lambda _: None
    with Deadline(5.0, clock=hall.clock) as deadline:
        tidy(hall.process(), hall.record, deadline)
    assert left <= set(hall.blobs.chunks), "no time is left for that"
    with Deadline(None, clock=hall.clock) as deadline:
        tidy(hall.process(), hall.record, deadline)
    assert set(hall.blobs.chunks) == hall.needed()


def test_the_end_of_a_job_leaves_no_orphan(hall: Hall) -> None:
    """Each killed worker would cost storage until somebody prunes."""
    hall.submit(kernel="field", steps=30, numbers=LARGE)
    hall.register.before = killed_at(20, hall)
    with pytest.raises(Killed):
        hall.work()
    hall.register.before = lambda _: None
    hall.clock.sleep(600.0)
    assert set(hall.blobs.chunks) - hall.needed()
    hall.finish()
    assert set(hall.blobs.chunks) == hall.needed()

"""States with arrays: sent while the kernel goes on, read back, and deleted when they are old."""

from __future__ import annotations

import json
import logging
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from outlast.checkpoint.errors import StoreFull, StoreUnavailable
from outlast.checkpoint.record import Record
from outlast.checkpoint.status import Status
from outlast.kernel.bulk import Bulk, loaded
from outlast.worker.queues.message import Message
from outlast.worker.slices.claimed_job import ClaimedJob
from outlast.worker.slices.deadline import Deadline
from outlast.worker.slices.deliver import deliver
from outlast.worker.slices.protocol import POSTPONED_SECONDS
from outlast.worker.slices.tidying import tidy
from outlast.worker.slices.timing import Timing
from tests.blobs import MemoryBlobs, settle
from tests.field import Field, Result, expected
from tests.kernels import Counting
from tests.worker.floor import JOB, Floor, Killed

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

    def work(self, *arguments: Any, **options: Any) -> Any:
        """Take the next delivery; what is deleted beside it is gone then."""
        try:
            return super().work(*arguments, **options)
        finally:
            settle()

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


def test_old_chunks_are_deleted_where_each_slice_has_one_save(hall: Hall) -> None:
    """On a platform of short slices nothing would ever be deleted."""
    hall.submit(kernel="field", steps=400, numbers=LARGE)
    for _ in range(8):
        hall.work(hall.process(timing=Timing(checkpoint_seconds=1e6)), seconds=20.0)
        assert set(hall.blobs.chunks) == hall.needed()
    assert len(hall.blobs.chunks) <= 4 * 4


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


def test_a_worker_with_another_place_leaves_the_job_to_the_others(hall: Hall) -> None:
    """One worker with a slip in its settings would fail every job that it receives."""
    hall.submit(kernel="field", steps=30, numbers=LARGE)
    hall.work(seconds=6.0)
    before = hall.record
    with pytest.raises(StoreUnavailable, match="set OUTLAST_BLOBS as the other workers have it"):
        hall.work(hall.process(blobs=MemoryBlobs(hall.clock)))
    assert (hall.record.checkpoints, hall.record.guards) == (before.checkpoints, before.guards)
    assert "worker w cannot run it: job " in str(hall.record.error)  # `outlast status` shows it
    hall.clock.sleep(60.0)
    hall.finish()
    assert hall.result() == expected(steps=30, numbers=LARGE)


def test_a_job_of_which_no_checkpoint_can_be_read_fails_and_keeps_them(hall: Hall) -> None:
    """The job would begin anew, and drop what can perhaps be brought back."""
    hall.submit(kernel="field", steps=30, numbers=LARGE)
    hall.work(seconds=6.0)
    before = hall.record.checkpoints
    other = MemoryBlobs(hall.clock)
    other.chunks |= dict.fromkeys(hall.record.chunks, b"")
    other.listed_at(hall.clock())
    hall.work(hall.process(blobs=other))
    assert hall.record.status is Status.FAILED
    assert "none of its checkpoints can be read" in str(hall.record.error)
    hall.change(Record.retried)
    assert hall.record.checkpoints == before
    hall.queue.send(Message(job_id=JOB))
    hall.finish()
    assert hall.result() == expected(steps=30, numbers=LARGE)


def test_a_failed_step_takes_back_no_save_whose_answer_was_lost(hall: Hall) -> None:
    """The account would have fewer steps than the checkpoint."""
    hall.submit(kernel="field", steps=30, numbers=LARGE)
    lost: list[str] = []

    def loses(operation: str) -> None:
        if hall.done < 7 and (lost or (operation == "put" and hall.record.usage.saves)):
            lost.append(operation)
            raise StoreUnavailable("no answer")

    def fails() -> None:
        raise ValueError("no such row")

    hall.at(7, fails)
    hall.register.after = loses
    hall.work()
    assert lost
    record = hall.record
    assert "no such row" in str(record.error)
    assert record.usage.steps == json.loads(record.checkpoints[0].state)["at"] > 0


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


def test_what_a_lost_answer_may_have_stored_is_kept(hall: Hall) -> None:
    """A checkpoint would lack its arrays: deleted by the worker that has just stored it."""
    hall.submit(kernel="field", steps=30, numbers=LARGE)
    process = hall.process()
    away: list[str] = []

    def loses_all(operation: str) -> None:
        if away or (operation == "put" and hall.record.lease is None):
            away.append(operation)
            raise StoreUnavailable("away")

    cover = ClaimedJob.cover

    def covers(job: ClaimedJob, state_bytes: int) -> float:
        job.write(job.renewal(60.0))  # as where the store answers slowly
        return cover(job, state_bytes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClaimedJob, "cover", covers)
        hall.register.after = loses_all
        with pytest.raises(StoreUnavailable):
            hall.work(process, seconds=6.0)
    hall.register.after = lambda _: None
    settle()
    assert away
    assert hall.record.chunks.keys() <= hall.blobs.chunks.keys()
    hall.clock.sleep(600.0)
    hall.finish()
    assert hall.result() == expected(steps=30, numbers=LARGE)


def test_the_time_of_a_long_step_is_not_that_of_sending(hall: Hall) -> None:
    """Most of each slice would be kept back for a last save that takes a second."""
    hall.step_seconds = 60.0
    hall.submit(kernel="field", steps=6, numbers=LARGE)
    process = hall.process()
    hall.work(process, seconds=600.0)
    assert process.timing.sending_seconds(100_000_000) < 10.0


def test_a_stop_ends_the_reading_of_a_large_state(hall: Hall) -> None:
    """The worker would read on until it is killed, and the job would count a stall."""
    hall.submit(kernel="field", steps=30, arrays=20, numbers=LARGE)
    hall.work(seconds=6.0)
    before = hall.record
    delivery = hall.receive()
    reads: list[str] = []
    with Deadline() as stop:

        def stops(operation: str) -> None:
            if operation != "read_into":
                return
            reads.append(operation)
            if len(reads) == 1:
                signal.raise_signal(signal.SIGTERM)
                return
            # The main thread hears of it at its next turn, and threads may be quicker.
            end = time.monotonic() + 5.0
            while not stop.is_signalled and time.monotonic() < end:
                time.sleep(0.001)

        hall.blobs.before = stops
        assert not deliver(hall.process(), delivery, stop=stop).ack
    assert len(reads) < 20
    assert (hall.record.guards, hall.record.lease) == (before.guards, None)


def test_a_place_that_deletes_nothing_does_not_fill_the_record(hall: Hall) -> None:
    """After months without the right to delete each write would be megabytes."""

    def refuses(operation: str) -> None:
        if operation == "delete":
            raise StoreUnavailable("not allowed")

    hall.blobs.before = refuses
    hall.submit(kernel="field", steps=120, numbers=LARGE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("outlast.checkpoint.record.MAX_DROPPED", 10)
        hall.finish(seconds=40.0)
    assert hall.result() == expected(steps=120, numbers=LARGE)
    assert len(hall.record.dropped) == 10


def full(hall: Hall) -> None:
    """Let the place of arrays have no room, while the store of jobs is well."""

    def refuses(operation: str) -> None:
        if operation == "put":
            raise StoreFull("arrays: the disk is full; free some space, then go on")

    hall.blobs.before = refuses


def test_a_full_disk_for_arrays_stops_a_job_and_fails_none(hall: Hall) -> None:
    """After ten slices without room the job would have failed, with a word of kills and no disk."""
    hall.submit(kernel="field", steps=30, numbers=LARGE)
    hall.work(seconds=6.0)
    before = hall.record
    full(hall)
    for _ in range(12):
        hall.work(seconds=6.0)
        hall.clock.sleep(POSTPONED_SECONDS)
    assert hall.record.status is Status.QUEUED
    assert hall.record.guards == before.guards
    assert "the disk is full" in str(hall.record.error)
    assert "not stored, to be done again: StoreFull" in str(hall.record.history.latest)
    assert hall.record.usage.redone_seconds > 12.0
    hall.blobs.before = lambda _: None
    hall.finish()
    assert hall.result() == expected(steps=30, numbers=LARGE)


def test_a_result_without_room_is_computed_again(hall: Hall) -> None:
    """The last slice of weeks of computing would count as one of ten kills."""
    hall.submit(kernel="field", steps=4, numbers=LARGE)
    full(hall)
    hall.work()
    assert hall.record.status is Status.QUEUED
    assert hall.record.guards.stalls == 0
    hall.blobs.before = lambda _: None
    hall.clock.sleep(POSTPONED_SECONDS)
    hall.finish()
    assert hall.result() == expected(steps=4, numbers=LARGE)


def test_without_a_place_nothing_is_computed_in_vain(hall: Hall) -> None:
    """A slice of a minute would be thrown away to learn that a setting is missing."""
    steps: list[int] = []
    hall.kernel = Field(steps.append)
    hall.submit(kernel="field", steps=30)
    hall.work(hall.process(blobs=None))
    assert (hall.record.status, steps) == (Status.FAILED, [])


def test_a_store_of_jobs_that_is_away_does_not_cost_the_arrays_that_were_sent(hall: Hall) -> None:
    """A store that is back after seconds would be told that the slice was in vain."""
    hall.submit(kernel="field", steps=30, numbers=LARGE)
    refused: list[str] = []

    def away(operation: str) -> None:
        if operation == "put" and hall.done >= 10:
            refused.append(operation)
            raise StoreUnavailable("away")

    hall.register.before = away
    with pytest.raises(StoreUnavailable):
        hall.work(hall.process(timing=Timing(checkpoint_seconds=1e6)), seconds=6.0)
    assert len(refused) > 4
    assert hall.record.error is None


def test_an_error_of_the_kernel_counts_also_where_there_is_no_room(hall: Hall) -> None:
    """A kernel that fails each time would be tried for ever, for as long as the disk is full."""
    full(hall)

    def fails(number: int) -> None:
        hall.step(number)
        if number == 3:
            raise ValueError("each time")

    hall.kernel = Field(fails)
    hall.submit(kernel="field", steps=30, numbers=LARGE, max_failures=2)
    hall.finish(pause_seconds=5.0)
    assert hall.record.status is Status.FAILED
    assert "each time" in str(hall.record.error)


def test_a_result_with_arrays_needs_a_place_from_the_start(hall: Hall) -> None:
    """Weeks of computing would end in an error that names a setting."""

    class Drawing(Counting):
        Result = Result  # type: ignore[assignment]

    steps: list[int] = []
    hall.kernel = Drawing(steps.append)
    hall.submit(steps=30)
    hall.work(hall.process(blobs=None))
    assert (hall.record.status, steps) == (Status.FAILED, [])
    assert "set OUTLAST_BLOBS" in str(hall.record.error)

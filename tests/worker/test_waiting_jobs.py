"""Jobs that wait their turn in a long queue, beside one whose message was lost."""

from __future__ import annotations

import pytest

from outlast.checkpoint.record import Record
from outlast.worker.jobs.sweep import sweep
from outlast.worker.loops.consumer import Consumer
from outlast.worker.loops.one_job import run_to_end
from outlast.worker.queues.contract import Delivery, QueueUnavailable
from outlast.worker.queues.memory import MemoryQueue
from outlast.worker.queues.message import Message
from outlast.worker.slices.deliver import deliver
from tests.records import job, lease
from tests.worker.floor import JOB, Floor

EVERY = 60.0
JOBS = 60


@pytest.fixture
def floor() -> Floor:
    """A queue that takes one worker five hours; each job runs for a minute at a time."""
    floor = Floor(step_seconds=20.0)
    for number in range(JOBS):
        floor.submit(f"job-{number:02}", send=number != JOBS // 2, steps=12)
        floor.clock.sleep(10.0)
    return floor


def resent(floor: Floor) -> list[tuple[str, float]]:
    """The jobs whose message sweeps send again from here on, and when."""
    sent: list[tuple[str, float]] = []
    send = floor.queue.send

    def spy(message: Message, *, deduplication_id: str | None = None) -> None:
        if deduplication_id is None:  # as a continuation has one
            sent.append((message.job_id, floor.clock()))
        send(message, deduplication_id=deduplication_id)

    floor.queue.send = spy
    return sent


def test_only_a_job_whose_message_was_lost_is_woken(floor: Floor) -> None:
    """Each job would get ten more messages and ten more writes a day, and be logged as lost."""
    sent, begun = resent(floor), floor.clock()

    def are_over() -> bool:
        return all(head.is_over for head in floor.jobs.heads())

    consumer = Consumer(floor.process(), slice_seconds=EVERY, sweep_seconds=EVERY)
    consumer.run(done=are_over, max_idle_seconds=1e4)
    assert are_over()
    [(lost, woken_at)] = sent
    assert lost == f"job-{JOBS // 2:02}"
    assert woken_at - begun < JOBS * 2 * EVERY, "the queue had come round once by then"


def test_a_job_waits_where_the_queue_is_not_empty(floor: Floor) -> None:
    """A fleet of busy functions would be sent each waiting job again and again."""
    floor.clock.sleep(3600.0)
    assert sweep(floor.jobs, floor.queue, after_seconds=EVERY) == []
    floor.messages()
    assert len(sweep(floor.jobs, floor.queue, after_seconds=EVERY)) == JOBS


@pytest.mark.parametrize("is_run", [False, True], ids=["a direct call", "outlast run"])
def test_a_job_that_jumps_the_queue_says_nothing_of_those_in_it(
    floor: Floor, *, is_run: bool
) -> None:
    """One direct call, or one run at a desk, would make every job that waits look lost."""
    floor.clock.sleep(3600.0)
    floor.submit(JOB, send=False)
    if is_run:
        own = MemoryQueue(clock=floor.clock, sleep=floor.clock.sleep)
        run_to_end(floor.process(queue=own), JOB, slice_seconds=30.0)
    else:
        call = Delivery(Message(job_id=JOB).body(), receipt="")
        deliver(floor.process(), call, seconds=30.0)
    assert sweep(floor.jobs, floor.queue, after_seconds=EVERY) == []


def test_a_queue_that_may_not_be_asked_is_taken_for_empty(
    floor: Floor, caplog: pytest.LogCaptureFixture
) -> None:
    """After an upgrade, workers with the rights of before would wake no job."""
    floor.clock.sleep(3600.0)

    def refuse() -> bool:
        raise QueueUnavailable("AccessDenied")

    floor.queue.is_empty = refuse
    assert len(sweep(floor.jobs, floor.queue, after_seconds=EVERY)) == JOBS
    assert sum("AccessDenied" in line.getMessage() for line in caplog.records) == 1


def test_what_a_killed_worker_leaves_says_nothing_of_the_queue() -> None:
    """One crash would make every job that waits look lost."""
    record = job(created_at=10.0)
    assert record.received_since == 0.0
    first = record.claimed(lease(100.0))
    assert first.received_since == 10.0
    second = first.released(queued_at=160.0)
    assert second.received_since == 10.0
    running = second.claimed(lease(200.0))
    assert running.received_since == 160.0
    again = running.claimed(lease(900.0))
    assert again.received_since == 160.0
    assert again.unclaimed(running).received_since == 160.0


def test_what_a_sweep_of_a_clock_that_was_ahead_has_noted_is_no_evidence(floor: Floor) -> None:
    """Long after that clock was set right, every job that waits would look lost."""
    turn = floor.jobs.sweep_turns.take("ahead")
    assert turn is not None
    floor.jobs.sweep_turns.note(turn, reached=floor.clock() + 365 * 24 * 3600.0)
    floor.clock.sleep(3600.0)
    assert sweep(floor.jobs, floor.queue, after_seconds=EVERY) == []


def test_a_time_that_lies_ahead_is_no_evidence(floor: Floor) -> None:
    """A worker whose clock is a year ahead would make every job that waits look lost."""
    year = 365 * 24 * 3600.0
    ahead = lease(floor.clock() + year)
    floor.submit(JOB)
    floor.change(Record.paused)
    floor.change(lambda record: record.model_copy(update={"created_at": floor.clock() + year}))
    floor.change(lambda record: record.resumed().claimed(ahead))
    floor.clock.sleep(3600.0)
    assert sweep(floor.jobs, floor.queue, after_seconds=EVERY) == []

"""The sweep: a job whose message was lost is woken, and no other."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest

from outlast.checkpoint.codec import MAGIC
from outlast.checkpoint.errors import StoreUnavailable
from outlast.checkpoint.record import Record
from outlast.checkpoint.record_parts import Lease
from outlast.checkpoint.register import Stored
from outlast.kernel import UnknownKernel
from outlast.worker.jobs.sweep import sweep
from outlast.worker.loops.consumer import Consumer
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.queues.message import Message
from tests.kernels import expected
from tests.records import NEWER_MAGIC, changed
from tests.worker.floor import JOB, STEPS, Floor

if TYPE_CHECKING:
    from collections.abc import Callable

AFTER = 60.0


def woken(floor: Floor) -> list[str]:
    """The jobs that a sweep wakes now."""
    return sweep(floor.jobs, floor.queue, after_seconds=AFTER)


def lease(floor: Floor, seconds: float) -> Lease:
    """A lease of that length from now on."""
    now = floor.clock()
    return Lease(
        worker="w", token="t", claimed_at=now, expires_at=now + seconds, at_risk_seconds=1.0
    )


def test_a_job_that_lost_its_message_is_woken(floor: Floor) -> None:
    """A purged queue would end every job without a word."""
    floor.submit(send=False)
    assert woken(floor) == []
    floor.clock.sleep(AFTER)
    assert woken(floor) == [JOB]
    floor.work()
    assert floor.record.result == expected(STEPS)


def test_a_job_of_a_killed_worker_is_woken_after_its_lease(floor: Floor) -> None:
    """A worker that is killed with its message lost would take the job along."""
    floor.submit(send=False)
    floor.change(lambda record: record.claimed(lease(floor, 300.0)))
    floor.clock.sleep(300.0 + AFTER - 1)
    assert woken(floor) == []
    floor.clock.sleep(1)
    assert woken(floor) == [JOB]


@pytest.mark.parametrize("move", [Record.paused, Record.cancelled, lambda r: r.succeeded({})])
def test_a_job_that_shall_not_run_is_left_alone(
    floor: Floor, move: Callable[[Record], Record]
) -> None:
    """Each sweep would send a message for every job there ever was."""
    floor.submit(send=False)
    floor.change(move)
    floor.clock.sleep(1e6)
    assert woken(floor) == []


def test_a_job_that_waits_after_an_error_is_not_silent(floor: Floor) -> None:
    """Its back-off would fill the queue."""
    floor.submit(send=False)
    floor.change(lambda record: record.released(not_before=floor.clock() + 300.0))
    floor.clock.sleep(300.0)
    assert woken(floor) == []
    floor.clock.sleep(AFTER)
    assert woken(floor) == [JOB]


def test_each_sweep_waits_twice_as_long(floor: Floor) -> None:
    """Where the queue's count is wrong, it would be filled with duplicates."""
    floor.submit(send=False)
    floor.queue.is_empty = lambda: True
    times = []
    begun = floor.clock()
    for _ in range(2000):
        floor.clock.sleep(AFTER)
        if woken(floor):
            times.append((floor.clock() - begun) / AFTER)
    assert times[:5] == [1, 3, 7, 15, 31]
    assert max(later - earlier for earlier, later in pairwise(times)) <= 1440
    assert len(times) < 13


def test_a_claim_sets_the_patience_back(floor: Floor) -> None:
    """A job that was swept often would be woken late for the rest of its life."""
    floor.submit(send=False)
    floor.change(lambda record: changed(record, sweeps=9))
    floor.change(lambda record: record.claimed(lease(floor, 1.0)))
    floor.clock.sleep(1.0 + AFTER)
    assert woken(floor) == [JOB]


def test_a_message_that_was_not_lost_makes_the_swept_one_harmless(floor: Floor) -> None:
    """A sweep would make a job run twice."""
    floor.submit()
    floor.clock.sleep(AFTER)
    floor.queue.is_empty = lambda: True
    assert woken(floor) == [JOB]
    floor.work(seconds=3.0)
    handled, delivery = floor.work(seconds=3.0)
    assert Message.parse(delivery.body).slice == 1
    assert handled.ack
    assert handled.record is None
    assert floor.record.usage.slices_begun == 1


def test_two_sweeps_at_once_send_once(floor: Floor) -> None:
    """Each idle worker of a hundred would send its own message."""
    floor.submit(send=False)
    floor.clock.sleep(AFTER)

    def rival(operation: str) -> None:
        if operation == "put":
            floor.register.before = lambda _: None
            assert woken(floor) == [JOB]

    floor.register.before = rival
    assert woken(floor) == []
    assert len(floor.messages()) == 1


def test_one_bad_record_does_not_keep_the_others_asleep(floor: Floor) -> None:
    """One damaged value would end the sweeps of all jobs after it."""
    floor.submit(send=False)
    floor.register.values["jobs/a-bad-one"] = Stored(b"?", "1")
    floor.register.values["jobs/a bad id"] = Stored(b"?", "2")
    floor.clock.sleep(AFTER)
    assert woken(floor) == [JOB]


def test_a_record_of_a_newer_format_is_no_damage(
    floor: Floor, caplog: pytest.LogCaptureFixture
) -> None:
    """In an upgrade an operator would be told to repair or delete jobs that newer workers run."""
    floor.submit(send=False)
    value = floor.register.values[f"jobs/{JOB}"].value
    floor.register.values["jobs/newer"] = Stored(NEWER_MAGIC + value[len(MAGIC) :], "1")
    floor.clock.sleep(AFTER)
    assert woken(floor) == [JOB]
    assert "record_unreadable" not in {getattr(line, "event", None) for line in caplog.records}


def test_a_store_that_is_away_ends_the_sweep(floor: Floor) -> None:
    """Every job in turn would wait for its time-out."""
    floor.submit(send=False)
    floor.clock.sleep(AFTER)

    def away(operation: str) -> None:
        if operation == "read":
            raise StoreUnavailable("away")

    floor.register.before = away
    with pytest.raises(StoreUnavailable):
        woken(floor)


def test_a_send_that_fails_is_made_up_for_by_a_later_sweep(floor: Floor) -> None:
    """The job would be taken for woken."""
    floor.submit(send=False)
    floor.clock.sleep(AFTER)

    def away(*_: object, **__: object) -> None:
        raise QueueUnavailable("away")

    floor.queue.send = away  # type: ignore[method-assign]
    with pytest.raises(QueueUnavailable):
        woken(floor)
    del floor.queue.send
    floor.clock.sleep(2 * AFTER)
    assert woken(floor) == [JOB]


def test_a_job_whose_message_is_a_dead_letter_is_woken_ever_more_rarely(floor: Floor) -> None:
    """It would stand still after the workers were mended, or fill the dead letters until then."""
    floor.submit()
    lacking = floor.process(kernels=Mock(side_effect=UnknownKernel("it needs numba")))
    day = 24 * 3600.0
    Consumer(lacking, slice_seconds=60.0, sweep_seconds=AFTER).run(max_idle_seconds=day)
    assert {body for body, _ in floor.queue.dead} == {Message(job_id=JOB, slice=1).body()}
    assert 5 <= len(floor.queue.dead) <= 12
    Consumer(floor.process(), slice_seconds=60.0, sweep_seconds=AFTER).run(
        done=lambda: floor.record.status.is_final, max_idle_seconds=2 * day
    )
    assert floor.record.result == expected(STEPS)

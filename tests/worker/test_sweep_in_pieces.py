"""Sweeps beside the work: one at a time in a fleet, a few requests at a time in a worker."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from outlast.checkpoint.errors import StoreUnavailable
from outlast.checkpoint.job_heads import HEADS_AT_ONCE
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.record import Record
from outlast.worker.jobs.sweep import Sweep, sweep
from outlast.worker.loops.consumer import Consumer
from outlast.worker.loops.sweeper import SHARE, Sweeper
from tests.records import changed
from tests.worker.floor import JOB, Floor, failing

if TYPE_CHECKING:
    from outlast.checkpoint.sweep_turn import StoredTurn

EVERY = 60.0
DAY = 24 * 3600.0


def requests(floor: Floor) -> Counter[str]:
    """The requests to the store from here on, by kind."""
    counted = Counter[str]()
    floor.register.before = lambda operation: counted.update([operation])
    return counted


def fill(floor: Floor, *, finished: int, held: int) -> None:
    """Store jobs: some that are over, and some that a worker has."""
    for number in range(finished):
        floor.submit(f"over-{number}", send=False)
        floor.jobs.change(f"over-{number}", lambda record: record.succeeded({}))
    for number in range(held):
        floor.submit(f"held-{number}", send=False)
        floor.jobs.change(f"held-{number}", lambda record: record.paused())


def swept(floor: Floor) -> list[str]:
    """The jobs that a sweep wakes now."""
    return sweep(floor.jobs, floor.queue, after_seconds=EVERY)


def test_a_sweep_costs_what_is_open_and_not_what_is_stored(floor: Floor) -> None:
    """10,000 finished jobs on S3 would cost $175 a month for each worker."""
    fill(floor, finished=50, held=7)
    swept(floor)
    counted = requests(floor)
    swept(floor)
    # The turn is read and written; then come one list, and the start of each open job.
    assert counted == {"read": 1 + 7, "put": 1, "keys": 1}


def test_a_finished_job_is_read_by_one_sweep_only(floor: Floor) -> None:
    """Its mark would cost every later sweep a request."""
    fill(floor, finished=50, held=0)
    swept(floor)
    counted = requests(floor)
    swept(floor)
    assert counted == {"read": 1, "put": 1, "keys": 1}


def test_once_a_day_a_sweep_finds_the_jobs_that_have_no_mark(floor: Floor) -> None:
    """A job that an older version stored, or that a backup brought back, would sleep for ever."""
    fill(floor, finished=0, held=1)
    swept(floor)
    floor.submit(send=False)
    mark = floor.register.values.pop(f"open/{JOB}")
    floor.clock.sleep(DAY - 1)
    assert swept(floor) == []
    floor.clock.sleep(1)
    assert swept(floor) == [JOB]
    assert floor.register.values[f"open/{JOB}"] != mark


def test_a_person_can_have_every_job_looked_at(floor: Floor) -> None:
    """After a restore they would have to wait for a day."""
    swept(floor)
    floor.submit(send=False)
    floor.register.values.pop(f"open/{JOB}")
    floor.clock.sleep(EVERY)
    assert swept(floor) == []
    assert sweep(floor.jobs, floor.queue, after_seconds=EVERY, every_job=True) == [JOB]


def test_a_worker_that_may_not_delete_sweeps_all_the_same(
    floor: Floor, caplog: pytest.LogCaptureFixture
) -> None:
    """After an upgrade, workers with the rights of before would wake no job."""
    fill(floor, finished=3, held=0)
    floor.submit(send=False)
    floor.clock.sleep(EVERY)
    floor.register.before = failing("delete", StoreUnavailable("AccessDenied"))
    assert swept(floor) == [JOB]
    told = [line.getMessage() for line in caplog.records if "AccessDenied" in line.getMessage()]
    assert len(told) == 1


def test_a_sweep_that_is_cut_short_goes_on_there(floor: Floor) -> None:
    """A function with a short time-out would never get to the jobs at the end of the list."""
    count = 2 * HEADS_AT_ONCE + 1
    for number in range(count):
        floor.submit(f"a-{number}", send=False)
    floor.clock.sleep(EVERY)
    floor.queue.is_empty = lambda: True
    woken: list[str] = []
    for calls in range(1, 5 * count):  # noqa: B007 - counted
        more = sweep(floor.jobs, floor.queue, after_seconds=EVERY, seconds=0.0)
        woken += more
        if len(set(woken)) == count:
            break
    assert len(woken) == count, "some were woken twice"


def test_a_sweep_asks_the_queue_again_as_it_goes_on(floor: Floor) -> None:
    """In a long one each job that has come to wait by then would be sent again, as if lost."""
    floor.submit("a", send=False)
    fill(floor, finished=0, held=HEADS_AT_ONCE)
    floor.submit("z", send=False)
    floor.clock.sleep(EVERY)
    answers = iter([True, False])
    floor.queue.is_empty = lambda: next(answers)
    assert swept(floor) == ["a"]


def test_a_fleet_sweeps_once_an_interval(floor: Floor) -> None:
    """Ten idle workers would cost ten times as much as one."""
    fill(floor, finished=0, held=3)
    sweepers = [Sweeper(floor.process(f"w{n}"), every_seconds=EVERY) for n in range(4)]
    counted = requests(floor)
    for _ in range(10 * int(EVERY) + 5):
        floor.clock.sleep(1.0)
        for each in sweepers:
            each.sweep(is_idle=True)
    # Each looks at the turn ten times; the first sweep looks at every job, and says so at its end.
    assert counted["read"] <= 4 * 10 + 10 * 3
    assert (counted["put"], counted["keys"]) == (10 + 1, 10 + 1)


def test_another_worker_takes_over_from_one_that_died(floor: Floor) -> None:
    """The jobs of the whole fleet would sleep until a person saw it."""
    floor.submit(send=False)
    dead = Sweeper(floor.process("dead"), every_seconds=EVERY)
    floor.clock.sleep(EVERY)
    dead.sweep(is_idle=True)  # It has the turn, and is never heard of again.
    alive = Sweeper(floor.process("alive"), every_seconds=EVERY)
    begun = floor.clock()
    while not floor.record.guards.sweeps:
        floor.clock.sleep(1.0)
        alive.sweep(is_idle=True)
    assert floor.clock() - begun <= 2 * EVERY


def test_a_sweep_longer_than_its_interval_stays_the_only_one(floor: Floor) -> None:
    """Each worker of a fleet would begin another one while the first still runs."""
    for number in range(10 * HEADS_AT_ONCE):
        floor.submit(f"a-{number}", send=False)
    sweepers = [Sweeper(floor.process(f"w{n}"), every_seconds=EVERY) for n in range(2)]
    begun = requests(floor)
    count = floor.register.before

    def slowly(operation: str) -> None:
        count(operation)
        floor.clock.sleep(0.05)

    floor.register.before = slowly
    for _ in range(12):
        for each in sweepers:
            floor.clock.sleep(EVERY / 4)
            each.sweep(is_idle=True)
    assert begun["keys"] == 2, "the full sweep lists marks and jobs"


def test_a_turn_of_a_clock_that_is_a_year_ahead_is_none(floor: Floor) -> None:
    """No worker would sweep for a year."""
    floor.submit(send=False)
    floor.clock.sleep(365 * DAY)
    ahead = floor.jobs.sweep_turns.take("ahead")
    assert ahead is not None
    floor.clock.sleep(-365 * DAY)
    floor.clock.sleep(EVERY)
    assert floor.jobs.sweep_turns.take("w", every_seconds=EVERY) is not None


def test_a_full_sweep_of_a_clock_that_is_a_year_ahead_is_none(floor: Floor) -> None:
    """A job that has no mark would sleep for a year."""
    floor.clock.sleep(365 * DAY)
    swept(floor)
    floor.clock.sleep(-365 * DAY)
    floor.submit(send=False)
    floor.register.values.pop(f"open/{JOB}")
    floor.clock.sleep(EVERY)
    assert swept(floor) == [JOB]


def test_whoever_loses_the_turn_stops(floor: Floor) -> None:
    """Two workers would sweep side by side from then on."""
    floor.submit(send=False)
    turn = floor.jobs.sweep_turns.take("slow")
    assert turn is not None
    pieces = Sweep(
        floor.jobs, floor.queue, turn, floor.process().outages, after_seconds=EVERY
    ).pieces()
    next(pieces)
    floor.clock.sleep(EVERY)
    taken: StoredTurn | None = floor.jobs.sweep_turns.take("w", every_seconds=EVERY)
    assert taken is not None
    list(pieces)
    assert floor.jobs.sweep_turns.note(taken).turn.worker == "w"


def test_a_sweep_slower_than_its_interval_lets_all_messages_be_handled(floor: Floor) -> None:
    """The worker would sweep before every message, and do next to nothing else."""
    fill(floor, finished=0, held=200)
    for number in range(6):
        floor.submit(f"job-{number}")
    begun = floor.clock()
    slow = JobStore(floor.register, clock=floor.clock)
    busy = 0.0

    def peek(keys: list[str], limit_bytes: int) -> list[bytes | None]:
        nonlocal busy
        floor.clock.sleep(2 * EVERY)
        busy += 2 * EVERY
        return [floor.register.read(key).value[:limit_bytes] for key in keys]

    floor.register.peek = peek
    consumer = Consumer(floor.process(jobs=slow), slice_seconds=3.0, sweep_seconds=EVERY)

    def are_over() -> bool:
        return all(floor.jobs.load(f"job-{n}").record.status.is_final for n in range(6))

    floor.clock.sleep(EVERY)
    consumer.run(done=are_over, max_idle_seconds=10 * EVERY)
    worked = 6 * 15.0
    assert floor.clock() - begun < EVERY + worked + 2 * EVERY + 30.0
    assert busy <= max(2 * EVERY, 2 * SHARE * (floor.clock() - begun))


def test_a_busy_worker_sweeps_more_than_one_job_a_message(floor: Floor) -> None:
    """With slices of a minute and a thousand jobs just ended, a lost job would sleep for a day."""
    fill(floor, finished=300, held=0)
    floor.submit("z", send=False)
    floor.step_seconds = 20.0
    floor.submit("long", steps=5000)
    begun = floor.clock()
    consumer = Consumer(floor.process(), slice_seconds=60.0, sweep_seconds=EVERY)
    consumer.run(done=lambda: floor.jobs.load("z").record.usage.slices_begun > 0)
    assert floor.clock() - begun < 10 * EVERY


def test_an_idle_worker_sweeps_without_a_rest(floor: Floor) -> None:
    """A lost job among many would wait for twenty times as long as there was nothing to do."""
    for number in range(3 * HEADS_AT_ONCE):
        floor.submit(f"a-{number}", send=False)
        floor.jobs.change(f"a-{number}", Record.paused)
    floor.submit("z", send=False)
    floor.register.before = lambda operation: floor.clock.sleep(0.1 if operation == "read" else 0)
    consumer = Consumer(floor.process(), slice_seconds=3.0, sweep_seconds=EVERY)
    begun = floor.clock()
    consumer.run(done=lambda: floor.jobs.load("z").record.usage.slices_begun > 0)
    assert floor.clock() - begun < 3 * EVERY


def test_a_sweep_goes_on_after_the_store_was_away(floor: Floor) -> None:
    """One failed request would be the end of all sweeps of that worker."""
    floor.submit(send=False)
    sweeper = Sweeper(floor.process(), every_seconds=EVERY)
    floor.clock.sleep(EVERY)
    away = floor.hooked("before", failing("read", StoreUnavailable("away")))
    with away, pytest.raises(StoreUnavailable):
        sweeper.sweep(is_idle=True)
    for _ in range(int(3 * EVERY)):
        floor.clock.sleep(1.0)
        sweeper.sweep(is_idle=True)
    assert changed(floor.record).guards.sweeps == 1

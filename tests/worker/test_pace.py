"""The pace of a job's steps: what is learned of it, and that one bad measurement costs little."""

from __future__ import annotations

import math
from typing import Any

import pytest

from outlast.checkpoint.status import Status
from outlast.kernel.bulk import Stored, loaded
from outlast.worker.slices.deliver import deliver
from outlast.worker.slices.isolation.parent import BUSY
from outlast.worker.slices.timing import Timing
from tests.kernels import Params, Result, State, advance
from tests.records import changed
from tests.worker.floor import Floor

MINUTE = 60.0


def work_through(floor: Floor, job_id: str, steps: int) -> tuple[int, int]:
    """Work a job in slices of a minute; return how many slices and writes it took."""
    floor.submit(job_id, steps=steps)
    process = floor.process(timing=Timing())
    while not (record := floor.jobs.load(job_id).record).status.is_final:
        if deliver(process, delivery := floor.receive(), slice_seconds=MINUTE).ack:
            floor.queue.ack(delivery)
    assert record.status is Status.SUCCEEDED
    return record.usage.slices_begun, record.revision.writes


@pytest.mark.parametrize("slow_at", [0, 3, 1190, None])
def test_one_slow_step_costs_one_slice(slow_at: int | None) -> None:
    """A laptop that slept for a minute would go on in slices of one step, until its jobs fail."""
    floor = Floor(step_seconds=0.05)
    floor.watched = lambda number: floor.clock.sleep(45.0) if number == slow_at else None
    fair, _ = work_through(floor, "fair", 1200)
    assert fair <= (2 if slow_at is None else 4)
    floor.watched = lambda _: None
    slices, writes = work_through(floor, "next", 20_000)  # 1,000 seconds
    assert slices == 17
    assert writes < 1100


def test_a_slow_first_step_does_not_lengthen_slices_for_long() -> None:
    """A job would keep its worker from all others for 20 minutes, in what should be a minute."""
    floor = Floor(step_seconds=0.05)
    floor.watched = lambda number: floor.clock.sleep(45.0) if number == 0 else None
    floor.submit(steps=200_000)
    process, begun = floor.process(timing=Timing()), floor.clock()
    for _ in range(30):
        floor.queue.ack(delivery := floor.receive())
        deliver(process, delivery, slice_seconds=2.0)
    assert floor.clock() - begun < 45.0 + 30 * 2.0 + 300.0


def test_a_new_process_knows_how_long_the_steps_of_a_job_take(floor: Floor) -> None:
    """On Lambda the last step of each first slice would be killed, with all it has done."""
    floor.step_seconds = 2.0
    floor.submit()
    for _ in range(2):
        floor.work(floor.process(timing=Timing()), seconds=9.0)
        begun = floor.clock()
        floor.work(floor.process(timing=Timing()), seconds=9.0)
        assert floor.clock() - begun <= 9.0
    assert floor.record.pace.step_seconds == pytest.approx(2.0)


def test_steps_that_are_always_slow_are_not_begun_where_they_do_not_fit(floor: Floor) -> None:
    """Each slice would end in a step that the platform kills."""
    floor.step_seconds = 20.0
    floor.submit()
    process = floor.process()
    for _ in range(3):
        begun = floor.clock()
        floor.work(process, seconds=59.0)
        assert floor.clock() - begun == pytest.approx(40.0)


def test_what_a_record_claims_of_its_pace_does_not_end_its_slices(floor: Floor) -> None:
    """One measurement on a machine that was suspended would go with the job to each worker."""
    floor.submit()
    floor.change(lambda record: changed(record, step_seconds=1e6, first_step_seconds=1e6))
    assert floor.work(seconds=10.0)[0].record
    assert floor.record.usage.steps >= 10


def test_the_length_that_an_isolated_step_needs_is_remembered_with_the_job(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each step the slices would be too short again, and most of the work thrown away."""

    def isolated(_: object, begin: list[Stored], *__: object) -> Any:
        params = loaded(Params, *begin[0])
        state = loaded(State, *begin[1]) if begin[1:] else State(at=0, total=0)
        while state.at < params.steps:
            for _ in range(60):
                floor.clock.sleep(0.1)
                yield BUSY
            state = State(at=state.at + 1, total=advance(state.at, state.total))
            yield state
        return Result(total=state.total)

    monkeypatch.setattr("outlast.worker.slices.isolation.parent.isolated", isolated)
    floor.submit(steps=8)
    done = [0]
    while not floor.record.status.is_final:
        # A process of its own each time, as on a platform that keeps none.
        process = floor.process(isolate=True, timing=Timing())
        delivery = floor.receive()
        assert deliver(process, delivery, slice_seconds=2.0).ack
        floor.queue.ack(delivery)
        done.append(floor.record.usage.steps)
    since = next(at for at, steps in enumerate(done) if steps)
    advances = done[since:-1]
    assert advances == sorted(set(advances)), "each slice but the last advances from then on"
    usage = floor.record.usage
    assert usage.redone_seconds == pytest.approx(usage.compute_seconds - 8 * 6.0, abs=0.1)
    assert 2.0 < usage.redone_seconds < 20.0


def test_a_job_whose_first_step_is_slow_gets_slices_that_it_fits_in(floor: Floor) -> None:
    """Each slice would rebuild the tables, and have no time left to use them."""
    floor.submit()
    floor.kernel = type(floor.kernel)(floor.step, prepare=lambda _: None)
    floor.watched = lambda number: floor.clock.sleep(40.0) if number % 5 == 0 else None
    process = floor.process()
    deliver(process, floor.receive(), slice_seconds=10.0)
    assert floor.record.pace.first_step_seconds == pytest.approx(40.5)
    begun, steps = floor.clock(), floor.record.usage.steps
    deliver(process, floor.receive(), slice_seconds=10.0)
    assert floor.record.usage.steps > steps + 1
    assert floor.clock() - begun < math.ceil(1.5 * 40.5) + 10

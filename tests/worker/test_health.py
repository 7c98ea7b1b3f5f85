"""A broken machine: what it cannot run is not charged to the jobs, and it ends."""

from __future__ import annotations

import errno
import subprocess
from functools import partial
from typing import TYPE_CHECKING
from urllib.error import URLError

import pytest

from outlast.checkpoint.status import Status
from outlast.kernel import MachineFault, UnknownKernel
from outlast.kernel.errors import DoesNotFit, UnloadableKernel
from outlast.worker.loops.consumer import Consumer
from outlast.worker.loops.one_job import run_to_end
from outlast.worker.queues.memory import MemoryQueue
from outlast.worker.slices.health import MOST_FAULTS, BrokenWorker
from tests.kernels import Counting, Result, expected, raising, scripted
from tests.worker.floor import JOB, STEPS, Floor

if TYPE_CHECKING:
    from collections.abc import Callable

FULL = OSError(errno.ENOSPC, "No space left on device")
MISSING = FileNotFoundError(errno.ENOENT, "No such file or directory", "data.csv")
FAULTS = [
    MachineFault("the GPU is gone"),
    ImportError("libcudart.so.12: cannot open shared object file"),
    EOFError("Ran out of input"),
    OSError(errno.EACCES, "Permission denied"),
    FULL,
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize("isolate", [False, True])
def test_a_fault_of_the_machine_costs_the_job_nothing(
    floor: Floor, fault: Exception, *, isolate: bool
) -> None:
    """A disk that is full on one machine would fail whatever job it is asked for."""
    floor.submit()
    before = floor.record
    kernel = Broken() if isolate else raising(fault, 0)
    with pytest.raises(BrokenWorker, match=JOB):
        floor.work(floor.process(kernel=kernel, isolate=isolate))
    after = floor.record
    assert (after.usage, after.lease, after.slice_number) == (before.usage, None, 1)
    assert (after.guards.failures, after.guards.stalls) == (0, 0)
    floor.clock.sleep(5.0)
    assert floor.work()[0].record
    assert floor.record.result == expected(STEPS)
    assert floor.record.guards.doubters == ()


@pytest.mark.parametrize("steps", [0, 1])
def test_what_a_worker_lacks_costs_the_job_nothing(floor: Floor, steps: int) -> None:
    """A job that takes more memory than one worker grants would fail, and never reach a larger."""
    floor.submit()
    before = floor.record
    with pytest.raises(UnknownKernel, match=f"job {JOB}: it takes 2 GiB"):
        floor.work(floor.process(kernel=raising(DoesNotFit("it takes 2 GiB"), steps)))
    after = floor.record
    assert (after.usage, after.guards, after.lease) == (before.usage, before.guards, None)
    assert "cannot run it: it takes 2 GiB" in str(after.error)
    floor.clock.sleep(30.0)
    assert floor.work()[0].record
    assert floor.record.result == expected(STEPS)


class Broken(Counting):
    """A kernel that a child process cannot run either."""

    def run(self, *_: object) -> None:  # type: ignore[override]
        """Miss its disk."""
        raise FULL


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad"),
        ConnectionResetError(),
        TimeoutError(),
        URLError("no such host"),
        OSError(errno.ENETUNREACH, "Network is unreachable"),
    ],
)
def test_an_error_of_another_kind_is_the_jobs(floor: Floor, error: Exception) -> None:
    """A kernel with a slip would end all workers, and its job never fail."""
    floor.run(raising(error, 0))
    assert floor.record.guards.failures == 1


def test_an_error_of_a_kernel_that_has_run_here_is_the_jobs(floor: Floor) -> None:
    """A job whose file is missing would end each worker that runs all other jobs well."""
    process = floor.process()
    floor.submit("other")
    floor.work(process)
    floor.submit()
    floor.kernel = raising(MISSING, 0)
    floor.work(process)
    assert floor.record.guards.failures == 1


def test_a_disk_that_fills_up_is_the_machines_fault_at_any_time(floor: Floor) -> None:
    """A worker that ran well for a week would fail one job after another from then on."""
    process = floor.process()
    floor.submit("other")
    floor.work(process)
    floor.submit()
    floor.kernel = raising(FULL, 0)
    with pytest.raises(BrokenWorker):
        floor.work(process)


def test_an_error_after_a_safe_point_is_the_jobs(floor: Floor) -> None:
    """A job that fills the disk of each worker by itself would never fail."""
    floor.run(raising(FULL, 3))
    assert floor.record.guards.failures == 1


def test_what_three_workers_say_of_one_job_is_its_own_fault(floor: Floor) -> None:
    """A job whose file is missing everywhere would go from worker to worker for ever."""
    floor.kernel = raising(MISSING, 0)
    floor.submit(max_failures=2)
    for worker in ("one", "one", "two"):
        with pytest.raises(BrokenWorker):
            floor.work(floor.process(worker))
        floor.clock.sleep(5.0)
    assert floor.record.guards.failures == 0
    floor.work(floor.process("three"))
    assert floor.record.guards.failures == 1
    floor.clock.sleep(5.0)
    floor.work(floor.process("one"))
    assert floor.record.status is Status.FAILED
    assert "data.csv" in str(floor.record.error)


def test_a_broken_machine_on_which_workers_are_started_anew_fails_no_job(floor: Floor) -> None:
    """While all others are busy with long slices, it would fail the whole queue in a minute."""
    floor.submit()
    for _ in range(5):
        with subprocess.Popen(["true"]) as ended:
            ended.wait()
        broken = floor.process(f"host:{ended.pid}", kernel=raising(FULL, 0))
        with pytest.raises(BrokenWorker):
            Consumer(broken, slice_seconds=None).run()
    assert floor.record.status is Status.QUEUED
    assert floor.record.guards.failures == 0
    assert "No space left" in str(floor.record.error)  # so that `outlast status` shows it


def test_workers_that_say_different_things_do_not_add_up(floor: Floor) -> None:
    """Three machines, each broken in its own way, would fail a sound job."""
    floor.submit()
    for worker, fault in zip("abc", FAULTS, strict=False):
        with pytest.raises(BrokenWorker):
            floor.work(floor.process(worker, kernel=raising(fault, 0)))
        floor.clock.sleep(5.0)
    assert floor.record.guards.failures == 0


def test_a_job_that_had_an_error_of_its_own_is_not_charged_with_a_machines(floor: Floor) -> None:
    """One machine whose disk is full would fail each job that a peer had hung up on once."""
    floor.run(raising(ConnectionResetError(), 0))
    floor.clock.sleep(5.0)
    with pytest.raises(BrokenWorker):
        floor.work(floor.process(kernel=raising(FULL, 0)))
    assert floor.record.guards.failures == 1


def test_one_broken_worker_among_three_fails_no_job(floor: Floor) -> None:
    """It is the fastest of them, and would drain the queue of all jobs within seconds."""
    jobs = [f"job-{n}" for n in range(12)]
    for job_id in jobs:
        floor.submit(job_id)
    processes = [
        floor.process("broken:0", kernel=raising(FULL, 0)),
        floor.process("second"),
        floor.process("third"),
    ]
    consumers = [Consumer(process, slice_seconds=3.0) for process in processes]
    broken = 0
    while not all(floor.jobs.load(job_id).record.status.is_final for job_id in jobs):
        for worker, consumer in enumerate(consumers):
            try:
                consumer.run(max_slices=1, max_idle_seconds=1.0)
            except BrokenWorker:
                broken += 1
                # Whatever runs it starts another one, on the same machine.
                again = floor.process(f"broken:{broken}", kernel=raising(FULL, 0))
                consumers[worker] = Consumer(again, slice_seconds=3.0)
    records = [floor.jobs.load(job_id).record for job_id in jobs]
    assert {record.status for record in records} == {Status.SUCCEEDED}
    assert broken > 0
    assert not floor.messages()


def test_a_broken_worker_waits_longer_each_time_and_ends(floor: Floor) -> None:
    """It would take message after message, and use up the receives of each."""
    begun, looks = floor.clock(), []
    for number in range(5):
        floor.submit(f"job-{number}")
    floor.kernel = raising(FULL, 0)
    floor.queue.after = lambda name: looks.append(name) if name == "look" else None
    with pytest.raises(BrokenWorker, match="No space left"):
        Consumer(floor.process(), slice_seconds=None).run()
    assert floor.clock() - begun >= 15.0
    assert len(looks) == MOST_FAULTS
    assert len(floor.messages()) == 5


def test_a_worker_that_recovers_goes_on(floor: Floor) -> None:
    """Three faults in a month would end it."""
    faults = iter([True, True, False, True, True, False])
    floor.submit("a")
    floor.submit("b")

    def step(number: int) -> None:
        if number == 0 and next(faults):
            raise FULL

    floor.kernel = Counting(step)
    Consumer(floor.process(), slice_seconds=None).run(max_idle_seconds=60.0)
    assert {floor.jobs.load(job_id).record.status for job_id in "ab"} == {Status.SUCCEEDED}


def test_a_run_charges_its_only_job(floor: Floor) -> None:
    """`outlast run` would wait for another worker, where there is none."""
    floor.submit(send=False)
    floor.kernel = raising(MISSING, 0)
    queue = MemoryQueue(clock=floor.clock, sleep=floor.clock.sleep)
    record = run_to_end(floor.process(queue=queue), JOB, slice_seconds=None)
    assert record.status is Status.FAILED


def test_a_worker_that_cannot_load_a_kernel_ends(floor: Floor) -> None:
    """Its library is missing: it would receive each message until that is a dead letter."""

    def unloadable(_: str) -> Counting:
        raise UnloadableKernel("the entry point 'counting' cannot be loaded: libcudart.so.12")

    floor.submit()
    with pytest.raises(BrokenWorker, match=r"libcudart.*3 times in a row"):
        Consumer(floor.process(kernels=unloadable), slice_seconds=None).run()
    assert floor.record.guards.stalls == 0


def test_jobs_that_succeed_at_once_show_that_a_worker_is_well(floor: Floor) -> None:
    """One job whose file is missing would end the worker that runs all others well."""
    process = floor.process()
    for number in range(4):
        floor.kernel = raising(FULL, 0)
        floor.submit(f"bad-{number}")
        with pytest.raises(BrokenWorker):
            floor.work(process)
        floor.messages()
        floor.kernel = scripted(result=Result(total=1))
        floor.submit(f"good-{number}")
        floor.work(process)
    assert not process.health.is_broken


def test_a_worker_without_a_kernel_leaves_its_jobs_time_to_find_another(floor: Floor) -> None:
    """In a mixed fleet it would receive the message thirty times in two minutes: a dead letter."""

    def unknown(_: str) -> Counting:
        raise UnknownKernel("it needs numba")

    floor.submit()
    begun = floor.clock()
    is_over: Callable[[], bool] = partial(_is_ten_minutes_later, floor, begun)
    Consumer(floor.process(kernels=unknown), slice_seconds=None).run(done=is_over)
    floor.clock.sleep(60.0)
    floor.work()
    assert floor.record.result == expected(STEPS)


def _is_ten_minutes_later(floor: Floor, begun: float) -> bool:
    return floor.clock() - begun > 600.0

"""A kernel in a child process: whatever it does, the job keeps its last whole state."""

from __future__ import annotations

import _multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from outlast.checkpoint.jobs import JobStore
from outlast.checkpoint.parts import Limits
from outlast.checkpoint.record import Record
from outlast.checkpoint.registers.sqlite import SqliteRegister
from outlast.checkpoint.status import Status
from outlast.kernel import Resources
from outlast.worker.queues.contract import Delivery
from outlast.worker.queues.memory import MemoryQueue
from outlast.worker.queues.message import Message
from outlast.worker.slices.deliver import deliver
from outlast.worker.slices.isolation.parent import Busy, Crashed, isolated
from outlast.worker.slices.kernel_output import described
from outlast.worker.slices.process import WorkerProcess
from outlast.worker.slices.timing import Timing
from tests.worker.unruly import Confined, Loose, Params, Result, State, Unruly

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Far more than any ending here takes, and far less than the loops, which are endless.
SOON_SECONDS = 20.0

ORPHAN = """
import sys
from outlast.kernel import Resources
from tests.worker.unruly import Params, Unruly
from outlast.worker.slices.isolation.parent import isolated

if __name__ == "__main__":
    params = Params(how="holds and loops", at=0, fifo=sys.argv[1])
    for _ in isolated(Unruly(), params, None, Resources()):
        pass
"""


def run(params: Params, resources: Resources | None = None) -> tuple[list[State], Any]:
    """Return the states that the isolated kernel yields, and its result or error."""
    states = []
    steps = isolated(Unruly(), params, None, resources or Resources())
    try:
        while True:
            state = next(steps)
            if not isinstance(state, Busy):
                states.append(state)
    except StopIteration as end:
        return states, end.value
    except BaseException as error:  # noqa: BLE001 - whatever the kernel raised is what is tested
        return states, error


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    """Return a file whose reader sees the end of it when the last process that holds it ends."""
    path = tmp_path / "held"
    os.mkfifo(path)
    return path


def test_yields_and_returns_what_the_kernel_does() -> None:
    """A job would have another result when isolated."""
    states, result = run(Params(steps=3))
    assert [state.done for state in states] == [1, 2, 3]
    assert result == Result(done=3)
    assert {os.getpid()}.isdisjoint(state.pid for state in states)


def test_goes_on_from_a_state() -> None:
    """An isolated job would begin anew in every slice."""
    steps = isolated(Unruly(), Params(steps=9), State(done=7, pid=1), Resources())
    first = next(state for state in steps if not isinstance(state, Busy))
    steps.close()
    assert first.done == 8


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("segfaults", "ended by SIGSEGV"),
        ("aborts", "ended by SIGABRT"),
        ("is killed", "ended by SIGKILL, which is what the system sends when memory runs out"),
        ("exits", "exited with code 3"),
        ("dies while sending", "ended by SIGKILL"),
    ],
)
def test_tells_how_the_child_died(how: str, told: str) -> None:
    """A person would read "failed" and not know that native code crashed, or that memory ran out.

    What was received before stays; a half-sent state must not be taken for one.
    """
    states, error = run(Params(how=how))
    assert [state.done for state in states] == [1]
    assert isinstance(error, Crashed)
    assert told in str(error)


def test_a_forked_process_does_not_hide_that_the_child_died(fifo: Path) -> None:
    """The worker would wait for ever: the pipe is still open in the process that lives on."""
    states, error = run(Params(how="forks and dies", fifo=str(fifo)))
    assert [state.done for state in states] == [1]
    assert isinstance(error, Crashed)


def test_an_error_arrives_as_itself() -> None:
    """A failed job's reason would not be the kernel's own, nor its traceback be in the log."""
    _, error = run(Params(how="raises"))
    assert repr(error) == "ValueError('no such root')"
    assert "unruly.py" in error.__notes__[0]


def test_an_error_that_cannot_travel_is_told() -> None:
    """The worker would fail to read the child's answer, and the reason be lost."""
    _, error = run(Params(how="raises unrepeatably"))
    assert repr(error) == "RuntimeError('Unrepeatable: no root')"


def test_an_error_that_refuses_everything_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    """The job would fail for a crash of its process, and tracebacks of ours fill the log."""
    _, error = run(Params(how="raises untellably"))
    assert repr(error) == "RuntimeError('Untellable: <exception str() failed>')"
    assert re.search(r" \(unruly\.py:\d+\)$", described(error, Unruly))
    assert capfd.readouterr().err == ""


def test_exit_in_the_kernel_is_an_error() -> None:
    """A call to sys.exit in a kernel would end the worker."""
    _, error = run(Params(how="calls exit"))
    assert repr(error) == "SystemExit('enough')"


def test_memory_is_limited() -> None:
    """One greedy job would bring down the whole worker, in which others wait."""
    states, error = run(Params(how="hoards"), Resources(memory_bytes=256 << 20))
    assert [state.done for state in states] == [1]
    assert isinstance(error, MemoryError)


def test_an_endless_loop_in_c_is_ended() -> None:
    """A worker would hang until its platform kills it, and with it the work since the last save."""
    steps = isolated(Unruly(), Params(how="loops", at=0), None, Resources())
    assert isinstance(next(steps), Busy)
    begun = time.monotonic()
    steps.close()
    assert time.monotonic() - begun < SOON_SECONDS


def test_what_the_kernel_started_ends_with_it(fifo: Path) -> None:
    """Programs that a kernel started would pile up on the worker, slice after slice."""
    steps = isolated(
        Unruly(), Params(how="starts another", at=0, fifo=str(fifo)), None, Resources()
    )
    next(steps)
    with fifo.open() as held:  # opens once the grandchild is there
        steps.close()
        assert held.read() == ""  # ends once it is gone


def test_the_child_ends_with_a_killed_worker(fifo: Path) -> None:
    """A core of the machine would be busy for ever after each worker killed by force."""
    command = [sys.executable, "-c", ORPHAN, str(fifo)]
    with subprocess.Popen(command) as worker, fifo.open() as held:
        worker.kill()
        assert held.read() == ""


def test_a_thread_left_behind_does_not_hold_the_worker_up() -> None:
    """The end of every slice would wait for a thread that never ends."""
    begun = time.monotonic()
    _, result = run(Params(how="leaves a thread"))
    assert result == Result(done=3)
    assert time.monotonic() - begun < SOON_SECONDS


def test_a_worker_that_ignores_sigterm_can_still_end_its_child() -> None:
    """The child of a worker started under nohup or by some supervisors could only be killed."""
    previous = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        steps = isolated(Unruly(), Params(steps=1), None, Resources())
        state = next(state for state in steps if not isinstance(state, Busy))
    finally:
        signal.signal(signal.SIGTERM, previous)
    os.kill(state.pid, signal.SIGTERM)
    with pytest.raises(Crashed, match="SIGTERM"):
        list(steps)


def test_needs_no_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Isolation would fail on AWS Lambda, which has no /dev/shm."""

    def unavailable(*_: Any) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(_multiprocessing, "SemLock", unavailable)
    assert run(Params())[1] == Result(done=3)


# The same in a slice: the job goes on from the last whole state, on time.


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[JobStore]:
    """Return a store of jobs."""
    register = SqliteRegister(tmp_path / "jobs.db")
    yield JobStore(register)
    register.close()


def process_of(jobs: JobStore, kernel: Unruly, **changes: Any) -> WorkerProcess:
    """Return a worker that isolates `kernel` and saves often."""
    queue = MemoryQueue()
    settings = {"isolate": True, "timing": Timing(checkpoint_seconds=0.02)} | changes
    return WorkerProcess(jobs, queue, worker="test", kernels=lambda _: kernel, **settings)


def submit(jobs: JobStore, params: Params, **changes: Any) -> None:
    """Store the job "j"."""
    now = jobs.clock()
    record = Record(
        job_id="j",
        kernel="unruly",
        params=params.model_dump(),
        created_at=now,
        updated_at=now,
        **changes,
    )
    jobs.submit(record)


def run_slice(process: WorkerProcess, *, seconds: float | None = None) -> Record:
    """Deliver a kick of the job and return what became of it."""
    deliver(process, Delivery(Message(job_id="j").body(), receipt=""), seconds=seconds)
    return process.jobs.load("j").record


def test_what_dies_apart_has_changed_no_state(jobs: JobStore) -> None:
    """A kernel that is killed again and again between two saves would never get ahead."""
    submit(jobs, Params(how="is killed", at=2))
    record = run_slice(process_of(jobs, Loose(), timing=Timing(checkpoint_seconds=3600.0)))
    assert record.guards.failures == 1
    assert record.checkpoints[0].progress == pytest.approx(2 / 3)


def test_the_deadline_ends_a_step_that_does_not_return(jobs: JobStore) -> None:
    """The platform would kill the worker, and the job wait for its visibility timeout."""
    submit(jobs, Params(how="loops", at=2))
    process = process_of(jobs, Unruly())
    record = run_slice(process, seconds=3.0)
    assert record.status is Status.QUEUED
    assert record.checkpoints[0].progress == pytest.approx(2 / 3)
    message = process.queue.receive(visibility_seconds=1, wait_seconds=0)
    assert message is not None
    assert Message.parse(message.body).slice == 2


def test_lease_and_visibility_are_renewed_during_one_long_step(jobs: JobStore) -> None:
    """Another worker would start the same step while it still runs here."""
    submit(jobs, Params(how="loops", at=0))
    hidden: list[float] = []
    process = process_of(jobs, Unruly())
    process.queue.hide = lambda _, seconds: hidden.append(seconds)  # type: ignore[method-assign]
    record = run_slice(process, seconds=1.0)
    assert len(hidden) > 2
    assert record.revision.writes > 4
    assert record.usage.compute_seconds > 0.2


def test_a_cancel_is_seen_during_one_long_step(jobs: JobStore) -> None:
    """A person could not stop a job whose step does not return."""
    submit(jobs, Params(how="loops", at=0))
    calls = count()
    process = process_of(jobs, Unruly())

    def hide(*_: Any) -> None:
        if next(calls) == 1:  # the first is at the claim
            jobs.change("j", Record.cancelled)

    process.queue.hide = hide  # type: ignore[method-assign]
    assert run_slice(process).status is Status.CANCELLED


def test_a_job_that_never_reaches_a_safe_point_is_given_up(jobs: JobStore) -> None:
    """It would cost money for ever."""
    submit(jobs, Params(how="loops", at=0), limits=Limits(max_stalls=2))
    process = process_of(jobs, Unruly())
    for _ in range(2):
        assert run_slice(process, seconds=0.05).status is Status.QUEUED
    record = run_slice(process, seconds=0.05)
    assert record.status is Status.FAILED
    assert "2 slices in a row without progress" in str(record.error)


def test_a_crash_is_retried_and_then_fails_the_job_with_the_signal(jobs: JobStore) -> None:
    """The crash would take the worker with it, again and again, with no reason stored."""
    submit(jobs, Params(how="segfaults"), limits=Limits(max_failures=1))
    record = run_slice(process_of(jobs, Unruly()))
    assert record.status is Status.FAILED
    assert "Crashed: the kernel's process was ended by SIGSEGV" in str(record.error)
    assert record.checkpoints[0].progress == pytest.approx(1 / 3)


@pytest.mark.parametrize(("kernel", "is_isolated"), [(Unruly(), False), (Confined(), True)])
def test_a_kernel_that_may_not_return_is_isolated_unasked(
    jobs: JobStore, kernel: Unruly, is_isolated: bool
) -> None:
    """Whoever runs it would have to know, and say so each time."""
    submit(jobs, Params())
    seen: list[int] = []
    process = process_of(jobs, kernel, isolate=False, watch=lambda job: seen.append(job.state.pid))
    assert run_slice(process).status is Status.SUCCEEDED
    assert ({os.getpid()} != set(seen)) is is_isolated

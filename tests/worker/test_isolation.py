"""A kernel in a child process: whatever it does, the job keeps its last whole state."""

from __future__ import annotations

import _multiprocessing
import multiprocessing
import os
import re
import subprocess
import sys
import time
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.record import Record
from outlast.checkpoint.record_parts import Limits
from outlast.checkpoint.status import Status
from outlast.kernel import Resources
from outlast.kernel.bulk import dumped
from outlast.worker.queues.contract import Delivery
from outlast.worker.queues.message import Message
from outlast.worker.slices.deadline import STOP_SIGNALS, Deadline
from outlast.worker.slices.deliver import deliver
from outlast.worker.slices.held import Busy
from outlast.worker.slices.isolation.parent import Crashed, isolated
from outlast.worker.slices.kernel_errors import described
from outlast.worker.slices.timing import Timing
from outlast.worker.slices.worker_process import WorkerProcess
from tests.fakes import HookedQueue, MemoryRegister
from tests.records import job
from tests.systems import on_linux
from tests.worker.unruly import Confined, Loose, Params, Result, State, Unruly

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator
    from pathlib import Path

# Far more than any ending here takes, and far less than the loops, which are endless.
SOON_SECONDS = 20.0

ORPHAN = """
import sys
from outlast.kernel import Resources
from tests.worker.unruly import Params, Unruly
from outlast.kernel.bulk import dumped
from outlast.worker.slices.isolation.parent import isolated

if __name__ == "__main__":
    params = Params(how=sys.argv[1], at=0, fifo=sys.argv[2])
    for _ in isolated(Unruly(), [dumped(params)], Resources()):
        pass
"""
# The first process of a container, to which all those come whose own parent has ended.
FIRST_PROCESS = """
import ctypes, os
from pathlib import Path
from tests.worker.test_isolation import Params, run
from outlast.worker.slices.isolation.watcher import PR_SET_CHILD_SUBREAPER

if __name__ == "__main__":
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    for _ in range(2):
        print(run(Params(how="leaves a program"))[1].done)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        state, parent, *_ = stat.read_text().rpartition(")")[2].split()
        if state == "Z" and int(parent) == os.getpid():
            print("a zombie")
"""


def run(params: Params, resources: Resources | None = None) -> tuple[list[State], Any]:
    """Return the states that the isolated kernel yields, and its result or error."""
    states = []
    steps = isolated(Unruly(), [dumped(params)], resources or Resources())
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
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


@pytest.fixture
def stop() -> Iterator[Deadline]:
    """Listen for stop signals, as a worker does."""
    with Deadline() as deadline:
        yield deadline


def test_yields_and_returns_what_the_kernel_does() -> None:
    """A job would have another result when isolated."""
    states, result = run(Params(steps=3))
    assert [state.done for state in states] == [1, 2, 3]
    assert result == Result(done=3)
    assert {os.getpid()}.isdisjoint(state.pid for state in states)


def test_goes_on_from_a_state() -> None:
    """An isolated job would begin anew in every slice."""
    steps = isolated(Unruly(), [dumped(Params(steps=9)), dumped(State(done=7, pid=1))], Resources())
    first = next(state for state in steps if not isinstance(state, Busy))
    steps.close()
    assert first.done == 8


@pytest.mark.parametrize(
    ("how", "ending"),
    [
        ("segfaults", "ended by SIGSEGV"),
        ("aborts", "ended by SIGABRT"),
        ("is killed", "ended by SIGKILL, which is what the system sends when memory runs out"),
        ("exits", "exited with code 3"),
        ("dies while sending", "ended by SIGKILL"),
    ],
)
def test_the_error_says_how_the_child_died(how: str, ending: str) -> None:
    """A person would read "failed" and not know that native code crashed, or that memory ran out.

    The states from before stay, and a state that was sent by half must not count.
    """
    states, error = run(Params(how=how))
    assert [state.done for state in states] == [1]
    assert isinstance(error, Crashed)
    assert ending in str(error)


def test_a_forked_process_does_not_hide_that_the_child_died(fifo: Path) -> None:
    """The worker would wait for ever: the pipe is still open in the process that lives on."""
    states, error = run(Params(how="forks and dies", fifo=str(fifo)))
    assert [state.done for state in states] == [1]
    assert isinstance(error, Crashed)


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("raises", "ValueError('no such root')"),
        ("raises unrepeatably", "RuntimeError('Unrepeatable: no root')"),
        ("calls exit", "SystemExit('enough')"),
    ],
)
def test_an_error_arrives_as_itself_or_by_its_name(how: str, error: str) -> None:
    """A failed job's reason would not be the kernel's own, nor its traceback be in the log.

    One that cannot be pickled would leave no reason at all, and sys.exit would end the worker.
    """
    _, raised = run(Params(how=how))
    assert repr(raised) == error
    assert "unruly.py" in raised.__notes__[0]


def test_an_error_that_refuses_everything_arrives_by_its_name(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The job would fail for a crash of its process, and tracebacks of ours fill the log."""
    _, error = run(Params(how="raises opaquely"))
    assert repr(error) == "RuntimeError('Opaque: <exception str() failed>')"
    assert re.search(r" \(unruly\.py:\d+\)$", described(error, Unruly))
    assert capfd.readouterr().err == ""


def test_memory_is_limited() -> None:
    """One greedy job would bring down the whole worker, in which others wait."""
    states, error = run(Params(how="hoards"), Resources(memory_bytes=256 << 20))
    assert [state.done for state in states] == [1]
    assert isinstance(error, MemoryError)


def test_an_endless_loop_in_c_is_ended() -> None:
    """A worker would hang until its platform kills it, and with it the work since the last save."""
    steps = isolated(Unruly(), [dumped(Params(how="loops", at=0))], Resources())
    assert isinstance(next(steps), Busy)
    begun = time.monotonic()
    steps.close()
    assert time.monotonic() - begun < SOON_SECONDS


@pytest.mark.parametrize("how", ["starts another", "starts a daemon"])
def test_what_the_kernel_started_ends_with_it(how: str, fifo: Path) -> None:
    """Programs that a kernel started would pile up on the worker, slice after slice."""
    steps = isolated(Unruly(), [dumped(Params(how=how, at=0, fifo=str(fifo)))], Resources())
    next(steps)
    with fifo.open() as opened:  # opens once the grandchild is there
        steps.close()
        assert opened.read() == ""  # ends once it is gone


@pytest.mark.parametrize("how", ["holds and loops", "starts another", "starts a daemon"])
def test_all_ends_with_a_killed_worker(how: str, fifo: Path) -> None:
    """A core of the machine would be busy for ever after each worker killed by force."""
    command = [sys.executable, "-c", ORPHAN, how, str(fifo)]
    with subprocess.Popen(command) as worker, fifo.open() as opened:
        worker.kill()
        assert opened.read() == ""


def test_the_kernel_ends_with_a_killed_watcher(fifo: Path) -> None:
    """Where memory runs out the system may kill either, and a core would be busy for ever."""
    params = Params(how="loses its watcher", at=0, fifo=str(fifo))
    steps = isolated(Unruly(), [dumped(params)], Resources())
    next(steps)
    with fifo.open() as opened:
        assert opened.read() == ""
    with pytest.raises(Crashed, match="SIGKILL"):
        list(steps)


@on_linux
def test_what_the_kernel_started_is_reaped() -> None:
    """A container without an init would fill up with zombies until no process can be started."""
    done = subprocess.run(
        [sys.executable, "-c", FIRST_PROCESS], capture_output=True, text=True, check=True
    )
    assert done.stdout == "3\n3\n"


def test_a_thread_left_behind_does_not_hold_the_worker_up() -> None:
    """The end of every slice would wait for a thread that never ends."""
    begun = time.monotonic()
    _, result = run(Params(how="leaves a thread"))
    assert result == Result(done=3)
    assert time.monotonic() - begun < SOON_SECONDS


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_stop_signal_ends_a_program_of_the_kernel_and_not_its_process(
    number: signal.Signals, stop: Deadline
) -> None:
    """A restart by systemd, which signals all processes of a service, would be a crash."""
    states, error = run(Params(how="is stopped with all", signal=number))
    assert [state.done for state in states] == [1]
    assert repr(error) == f"CalledProcessError({-number}, 'sleep')"
    assert stop.reason == number.name


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_stop_signal_does_not_end_a_process_that_starts(number: signal.Signals) -> None:
    """Ctrl-C early in a slice would be a crash, with a traceback of the interpreter's start."""
    steps = isolated(Unruly(), [dumped(Params(steps=1))], Resources())
    next(steps)
    (child,) = multiprocessing.active_children()
    assert child.pid is not None
    os.kill(child.pid, number)
    assert [state.done for state in steps if not isinstance(state, Busy)] == [1]


def test_needs_no_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Isolation would fail on AWS Lambda, which has no /dev/shm."""

    def unavailable(*_: Any) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(_multiprocessing, "SemLock", unavailable)
    assert run(Params())[1] == Result(done=3)


# The same in a slice: the job goes on from the last whole state, on time.


def process_of(params: Params, kernel: Unruly | None = None, **changes: Any) -> WorkerProcess:
    """Return a worker that isolates the kernel and saves often; its store has the job "j"."""
    limits = {name: changes.pop(name) for name in Limits.model_fields if name in changes}
    jobs = JobStore(MemoryRegister())
    jobs.submit(job(job_id="j", params=params.model_dump(), limits=Limits(**limits)))
    settings = {"isolate": True, "timing": Timing(checkpoint_seconds=0.02)} | changes
    kernels = lambda _: kernel or Unruly()  # noqa: E731 - as short as it is
    return WorkerProcess(jobs, HookedQueue(), worker="test", kernels=kernels, **settings)


def run_slice(process: WorkerProcess, *, seconds: float = SOON_SECONDS) -> Record:
    """Deliver a message of the job and return the job after it."""
    deliver(process, Delivery(Message(job_id="j").body(), receipt="r"), seconds=seconds)
    return process.jobs.load("j").record


def test_what_dies_apart_has_changed_no_state() -> None:
    """A kernel that is killed again and again between two saves would never get ahead."""
    timing = Timing(checkpoint_seconds=3600.0)
    record = run_slice(process_of(Params(how="is killed", at=2), Loose(), timing=timing))
    assert record.guards.failures == 1
    assert record.checkpoints[0].progress == pytest.approx(2 / 3)


def test_the_deadline_ends_a_step_that_does_not_return() -> None:
    """The platform would kill the worker, and the job wait for its visibility timeout."""
    process = process_of(Params(how="loops", at=2))
    record = run_slice(process, seconds=3.0)
    assert record.status is Status.QUEUED
    assert record.checkpoints[0].progress == pytest.approx(2 / 3)
    message = process.queue.receive(visibility_seconds=1, wait_seconds=0)
    assert message is not None
    assert Message.parse(message.body).slice == 2


def test_a_step_that_the_deadline_cuts_off_is_counted_as_thrown_away() -> None:
    """A job that computes each step three times over would look as if nothing were wasted."""
    process = process_of(Params(how="loops", at=1))
    record = run_slice(process, seconds=1.5)
    assert record.usage.steps == 1
    assert 0.0 < record.usage.redone_seconds <= record.usage.compute_seconds


def test_a_slice_that_was_too_short_for_a_step_says_so() -> None:
    """A person would see slice after slice end at the same progress, and not learn why."""
    record = run_slice(process_of(Params(how="loops", at=0)), seconds=1.5)
    assert record.history.latest is not None
    ending = r"deadline: its step did not end in \d\.\d s, and begins again"
    assert re.fullmatch(ending, record.history.latest.ending)


def test_lease_and_visibility_are_renewed_during_one_long_step() -> None:
    """Another worker would start the same step while it still runs here."""
    process = process_of(Params(how="loops", at=0))
    operations: list[str] = []
    process.queue.before = operations.append
    record = run_slice(process, seconds=1.0)
    assert operations.count("hide") > 2
    assert record.revision.writes > 4
    assert record.usage.compute_seconds > 0.2


def test_a_cancel_is_seen_during_one_long_step() -> None:
    """A person could not stop a job whose step does not return."""
    operations = count()
    process = process_of(Params(how="loops", at=0))

    def cancel(_: str) -> None:
        if next(operations) == 1:  # the first is at the claim
            process.jobs.change("j", Record.cancelled)

    process.queue.before = cancel
    assert run_slice(process).status is Status.CANCELLED


def test_a_job_that_never_reaches_a_safe_point_is_given_up() -> None:
    """It would cost money for ever."""
    process = process_of(Params(how="loops", at=0), max_stalls=2)
    for _ in range(2):
        assert run_slice(process, seconds=0.05).status is Status.QUEUED
    record = run_slice(process, seconds=0.05)
    assert record.status is Status.FAILED
    assert "2 slices in a row without progress" in str(record.error)


def test_a_crash_is_retried_and_then_fails_the_job_with_the_signal() -> None:
    """The crash would take the worker with it, again and again, with no reason stored."""
    record = run_slice(process_of(Params(how="segfaults"), max_failures=1))
    assert record.status is Status.FAILED
    assert "Crashed: the kernel's process was ended by SIGSEGV" in str(record.error)
    assert record.checkpoints[0].progress == pytest.approx(1 / 3)


def test_a_stop_of_all_processes_is_no_failure() -> None:
    """Five restarts of a service with long steps would fail its job."""
    record = run_slice(process_of(Params(how="is stopped with all"), max_failures=1))
    assert (record.status, record.guards.failures) == (Status.QUEUED, 0)
    assert record.checkpoints[0].progress == pytest.approx(1 / 3)
    assert record.history.latest.ending.startswith("SIGTERM: the step was cut off by Called")


@pytest.mark.parametrize(("kernel", "is_isolated"), [(Unruly(), False), (Confined(), True)])
def test_a_kernel_that_may_not_return_is_isolated_unasked(
    kernel: Unruly, is_isolated: bool
) -> None:
    """A person who runs it would have to know that, and say so each time."""
    seen: list[int] = []
    watch = lambda job: seen.append(job.work.state.pid)  # noqa: E731 - as short as it is
    process = process_of(Params(), kernel, isolate=False, watch=watch)
    assert run_slice(process).status is Status.SUCCEEDED
    assert ({os.getpid()} != set(seen)) is is_isolated

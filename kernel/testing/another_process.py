"""A process in which a kernel has not run, to resume it there from a state of this process.

    forked(kernel)        a copy of this process, in which any kernel can run
    interpreted(kernel)   a new interpreter, which imports the kernel, and hashes strings otherwise

Either is to be started before the kernel's first run here.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import pickle
import subprocess
import sys
import warnings
from contextlib import contextmanager, suppress
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from outlast.kernel.testing.stored import Stored, excerpt
from outlast.kernel.testing.trial import Trial, granted, run_to_end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from outlast.kernel.contract import Kernel

# On top of the time that this process has taken, for much more than is asked of the other one.
PATIENCE_SECONDS = 60.0

READY, ABSENT = "ready", "absent"

# The new interpreter has the paths of this one, so that it finds the modules of a test, too.
PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from outlast.kernel.testing.another_process import interpret; interpret(int(sys.argv[2]))"
)


class Task(NamedTuple):
    """What the other process is to do: resume its kernel from `state`, and tell the result."""

    params: Stored
    state: Stored
    threads: int
    scratch: str


class Unfinished(Exception):
    """The other process has no result. The message is a verb phrase, such as "raises KeyError"."""


class AnotherProcess:
    """The other process, seen from this one.

    What it prints or logs is dropped. It ends if this process ends.
    """

    def __init__(self, pipe: Connection, wait: Callable[[float], int | None]) -> None:
        self._pipe = pipe
        self._wait = wait
        self._started_at = perf_counter()

    def ask(self, task: Task) -> Stored | None:
        """Return the result, as it is stored; None: the kernel cannot be imported there.

        To be asked once.

        Raises:
            Unfinished: the kernel raises, its process dies or gets stuck.
        """
        patience = PATIENCE_SECONDS + perf_counter() - self._started_at
        try:
            # Once it has started, it reads a task of any size.
            if self._receive(patience) == ABSENT:
                return None
            self._pipe.send(task)
            answer = self._receive(patience)
        except (EOFError, OSError):
            raise Unfinished(
                f"ends its process (exit code {self._wait(PATIENCE_SECONDS)})"
            ) from None
        if isinstance(answer, Stored):
            return answer
        raise Unfinished(f"raises {answer}")

    def _receive(self, seconds: float) -> Any:
        if not self._pipe.poll(seconds):
            raise Unfinished(f"gives no answer for {seconds:.0f} s")
        return self._pipe.recv()


@contextmanager
def forked(kernel: Kernel[Any, Any, Any]) -> Iterator[AnotherProcess]:
    """Fork a process, which ends with the context."""
    ours, theirs = Pipe()
    child = get_context("fork").Process(
        target=_serve_forked, args=(ours, theirs, kernel), daemon=True
    )

    def wait(seconds: float) -> int | None:
        child.join(seconds)
        return child.exitcode

    with ours:
        try:
            with theirs, warnings.catch_warnings():
                # The warning: threads of this process may hold locks. If so, `ask` reports that
                # the other one is stuck.
                warnings.filterwarnings("ignore", r".*fork\(\)", DeprecationWarning)
                child.start()
            yield AnotherProcess(ours, wait)
        finally:
            if child.pid is not None:
                child.kill()
                child.join()
            child.close()


@contextmanager
def interpreted(kernel: Kernel[Any, Any, Any]) -> Iterator[AnotherProcess | None]:
    """Start an interpreter, which ends with the context; None: the kernel cannot be sent there.

    It has another seed for the hashes of strings, so that its sets have another order.
    """
    try:
        data = pickle.dumps(kernel)
    except Exception:  # noqa: BLE001 - pickling runs foreign code
        yield None
        return
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    ours, theirs = Pipe()
    with ours:
        with theirs:
            command = [sys.executable, "-c", PROGRAM, json.dumps(sys.path), str(theirs.fileno())]
            child = subprocess.Popen(  # noqa: S603 - our own interpreter
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONHASHSEED": seed},
                pass_fds=[theirs.fileno()],
            )

        def wait(seconds: float) -> int | None:
            with suppress(subprocess.TimeoutExpired):
                child.wait(seconds)
            return child.returncode

        try:
            with suppress(OSError):  # It is gone; `ask` says so.
                ours.send_bytes(data)
            yield AnotherProcess(ours, wait)
        finally:
            child.kill()
            child.wait()


def interpret(file: int) -> None:
    """Serve as the new interpreter, whose end of the pipe is the file descriptor `file`."""
    pipe = Connection(file)
    try:
        kernel = pickle.loads(pipe.recv_bytes())  # noqa: S301 - from our own parent
    except BaseException:  # noqa: BLE001 - the module may be one that only a test can import
        pipe.send(ABSENT)
    else:
        _serve(pipe, kernel)


def _serve_forked(ours: Connection, pipe: Connection, kernel: Kernel[Any, Any, Any]) -> None:
    ours.close()  # Else the child would not see that the parent is gone.
    _serve(pipe, kernel)


def _serve(pipe: Connection, kernel: Kernel[Any, Any, Any]) -> None:
    """Do the task in the other process, and exit without the exit handlers of a fork's parent."""
    try:
        _silence()
        pipe.send(READY)
        pipe.send(_answer(kernel, pipe.recv(), pipe))
    finally:
        os._exit(0)  # Also where the parent is gone.


def _answer(kernel: Kernel[Any, Any, Any], task: Task, pipe: Connection) -> Stored | str:
    """Return the result, or the error that the kernel raises."""

    def exit_if_orphaned(_: Stored) -> None:
        if pipe.poll():
            os._exit(0)

    try:
        params = task.params.load(kernel.Params)
        resources = granted(task.threads, Path(task.scratch))
        # Its steps are not timed: the first one may rebuild what the parent has in a cache.
        trial: Trial[Any] = Trial(params, resources, None)
        kernel.prepare(params)
        return Stored.of(run_to_end(trial.run(kernel, task.state), exit_if_orphaned))
    except BaseException as error:  # noqa: BLE001 - a foreign kernel may raise anything
        return excerpt(error)


def _silence() -> None:
    faulthandler.disable()
    logging.disable()
    null: Any = Path(os.devnull).open("w")  # noqa: SIM115 - until the process ends
    for number in (1, 2):
        os.dup2(null.fileno(), number)
    sys.stdout = sys.stderr = null

"""What runs in the child process of an isolated kernel; the parent's side is `parent.py`."""

from __future__ import annotations

import faulthandler
import pickle
import resource
import signal
import sys
import time
import traceback
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outlast.kernel.bulk import Stored, dumped, has_bulk, loaded
from outlast.kernel.contract import start
from outlast.kernel.parts import made_anew
from outlast.worker.slices.isolation.lines import send_lines
from outlast.worker.slices.isolation.rows import receive_arrays, send_stored
from outlast.worker.slices.isolation.watcher import fork_watched
from outlast.worker.slices.kernel_errors import attach_location, line, location_of
from outlast.worker.slices.kernel_output import stored_state

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from multiprocessing.connection import Connection

    from outlast.kernel import Resources
    from outlast.worker.slices.worker_process import AnyKernel

    Steps = Generator[Any, None, Any]
    Answer = tuple[str, Any]  # a word that says what it is, and it


def serve(
    pipe: Connection, task: bytes, models: int, said: Connection, levels: tuple[int, int]
) -> None:
    """Run the kernel, one step for each request, until it ends or the parent closes the pipe.

    `task` is pickled: the class of the kernel, whether a part of it is to be run, and its
    resources. So many models come through the pipe: its parameters, and its state if there is one.
    What the kernel prints and logs goes to `said`, from these `levels` up.
    """
    fork_watched(pipe)
    send_lines(said, levels)
    # A signal that the parent ignores stays ignored over exec, and a kernel may want its alarm.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    # A Python traceback of a crash in native code is worth having in the log.
    faulthandler.enable()
    try:
        begin = [_received(pipe) for _ in range(models)]
        kernel_class, is_part, resources = pickle.loads(task)  # noqa: S301 - from our own parent
        _Run(pipe, kernel_class, resources, is_part=is_part).serve(begin)
    except (EOFError, BrokenPipeError):
        pass  # The parent has asked us to leave, or is gone.


def _received(pipe: Connection) -> Stored:
    return receive_arrays(pipe, pickle.loads(pipe.recv_bytes()))  # noqa: S301 - from our own parent


class _Run:
    """The run of a kernel, and its newest state."""

    def __init__(
        self,
        pipe: Connection,
        kernel_class: type[AnyKernel],
        resources: Resources,
        *,
        is_part: bool,
    ) -> None:
        self._pipe = pipe
        self._class = kernel_class
        self._is_part = is_part
        self._countdown = _Countdown()
        self._resources = replace(resources, seconds_left=self._countdown)
        self._kernel: AnyKernel
        self._params: Any
        self._state: Any

    def serve(self, begin: list[Stored]) -> None:
        """Answer requests until the parent closes the pipe; begin with parameters and a state."""
        steps = self._steps(begin)
        try:
            while True:
                match self._pipe.recv():
                    case ("go on", seconds_left):
                        self._countdown.begin(seconds_left)
                        self._answer(partial(self._step, steps))
                    case ("stored", max_bytes):
                        self._answer(partial(self._stored, max_bytes))
                    case ("progress",):
                        self._answer(self._progress)
                    case ("metrics",):
                        self._answer(self._metrics)
                    case ("bulk_bytes",):
                        self._answer(self._bulk_bytes)
        finally:
            steps.close()

    def _steps(self, begin: list[Stored]) -> Steps:
        """Make the kernel and run it; a generator, so that all this is a part of the first step."""
        self._kernel = kernel = made_anew(self._class, is_part=self._is_part)
        params, *states = begin
        params = params._replace(bulk=params.bulk.read_only())  # as in the worker's own process
        begin.clear()  # Else the arrays would be in memory for as long as the kernel runs.
        self._params = loaded(kernel.Params, *params)
        kernel.prepare(loaded(kernel.Params, *params))
        if self._resources.memory_bytes is not None:
            _limit_memory(self._resources.memory_bytes)
        state = loaded(kernel.State, *states.pop()) if states else None
        steps = start(kernel, self._params, state, self._resources)
        del state
        return (yield from steps)

    def _step(self, steps: Steps) -> Answer:
        try:
            self._state = next(steps)
        except StopIteration as end:
            if isinstance(end.value, self._kernel.Result) and has_bulk(self._kernel.Result):
                return "result", dumped(end.value)
            return "value", end.value
        if isinstance(self._state, self._kernel.State) and has_bulk(self._kernel.State):
            return "held", None
        return "state", self._state

    def _bulk_bytes(self) -> Answer:
        """Return the size of the arrays of the newest state."""
        return "bulk_bytes", dumped(self._state).bulk.size

    def _progress(self) -> Answer:
        """Return what the kernel says of the newest state's progress."""
        return "progress", self._kernel.progress(self._params, self._state)

    def _metrics(self) -> Answer:
        """Return the kernel's own figures of the newest state."""
        return "metrics", dict(self._kernel.metrics(self._params, self._state))

    def _stored(self, max_bytes: int) -> Answer:
        """Return the newest state as it is to be stored."""
        return "stored", stored_state(self._kernel, self._state, max_bytes=max_bytes)

    def _answer(self, make: Callable[[], Answer]) -> None:
        """Send what `make` returns, or the error that it raises."""
        try:
            kind, value = make()
        except BaseException as error:  # noqa: BLE001 - a foreign kernel may raise anything
            self._pipe.send_bytes(_pickled_error(error, location_of(error, self._class)))
            return
        if isinstance(value, Stored):
            send_stored(self._pipe, value, kind)
            return
        try:
            data = pickle.dumps((kind, value))
        except BaseException as error:  # noqa: BLE001 - pickling runs foreign code
            data = _pickled_error(error, None)
        self._pipe.send_bytes(data)


class _Countdown:
    """The seconds that are left of those that came with the last request."""

    def begin(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def __call__(self) -> float:
        return max(self._end - time.monotonic(), 0.0)


def _limit_memory(more_bytes: int) -> None:
    """Let this process allocate `more_bytes` more than it has; Linux only.

    RLIMIT_DATA, because RLIMIT_AS would also count address space that is only reserved, of which
    compilers and thread pools take gigabytes.
    """
    if sys.platform == "linux":
        data_pages = int(Path("/proc/self/statm").read_text().split()[5])
        most = data_pages * resource.getpagesize() + more_bytes
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _pickled_error(error: BaseException, location: str | None) -> bytes:
    """Return `error` for the parent to raise, with the traceback that pickling would lose."""
    trace = line(error)
    try:
        trace = "".join(traceback.format_exception(error))
        attach_location(error, location)
        error.add_note(trace)
        data = pickle.dumps(("error", error))
        pickle.loads(data)  # noqa: S301 - our own; many an exception cannot be made again
    except BaseException:  # noqa: BLE001 - all of it may run foreign code
        plain = RuntimeError(line(error))
        attach_location(plain, location)
        plain.add_note(trace)
        return pickle.dumps(("error", plain))
    return data

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
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outlast.kernel.contract import start
from outlast.worker.slices.isolation.lines import send_lines
from outlast.worker.slices.isolation.watcher import fork_watched
from outlast.worker.slices.kernel_errors import attach_location, line, location_of

if TYPE_CHECKING:
    from collections.abc import Generator
    from multiprocessing.connection import Connection

    from outlast.kernel import Kernel, Resources

    Steps = Generator[Any, None, Any]


def serve(pipe: Connection, task: bytes, said: Connection, levels: tuple[int, int]) -> None:
    """Run the kernel, one step for each request, until it ends or the parent closes the pipe.

    `task` is the pickled class of the kernel, its parameters, its state and its resources. What it
    prints and logs goes to `said`, from these `levels` up.
    """
    fork_watched(pipe)
    send_lines(said, levels)
    # A signal that the parent ignores stays ignored over exec, and a kernel may want its alarm.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    # A Python traceback of a crash in native code is worth having in the log.
    faulthandler.enable()
    kernel_class, params, state, resources = pickle.loads(task)  # noqa: S301 - from our own parent
    countdown = _Countdown()
    steps = _run(kernel_class, params, state, replace(resources, seconds_left=countdown))
    try:
        while True:
            countdown.begin(pipe.recv())
            answer = _step(steps, kernel_class)
            pipe.send_bytes(answer)
    except (EOFError, BrokenPipeError):
        pass  # The parent has asked us to leave, or is gone.
    finally:
        steps.close()


class _Countdown:
    """The seconds that are left of those that came with the last request."""

    def begin(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def __call__(self) -> float:
        return max(self._end - time.monotonic(), 0.0)


def _run(
    kernel_class: type[Kernel[Any, Any, Any]], params: Any, state: Any, resources: Resources
) -> Steps:
    """Make the kernel and run it; a generator, so that all this is a part of the first step."""
    kernel = kernel_class()
    kernel.prepare(params)
    if resources.memory_bytes is not None:
        _limit_memory(resources.memory_bytes)
    return (yield from start(kernel, params, state, resources))


def _limit_memory(more_bytes: int) -> None:
    """Let this process allocate `more_bytes` more than it has; Linux only.

    RLIMIT_DATA, because RLIMIT_AS would also count address space that is only reserved, of which
    compilers and thread pools take gigabytes.
    """
    if sys.platform == "linux":
        data_pages = int(Path("/proc/self/statm").read_text().split()[5])
        most = data_pages * resource.getpagesize() + more_bytes
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _step(steps: Steps, kernel_class: type[Kernel[Any, Any, Any]]) -> bytes:
    """Return the pickled answer to one request."""
    try:
        answer = ("state", next(steps))
    except StopIteration as end:
        answer = ("result", end.value)
    except BaseException as error:  # noqa: BLE001 - a foreign kernel may raise anything
        return _pickled_error(error, location_of(error, kernel_class))
    try:
        return pickle.dumps(answer)
    except BaseException as error:  # noqa: BLE001 - pickling runs foreign code
        return _pickled_error(error, None)


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

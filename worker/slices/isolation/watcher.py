"""The process between a worker and an isolated kernel: with it ends all that the kernel starts.

    worker                       watcher                     kernel
    spawns                 ->    forks                 ->    loads the kernel, starts processes
    closes the pipe, dies  ->    kills and reaps them all
                           <-    ends as the kernel's process has ended

A worker that is killed can end nothing any more, and one that is the first process of a container
without an init reaps nothing. On Linux the watcher is the parent of every process whose own parent
has ended, also of one that has left the kernel's session; elsewhere it ends the session.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from outlast.worker.slices.deadline import STOP_SIGNALS

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from types import FrameType

PR_SET_PDEATHSIG = 1  # linux/prctl.h
PR_SET_CHILD_SUBREAPER = 36
# How late the end of the kernel's process may be seen.
TURN_SECONDS = 0.02
# How long the kernel has to leave when asked, before it is killed.
GRACE_SECONDS = 0.2


def fork_watched(pipe: Connection) -> None:
    """Return in a child process; this one watches it, ends as it ends, and never returns.

    The child ends when the other end of `pipe` closes, and with the child all that it has started.
    To be called while this process has one thread, and before a kernel is loaded.
    """
    os.setsid()  # away from the signals of a terminal
    _outlast_stop_signals()
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    kernel = os.fork()
    if kernel:
        _watch(kernel, pipe)
    os.setsid()
    # A watcher that is killed could not end us.
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _outlast_stop_signals() -> None:
    """Do nothing at a stop signal, which may go to all processes at once: the worker ends us.

    By handlers, not by ignoring it: what is ignored stays so in a program that a kernel starts, and
    such a program is to end by the signal. The worker holds the signals back until here.
    """
    for number in STOP_SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN or number != signal.SIGHUP:  # nohup
            signal.signal(number, _do_nothing)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    # What the worker ignores is ignored here, and an ignored child cannot be waited for.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _do_nothing(_number: int, _frame: FrameType | None) -> None: ...


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value)


def _watch(kernel: int, pipe: Connection) -> NoReturn:
    hang_up = select.poll()
    hang_up.register(pipe, 0)
    while (status := _reap(kernel)) is None and not hang_up.poll(1000 * TURN_SECONDS):
        pass
    end = time.monotonic() + GRACE_SECONDS
    while status is None and time.monotonic() < end:
        time.sleep(TURN_SECONDS / 4)
        status = _reap(kernel)
    _end_as(_kill_all(kernel, status))


def _reap(kernel: int) -> int | None:
    """Reap what has ended; return the kernel's wait status if it is among that."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid in {0, kernel}:
            return status if pid else None


def _kill_all(kernel: int, status: int | None) -> int:
    """Kill and reap all that the kernel has started, and its own process unless it has ended.

    Returns the wait status of the kernel's process, which is `status` if it has.
    """
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(kernel, signal.SIGKILL)
    with suppress(ChildProcessError):  # none is left
        while True:
            pid, ending = os.waitpid(-1, os.WNOHANG)
            if not pid:
                for child in _children() if status is not None else (kernel, *_children()):
                    with suppress(ProcessLookupError, PermissionError):
                        os.kill(child, signal.SIGKILL)
                # Each that ends may leave us children of its own.
                pid, ending = os.waitpid(-1, 0)
            if pid == kernel:
                status = ending
    return status or 0


def _children() -> list[int]:
    """Return the processes whose parent this is, where the system tells."""
    pids = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            _state, parent, *_ = stat.read_text().rpartition(")")[2].split()
            if int(parent) == os.getpid():
                pids.append(int(stat.parent.name))
    return pids


def _end_as(status: int) -> NoReturn:
    """End with the exit code or by the signal that a wait status tells."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the kernel's own core is enough
        with suppress(OSError):  # of SIGKILL
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)

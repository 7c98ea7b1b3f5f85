"""A kernel that misbehaves at a step that its parameters name; its states say where it ran.

It is apart from `tests/kernels.py` as a child process makes it anew, from its parameters alone.
"""

from __future__ import annotations

import ctypes
import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from pydantic import BaseModel

from outlast.kernel import Kernel
from outlast.kernel.contract import Model

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from outlast.kernel import Resources

# Opens the FIFO named by its argument and keeps it open for as long as it lives.
GRANDCHILD = "import signal, sys; opened = open(sys.argv[1], 'w'); signal.pause()"


class Params(Model):
    """Misbehave as `how` says once `at` of `steps` steps are done; None: never."""

    steps: int = 3
    how: str | None = None
    at: int = 1
    fifo: str = ""
    signal: int = signal.SIGTERM


class State(Model):
    """How far it is, and in which process."""

    done: int
    pid: int


class Result(Model):
    """How far it came."""

    done: int


class Unruly(Kernel[Params, State, Result]):
    """Counts to `steps`."""

    name = "unruly"
    Params = Params
    State = State
    Result = Result

    def run(
        self,
        params: Params,
        state: State | None,
        resources: Resources,  # noqa: ARG002 - it needs none
    ) -> Generator[State, None, Result]:
        """Count, and misbehave on the way."""
        done = state.done if state else 0
        while done < params.steps:
            if params.how and done >= params.at:
                WAYS[params.how](params)
            done += 1
            yield self.State(done=done, pid=os.getpid())
        return Result(done=done)

    def progress(self, params: Params, state: State) -> float:
        """Return the share of the steps that is done."""
        return state.done / params.steps


class Confined(Unruly):
    """The same, of the kind that says that it may not return."""

    name = "confined"
    may_not_return: ClassVar[bool] = True


class LooseState(BaseModel):
    """The same, not frozen."""

    done: int
    pid: int


class Loose(Unruly):
    """Has a state that is not frozen."""

    State = LooseState  # type: ignore[assignment]


class Unrepeatable(Exception):
    """An exception that pickles, and cannot be made again from what was pickled."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} {two}")


def _loop(_: Params) -> NoReturn:
    """Never return from C, and hold the interpreter's lock meanwhile."""
    max(itertools.repeat(0))
    raise AssertionError


def _hoard(_: Params) -> NoReturn:
    blocks = []
    while True:
        blocks.append(bytearray(b"x") * (16 << 20))


def _raise(_: Params) -> NoReturn:
    raise ValueError("no such root")


def _raise_unrepeatable(_: Params) -> NoReturn:
    raise Unrepeatable("no", "root")


def _raise_opaquely(_: Params) -> NoReturn:
    class Opaque(Exception):
        """An exception that can be neither pickled nor shown, and has no attributes or notes."""

        def __str__(self) -> str:
            raise SystemExit("cannot be shown")

        def __setattr__(self, *_: object) -> None:
            raise TypeError("cannot be changed")

        add_note = __setattr__

    raise Opaque


def _hold_and_loop(params: Params) -> None:
    with open(params.fifo, "w"):  # noqa: PTH123 - opened and held, nothing else
        _loop(params)


def _lose_the_watcher(params: Params) -> None:
    with open(params.fifo, "w"):  # noqa: PTH123 - opened and held, nothing else
        os.kill(os.getppid(), signal.SIGKILL)
        _loop(params)


def _start_another(params: Params) -> None:
    subprocess.Popen([sys.executable, "-c", GRANDCHILD, params.fifo])
    _loop(params)


def _start_a_daemon(params: Params) -> None:
    leave = "import subprocess, sys; subprocess.Popen(sys.argv[1:], start_new_session=True)"
    daemon = [sys.executable, "-c", GRANDCHILD, params.fifo]
    subprocess.run([sys.executable, "-c", leave, *daemon], check=True)
    _loop(params)


def _leave_a_program(_: Params) -> None:
    subprocess.run(["sh", "-c", "sleep 600 &"], check=True)


def _is_stopped_with_all(params: Params) -> None:
    """Do as systemd does, which sends a stop signal to all processes of a service."""
    worker = multiprocessing.parent_process()
    assert worker is not None
    program = subprocess.Popen(["sleep", "600"])
    for pid in (program.pid, os.getpid(), os.getppid(), worker.pid):
        os.kill(pid, params.signal)
    if code := program.wait():
        raise subprocess.CalledProcessError(code, "sleep")


def _fork_and_die(params: Params) -> None:
    if os.fork() == 0:
        with open(params.fifo, "w"):  # noqa: PTH123 - opened and held, nothing else
            signal.pause()
    os.kill(os.getpid(), signal.SIGKILL)


def _die_while_sending(_: Params) -> None:
    def send_half(connection: Any, data: bytes) -> None:
        os.write(connection.fileno(), len(data).to_bytes(4, "big") + bytes(data[: len(data) // 2]))
        os.kill(os.getpid(), signal.SIGKILL)

    Connection.send_bytes = send_half  # type: ignore[method-assign]


def _leave_a_thread(_: Params) -> None:
    threading.Thread(target=threading.Event().wait).start()


WAYS: dict[str, Callable[[Params], Any]] = {
    "aborts": lambda _: os.abort(),
    "dies while sending": _die_while_sending,
    "exits": lambda _: os._exit(3),
    "forks and dies": _fork_and_die,
    "hoards": _hoard,
    "holds and loops": _hold_and_loop,
    "is stopped with all": _is_stopped_with_all,
    "is killed": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    "loses its watcher": _lose_the_watcher,
    "leaves a program": _leave_a_program,
    "leaves a thread": _leave_a_thread,
    "loops": _loop,
    "raises": _raise,
    "raises unrepeatably": _raise_unrepeatable,
    "raises opaquely": _raise_opaquely,
    "segfaults": lambda _: ctypes.string_at(0),
    "starts a daemon": _start_a_daemon,
    "starts another": _start_another,
    "calls exit": lambda _: sys.exit("enough"),
}
